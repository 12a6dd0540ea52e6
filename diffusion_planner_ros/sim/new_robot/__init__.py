# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The folder of a new robot, made of its MuJoCo model or URDF."""
