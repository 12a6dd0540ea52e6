# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Guides: preferences of a trajectory, one file each, and the registry that names them."""
