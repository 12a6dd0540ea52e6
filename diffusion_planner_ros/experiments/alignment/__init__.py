# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Alignment as an experiment: the loop in simulators, from logs, and studies of it."""
