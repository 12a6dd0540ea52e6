# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Sessions of both nodes in processes of their own, driven and watched from outside."""
