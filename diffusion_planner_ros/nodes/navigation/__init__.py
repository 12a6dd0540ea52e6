# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a user tells a robot that is sent to goals: goals, and obstacles."""
