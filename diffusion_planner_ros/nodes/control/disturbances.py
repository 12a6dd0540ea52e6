# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Notice that another torque acted than was planned, because something was late."""

import numpy as np
from numpy.typing import NDArray

from ...robot import Robot
from ..state.state_source import Measurement
from .command_publisher import CommandPublisher

RECOVERY = 1_000_000_000  # [ns] after a wrong torque in which the robot may stumble, and fall
MONITOR_STOP = 'out of distribution'  # cause of a stop by the monitor
TRANSPORT = 1_000_000  # [ns], longest time from sending a command to its effect
SAME_TORQUE = 0.05  # of the torque limit: largest difference of a measured and a commanded torque
SMOOTHING = 1 / 16  # weight of the newest time between two states in its running mean
STALL = 1.5  # times this mean: a longer time tells that the robot's driver did not run


class Disturbances:
    """
    Tell which predictions may be compared with the next state, and whether the robot recovers.

    After a period under another torque than planned the robot is elsewhere than predicted, and for
    ``RECOVERY`` its motion may differ from what the model knows, though neither the sensors nor
    the model are wrong.

    :param command_publisher: remembers the torques that were sent.
    :param lockstep: whether simulated time waits for every command, so that nothing is late.
    """

    def __init__(self, robot: Robot, command_publisher: CommandPublisher, *,
                 lockstep: bool) -> None:
        self._joints = [entry.joint for entry in robot.action]
        self._same_torque = SAME_TORQUE * robot.torque_limit.min()  # [N m]
        self._command_publisher = command_publisher
        self._lockstep = lockstep
        self._measures_effort = False
        self.forget()

    def forget(self) -> None:
        """Drop all history, because time jumped."""
        self._disturbed_at: int | None = None  # stamp of the state that a wrong torque led to [ns]
        self._last: Measurement | None = None
        self._pace: float | None = None  # wall time over the robot's time, as usual

    def acted_as_planned(self, planned: int, measured: Measurement, *, lag: int,
                         was_in_time: bool) -> bool:
        """
        Return whether the torque of a plan led to this state; if not, the robot is disturbed.

        :param planned: stamp of the state that the plan starts from [ns].
        :param measured: a new state; to be called once for each that has a plan before it.
        :param lag: control periods between the two.
        :param was_in_time: whether the plan was ready in the control period that it is for.
        """
        has_stalled = self._has_stalled(measured)
        is_as_planned = (lag == 1 and was_in_time
                         and self._command_publisher.is_transparent(planned)
                         and (self._lockstep
                              or self._has_acted(planned, measured, has_stalled=has_stalled)))
        # While the monitor has stopped the robot, there are no plans. That is not lateness.
        if not is_as_planned and self._command_publisher.stop_cause != MONITOR_STOP:
            self._disturbed_at = measured.stamp
        return is_as_planned

    def is_recovering(self, measured: Measurement) -> bool:
        """Return whether such a torque acted less than ``RECOVERY`` before this state."""
        return (self._disturbed_at is not None
                and 0 <= measured.stamp - self._disturbed_at < RECOVERY)

    def _has_acted(self, answered: int, measured: Measurement, *, has_stalled: bool) -> bool:
        """
        Return whether the torque that answers a state acted until the next state.

        If the robot measures torques, they tell which of the sent torques acted. Otherwise, the
        last torque that was sent before the next state acted. So it is with a measured torque that
        equals none of the sent ones, too: either the sensor is at fault, or the robot's own stop
        behaviour acted because all of them were late.

        :param answered: stamp of the state [ns].
        :param measured: the next state.
        :return: False if an older torque acted, or none.
        """
        sent = list(self._command_publisher.sent)
        planned = next((s.torque for s in sent if s.answered == answered), None)
        if planned is None:
            return False
        effort = np.array([measured.efforts.get(joint, np.nan) for joint in self._joints])
        is_measured = bool(np.isfinite(effort).all())
        # A driver that measures no torque may report zeros; any other value is a measurement.
        self._measures_effort = self._measures_effort or (is_measured and bool(effort.any()))
        if is_measured and self._measures_effort:
            if self._is_close(effort, planned):
                return True
            if any(self._is_close(effort, s.torque) for s in sent) or self._is_close(effort, 0.0):
                return False
        in_time = [s for s in sent if s.at < measured.sent - TRANSPORT]
        return not has_stalled and (not in_time or np.array_equal(in_time[-1].torque, planned))

    def _is_close(self, effort: NDArray, torque: NDArray | float) -> bool:
        return bool(np.abs(effort - torque).max() <= self._same_torque)

    def _has_stalled(self, measured: Measurement) -> bool:
        """Return whether a state was sent much later after the one before than usual."""
        last, self._last = self._last, measured
        if last is None or measured.stamp <= last.stamp:
            return False
        pace, usual = (measured.sent - last.sent) / (measured.stamp - last.stamp), self._pace
        if usual is None:
            self._pace = pace
            return False
        self._pace = usual + SMOOTHING * (min(pace, 2 * usual) - usual)
        return pace > STALL * usual
