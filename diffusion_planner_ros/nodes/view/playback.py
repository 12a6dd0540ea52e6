# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Show the robot where it was when the plan that is shown was made."""

from collections import deque
from collections.abc import Mapping

from ...messages.stamps import NANOSECONDS

N_KEPT = 64  # states, 4 s at 15 Hz
LARGEST_DELAY = NANOSECONDS  # [ns]
DECAY = 0.8  # of the delay, with every plan


class Playback:
    """
    The robot's positions of the last moments, seen with the delay of its plans.

    A plan is drawn, sent and shown later than the state that it starts from: at 4 m/s and 0.1 s
    the robot would be 0.4 m ahead of it. So the robot is shown as late as its plans come.
    """

    def __init__(self) -> None:
        self._states: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=N_KEPT)
        self._delay = 0  # [ns]
        self._plan: int | None = None  # where the last plan begins [ns]

    def clear(self) -> None:
        """Forget all."""
        self._states.clear()
        self._delay, self._plan = 0, None

    def add(self, stamp: int, positions: Mapping[str, float]) -> None:
        """Add measured positions by joint [m, rad]; their time is in [ns]."""
        if self._states and not 0 <= stamp - self._states[-1][0] < LARGEST_DELAY:
            self.clear()  # time jumped
        if self._plan is not None and self._states and stamp == self._states[-1][0]:
            self._delay = min(self._delay, max(0, stamp - self._plan))  # time stands still
        self._states.append((stamp, positions))

    def note_plan(self, stamp: int) -> None:
        """Note that a plan came now that starts from the state of this time [ns]."""
        if self._states:
            late = self._states[-1][0] - stamp
            if 0 <= late < LARGEST_DELAY:
                self._delay, self._plan = max(late, int(DECAY * self._delay)), stamp

    @property
    def positions(self) -> Mapping[str, float]:
        """Where the joints are to be shown now [m, rad]; empty if nobody has measured them."""
        if not self._states:
            return {}
        wanted = self._states[-1][0] - self._delay
        return next((p for stamp, p in reversed(self._states) if stamp <= wanted),
                    self._states[0][1])
