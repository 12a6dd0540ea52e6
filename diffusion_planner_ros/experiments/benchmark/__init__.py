# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How long planning takes, beside the same plans in PyTorch."""
