# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages as whole nanoseconds."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time

NANOSECONDS = 1_000_000_000
NO_STATE = -1  # stamp of a command that answers no state: the stop command
LABEL = re.compile('-1|[0-9]{1,19}')  # not more digits than an int64 has
LARGEST_STAMP = 2**63 - 1  # [ns]


def nanoseconds_from_stamp(stamp: 'Time') -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def stamp_from_label(label: str) -> int | None:
    """
    Return which state a command answers, as our planner writes it into the label of its dimension.

    :return: stamp of the state [ns], ``NO_STATE``, or None if the label is neither.
    """
    stamp = int(label) if LABEL.fullmatch(label) else None
    return stamp if stamp is not None and stamp <= LARGEST_STAMP else None
