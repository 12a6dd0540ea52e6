# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where the checkout is."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
