# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Navigate: goals, one after the other, as what is known of plans (Janner et al. 2022)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...goals.goal_space import GoalSpace
from ...robot import Robot
from ..conditions import Condition, held_state

LEAST_ROWS = 8  # to the arrival: a robot that is nearly there still has time to stop


class Navigator:
    """
    Leads a robot to points by inpainting the end of its plans (section 5 of the paper).

    A plan knows that the robot is at rest at the goal from its row of arrival on. That is the last
    row at first, and one nearer in every control period: a robot whose goal stays as far ahead as
    plans reach may put off going there for ever. It comes no nearer than ``least_rows``; a robot
    that is not there by then gets the time of a whole plan again.

    :param robot: its layout, with the section ``goal``.
    :param horizon: rows of a plan, H.
    :param least_rows: smallest row of arrival.
    :raises ConfigError: if the robot knows no goals, or plans are too short for ``least_rows``.
    """

    def __init__(self, robot: Robot, *, horizon: int, least_rows: int = LEAST_ROWS) -> None:
        if robot.goal is None:
            raise ConfigError(f"robot '{robot.name}' knows no goals, expected a section goal in "
                              'its layout, and a model trained with it')
        if not 1 <= least_rows < horizon:
            raise ConfigError(f'least_rows is {least_rows}, expected 1 to {horizon - 1} for plans '
                              f'of {horizon} rows')
        self.space: GoalSpace = robot.goal
        self._row_dim = robot.action_dim + robot.state_dim
        self._horizon, self._least_rows = horizon, least_rows
        self._goals: list[NDArray] = []
        self._target: NDArray | None = None  # state at the first goal, once it is planned for
        self._arrival = horizon - 1

    @property
    def goals(self) -> list[NDArray]:
        """Goals that are left [m], shape (2,) each, the one that is headed for first."""
        return [goal.copy() for goal in self._goals]

    @property
    def goal(self) -> NDArray | None:
        """Goal that is headed for [m], shape (2,); None where there is none."""
        return self._goals[0].copy() if self._goals else None

    def go(self, goals: Sequence[NDArray]) -> None:
        """
        Head for goals, one after the other, in place of those that are left.

        :param goals: [m], shape (n, 2); none to head for nothing.
        :raises GoalError: if the robot cannot go to one of them; nothing changes then.
        """
        for goal in goals:
            self.space.check(goal)
        self._goals = [np.array(goal, dtype=np.float64) for goal in goals]
        self._set_out()

    def cancel(self) -> None:
        """Head for nothing."""
        self.go([])

    def distance(self, state: NDArray) -> float:
        """
        Return the straight distance from a state (S,) to the goal that is headed for [m].

        :raises ConfigError: if there is none.
        """
        if not self._goals:
            raise ConfigError('there is no goal, expected one: call go first')
        return float(np.linalg.norm(self._goals[0] - self.space.position(state)))

    def has_arrived(self, state: NDArray) -> bool:
        """Whether a state (S,) is within the tolerance of the last goal that is left."""
        return len(self._goals) == 1 and self.distance(state) <= self.space.tolerance

    def advance(self, state: NDArray, n_periods: int = 1) -> Condition | None:
        """
        Return what is known of the next plan, which starts from a state.

        Where that is within the tolerance of a goal, and there are more, the next one is headed
        for. The last goal stays: the robot is held there.

        :param state: measured, shape (S,).
        :param n_periods: control periods until the plan after that, by which it comes nearer.
        :return: None where there is no goal.
        """
        if not self._goals:
            return None
        is_there = self.distance(state) <= self.space.tolerance
        if is_there and len(self._goals) > 1:
            del self._goals[0]
            self._set_out()
        elif self._arrival < self._least_rows and not is_there:
            self._set_out()
        if self._target is None:
            self._target = self.space.state_at(self._goals[0], state)
        condition = held_state(self._target, arrival=max(self._arrival, self._least_rows),
                               horizon=self._horizon, row_dim=self._row_dim,
                               fixed=self.space.fixed)
        self._arrival -= n_periods
        return condition

    def _set_out(self) -> None:
        self._target, self._arrival = None, self._horizon - 1
