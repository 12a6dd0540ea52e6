# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robustness: episodes of changed robots and with late plans, side by side."""
