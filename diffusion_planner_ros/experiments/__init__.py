# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Experiments: closed-loop measurements of a planner, in process and through ROS."""
