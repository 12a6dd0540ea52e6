# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Reports of runs as one page that needs neither a network nor other files."""
