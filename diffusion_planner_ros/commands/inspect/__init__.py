# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs that show or convert a bundle, a plan or a robot."""
