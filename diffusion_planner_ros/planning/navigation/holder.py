# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Hold a robot where it is, as long as it has no goal."""

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...robot import Robot
from ..conditions import Condition, held_state
from .navigator import LEAST_ROWS


class Holder:
    """
    Makes plans that stay where the first of them began.

    :param robot: its layout, with the section ``goal``, which says what of a state is held.
    :param horizon: rows of a plan, H.
    :param least_rows: row of a plan from which on the robot is at rest.
    :raises ConfigError: if the robot knows no goals.
    """

    def __init__(self, robot: Robot, *, horizon: int, least_rows: int = LEAST_ROWS) -> None:
        if robot.goal is None:
            raise ConfigError(f"robot '{robot.name}' knows no goals, expected a section goal in "
                              'its layout')
        self._fixed = robot.goal.fixed
        self._is_velocity = np.array([e.quantity == 'velocity' for e in robot.state])
        self._shape = {'horizon': horizon, 'row_dim': robot.action_dim + robot.state_dim}
        self._arrival = min(least_rows, horizon - 1)
        self._held: Condition | None = None

    def condition(self, state: NDArray) -> Condition:
        """Return what is known of a plan from a state (S,): it rests where holding began."""
        if self._held is None:
            rest = np.where(self._is_velocity, 0.0, state)
            self._held = held_state(rest, arrival=self._arrival, fixed=self._fixed, **self._shape)
        return self._held

    def release(self) -> None:
        """Let holding begin anew with the next plan."""
        self._held = None
