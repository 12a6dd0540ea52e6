# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Policies that learn from the same data as the planners, and are compared with them."""
