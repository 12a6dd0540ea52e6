# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The verbs of the command line, one file each; heavy imports happen when a verb runs."""
