# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings: every reader and writer of them, and the windows cut from them."""
