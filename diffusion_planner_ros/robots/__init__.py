# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots: a folder each, with the layout of state and action, the task, and the URDF."""
