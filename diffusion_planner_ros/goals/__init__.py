# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals: points of a plane, and what they fix of a robot's state."""
