# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A message of a recording that nobody has read yet."""

from typing import NamedTuple


class BagMessage(NamedTuple):
    """What a recording holds of every message."""

    topic: str
    """Full name of its topic."""
    type: str
    """Name of its type, as ``sensor_msgs/msg/JointState``."""
    received: int
    """When it was recorded [ns]."""
    data: bytes
    """Its content, serialised as CDR."""
