# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Diffusion planning on ROS 2: learn from recorded data, export, and plan on a robot."""
