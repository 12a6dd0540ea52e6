# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What several nodes need: parameters, diagnostics, conversions, threads, start and end."""
