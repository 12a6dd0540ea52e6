# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What networks can learn beside the trajectories and returns that were recorded."""
