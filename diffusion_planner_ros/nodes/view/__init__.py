# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page that shows a robot in a browser: what it draws, and what it calls."""
