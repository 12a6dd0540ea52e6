# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What plans promise and what comes of it: four comparisons, one figure each."""
