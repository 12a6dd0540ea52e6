# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Planning: model bundle, denoising, ranking; numpy and onnxruntime only."""
