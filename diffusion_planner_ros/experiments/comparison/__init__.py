# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Planning methods and policies, trained on the same data with the same budget, side by side."""
