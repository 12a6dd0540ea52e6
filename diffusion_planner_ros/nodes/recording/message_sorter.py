# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of several topics, in the order in which they were published."""

from collections import deque
from collections.abc import Callable
import heapq
from itertools import count


class MessageSorter:
    """
    Hold messages back for a while, then hand them on, earliest published first.

    :param hold: how long a message waits for earlier ones of other topics [s].
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._count = count()  # of messages published at one time, the first to come goes first
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []
        self._arrivals: deque[tuple[float, int]] = deque()  # came at [s], published at [ns]

    def put(self, sent: int, now: float, handle: Callable[[], None]) -> None:
        """
        Take a message.

        :param sent: when it was published [ns].
        :param now: when it came [s].
        :param handle: called when it is its turn.
        """
        heapq.heappush(self._waiting, (sent, next(self._count), handle))
        self._arrivals.append((now, sent))

    def release(self, now: float) -> None:
        """Handle messages that have waited long enough, and all that were published earlier."""
        limit = -1
        while self._arrivals and self._arrivals[0][0] <= now - self._hold:
            limit = max(limit, self._arrivals.popleft()[1])
        while self._waiting and self._waiting[0][0] <= limit:
            heapq.heappop(self._waiting)[2]()

    def release_all(self) -> None:
        """Handle everything."""
        self.release(float('inf'))
