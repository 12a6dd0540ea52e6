# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Simulation: robots, perturbations, behaviour data, the bridge's episodes; knows no ROS."""
