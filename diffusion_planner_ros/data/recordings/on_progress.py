# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How reading says how far it is."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Is called with the number of messages that were read since the last call, and with how many more
there are than was known."""


def ignored(n_read: int, n_more: int) -> None:
    """Do nothing."""
    del n_read, n_more
