# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the four comparisons of ``experiments/figures``."""
