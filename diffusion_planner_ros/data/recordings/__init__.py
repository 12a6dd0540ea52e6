# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From measurements of a robot at any rate to episodes at its control rate."""
