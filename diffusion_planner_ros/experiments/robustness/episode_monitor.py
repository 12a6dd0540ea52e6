# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The planner node's out-of-distribution monitor in an episode without ROS."""

from typing import Literal

from ...planning.bundle import Bundle
from ...planning.monitor import PredictionMonitor
from ...planning.planner import Plan
from ...sim.environment import Environment
from ..execution import Execution

Alarm = Literal['ok', 'warn', 'stop']


class EpisodeMonitor:
    """
    Judge every state as the node does, and say what it would have done; the robot walks on.

    A state is compared with what the newest plan predicts, which holds if the first action of that
    plan is the one that was executed: always, but for plans that come late and do not know it.
    Velocities are clipped here as the simulation measures them.

    :param execution: how the plans are executed; one action of each.
    """

    def __init__(self, bundle: Bundle, *, execution: Execution) -> None:
        self._monitor = PredictionMonitor(bundle)
        self._predicts = execution.compensate or not execution.delay
        self._latest: Plan | None = None
        self._alarm: Alarm = 'ok'

    @property
    def alarm(self) -> Alarm | None:
        """The worst level so far; None if the bundle has no calibration for these states."""
        return self._alarm if self._monitor.is_calibrated else None

    def watch(self, robot: Environment, plan: Plan) -> None:
        """Judge the state that a plan was made from; call it once for every plan, in order."""
        predicted = None
        if self._latest is not None and self._predicts:
            predicted = self._monitor.predict(self._latest)
        level = self._monitor.compare(predicted, robot.state).level
        self._alarm = max(self._alarm, level, key=('ok', 'warn', 'stop').index)
        self._latest = plan
