# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Published planning methods as choices of settings, one YAML file each."""
