# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour policies: how they learn on simulated robots, and the data sets recorded of them."""
