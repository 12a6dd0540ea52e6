# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Check the stamps of a stream of measurements against the clock and each other."""

import time

from rclpy.clock import Clock

from ...errors import StateError
from ..common.conversions import NANOSECONDS

WALL_ADVICE = 'are the clocks of the two machines synchronised? (chrony, PTP)'
SIMULATED_ADVICE = ("do these come from the simulation that publishes '/clock', and does only one "
                    'node publish it?')


class StampCheck:
    """
    Refuse measurements whose stamps are too old, too far in the future, or out of order.

    :param what: the stream and a verb, to begin a sentence, as ``joint states are``.
    :param clock: of the node.
    :param max_age: largest difference between a stamp and the clock [s].
    """

    def __init__(self, what: str, clock: Clock, max_age: float) -> None:
        self._what = what
        self._clock = clock
        self._max_age = max_age
        self.forget()

    def forget(self) -> None:
        """Begin anew: any stamp may come next."""
        self._newest: int | None = None  # [ns]
        self._advanced_at = 0.0  # when the newest stamp came, on the steady clock [s]
        # Since when stamps differ too much from the clock, on the steady clock [s].
        self._misfit_since: float | None = None

    def check(self, stamp: int) -> bool:
        """
        Return whether to use a measurement of this stamp [ns].

        Clock and measurements of a simulation come on two topics, so that one of them is the first
        to show a jump of time. For ``max_age`` after it, measurements that do not fit the clock
        are not used, and no error is raised.

        :raises StateError: if the stamp differs from the clock by more than ``max_age``.
        """
        age = (self._clock.now().nanoseconds - stamp) / NANOSECONDS
        if abs(age) <= self._max_age:
            self._misfit_since = None
            return True
        # That of a node is a `ROSClock`.
        is_simulated = self._clock.ros_time_is_active  # type: ignore[attr-defined]
        now = time.monotonic()
        if self._misfit_since is None:
            self._misfit_since = now
        if is_simulated and now - self._misfit_since <= self._max_age:
            return False
        distance = f'{age:.3f} s old' if age > 0 else f'{-age:.3f} s in the future'
        raise StateError(f'the {self._what} {distance}, expected at most {self._max_age} s '
                         f'(max_state_age); {SIMULATED_ADVICE if is_simulated else WALL_ADVICE}')

    def advance(self, stamp: int) -> float:
        """
        Compare a stamp [ns] with those before it.

        If an older stamp comes when for ``max_age`` none was newer, the stream has started over.

        :return: how far back it started over [s]; 0 if it did not.
        :raises StateError: if the stamp is older than the newest one, otherwise.
        """
        now = time.monotonic()
        back = 0 if self._newest is None else self._newest - stamp
        if back > 0 and now - self._advanced_at <= self._max_age:
            raise StateError(f'the {self._what} {back / NANOSECONDS:.3f} s older than the last '
                             'ones; does their driver send them in order, and does only one send '
                             'them?')
        self._newest, self._advanced_at = stamp, now
        return max(0, back) / NANOSECONDS
