# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What plans predicted of one entry of the state, and what was measured then."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from ...messages.stamps import NANOSECONDS, nanoseconds_from_stamp

SPAN = 4.0  # [s] that is kept
LARGEST_GAP = NANOSECONDS  # [ns] between two states, from which on time has jumped
QUANTITIES = {'position': ('position', 'positions'), 'velocity': ('velocity', 'velocities')}
"""Fields of a joint state and of a point of a plan, by what an entry's name ends with."""


def entries_of(positions: Mapping[str, float], msg: JointState) -> list[str]:
    """
    Return the names of the entries that are measured, as ``hip_joint velocity``.

    :param positions: by joint; odometry may measure those of the base.
    :param msg: the newest joint states.
    """
    return [*(f'{joint} position' for joint in positions),
            *(f'{joint} velocity' for joint, _ in zip(msg.name, msg.velocity, strict=False))]


class Prediction:
    """
    One entry of the state over the last seconds, by the robot's own time.

    Plans are made faster than each is over. Of those that came, one is kept that begins
    after the end of the last one, so that what they predicted can be told apart.

    :param entry: as ``entries_of`` names it.
    """

    def __init__(self, entry: str) -> None:
        self.entry = entry
        self._joint, _, quantity = entry.rpartition(' ')
        self._of_state, self._of_point = QUANTITIES[quantity]
        self._measured: deque[tuple[int, float]] = deque()  # time [ns] and value
        self._plans: deque[tuple[NDArray, NDArray]] = deque()  # times [ns] and values, (H,) each
        self._is_new = False

    def add_state(self, msg: JointState, base: Mapping[str, float]) -> None:
        """Take measured states; ``base`` are positions that odometry measures, by joint."""
        values = dict(zip(msg.name, getattr(msg, self._of_state), strict=False))
        if self._of_state == 'position':
            values |= base
        value, stamp = values.get(self._joint, np.nan), nanoseconds_from_stamp(msg.header.stamp)
        if not np.isfinite(value):
            return
        if self._measured:
            step = stamp - self._measured[-1][0]
            if step == 0:
                return
            if not 0 < step < LARGEST_GAP:
                self._measured.clear()
                self._plans.clear()
        self._measured.append((stamp, float(value)))
        oldest = stamp - SPAN * NANOSECONDS
        while self._measured[0][0] < oldest:
            self._measured.popleft()
        while self._plans and self._plans[0][0][0] < oldest:
            self._plans.popleft()
        self._is_new = True

    def add_plan(self, msg: JointTrajectory) -> None:
        """Take a plan, unless the last one that was kept is not over where it begins."""
        if self._joint not in msg.joint_names:
            return
        start, index = nanoseconds_from_stamp(msg.header.stamp), msg.joint_names.index(self._joint)
        if self._plans and self._plans[-1][0][0] <= start <= self._plans[-1][0][-1]:
            return
        rows = [(start + nanoseconds_from_stamp(point.time_from_start), values[index])
                for point in msg.points if index < len(values := getattr(point, self._of_point))]
        if len(rows) > 1 and np.isfinite(rows).all():
            if self._plans and start < self._plans[-1][0][-1]:
                self._plans.clear()  # time jumped back
            self._plans.append((np.array([time for time, _ in rows]),
                                np.array([value for _, value in rows], dtype=float)))

    def take(self) -> tuple[NDArray, NDArray, NDArray] | None:
        """
        Return times, as seconds before the last state, what was measured and what was predicted.

        All are of shape (n,); a prediction is NaN, a gap, where no plan that was kept is of that
        time. Measured values are interpolated. ``None`` if nothing is new since the last call.
        """
        if not self._is_new:
            return None
        self._is_new = False
        known = np.array([time for time, _ in self._measured])
        now, oldest = known[-1], known[-1] - round(SPAN * NANOSECONDS)
        plans = [(times, values) for times, values in self._plans
                 if oldest <= times[0] and times[-1] <= now]
        # A moment before each plan is a gap, so that no line leads there from the plan before.
        times = np.unique(np.concatenate([known, *(t for t, _ in plans),
                                          *(t[:1] - 1 for t, _ in plans)]))
        times = times[times >= known[0]]
        predicted = np.full(len(times), np.nan)
        for of_plan, values in plans:
            inside = (times >= of_plan[0]) & (times <= of_plan[-1])
            predicted[inside] = np.interp(times[inside], of_plan, values)
        measured = np.interp(times, known, [value for _, value in self._measured])
        return (times - now) / NANOSECONDS, measured, predicted
