# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Threads of the nodes: control, watchdogs, periodic calls, and their priority."""
