# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of ``ros2 bag``, read without ROS."""
