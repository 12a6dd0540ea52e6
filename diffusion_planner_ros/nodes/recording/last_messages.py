# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""When a recorder that is told to stop has heard all that was published before."""

import time

from ...messages.stamps import NANOSECONDS

LAST_TIME = 2.0  # [s] after a request to stop in which earlier messages are still awaited


class LastMessages:
    """
    Whether all messages have come that were published before a request to stop.

    A message that was published later shows that earlier ones of its topic have come.

    :param hold: how long those of other topics are awaited [s].
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._newest = 0  # when the newest message was published, on the system clock [ns]
        self._told = float('inf')  # when the request came, on the same clock [ns]

    def stop(self) -> None:
        """Take the request."""
        self._told = time.time_ns()

    def see(self, published: int) -> None:
        """Take the time at which a message was published, on the system clock [ns]."""
        self._newest = max(self._newest, published)

    @property
    def has_heard(self) -> bool:
        """Whether any message has come."""
        return self._newest > 0

    def is_late(self, published: int) -> bool:
        """Whether a message was published after the request."""
        return published > self._told

    @property
    def have_come(self) -> bool:
        """Whether there is nothing more to wait for."""
        waited = (time.time_ns() - self._told) / NANOSECONDS
        return (self.is_late(self._newest) and waited > self._hold) or waited > LAST_TIME
