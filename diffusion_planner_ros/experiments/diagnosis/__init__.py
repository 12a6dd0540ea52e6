# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Diagnosis: do the actions of a plan give its states, and how far are those from the data."""
