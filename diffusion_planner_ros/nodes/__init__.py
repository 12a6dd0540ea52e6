# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ROS 2: nodes, message conversions, and running them."""
