# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The robot that is drawn: from its URDF or MJCF to triangles, and where they are."""
