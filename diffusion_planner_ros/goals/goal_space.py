# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a robot's goals are: the section ``goal`` of its layout."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..robots.yaml_section import YamlSection
from .arm_goals import ArmGoals
from .grid_map import GridMap
from .joint_entries import Entry, JointEntries
from .plane_goals import PlaneGoals


class GoalSpace(Protocol):
    """Points (x, y) [m] that a robot can be sent to, in the frame of its simulation."""

    @property
    def tolerance(self) -> float:
        """Distance from a goal at which it is reached [m]."""

    @property
    def entries(self) -> JointEntries:
        """Where the joints that a goal fixes are in the state."""

    @property
    def grid(self) -> GridMap | None:
        """Free cells and walls; None where nothing is in the way."""

    @property
    def fixed(self) -> NDArray:
        """Entries of the state that a goal fixes, true for these, shape (S,)."""

    @property
    def bounds(self) -> NDArray:
        """Lower and upper corner of a box around all goals [m], shape (2, 2)."""

    def position(self, state: NDArray) -> NDArray:
        """Return the point at which the robot is in a state (S,) [m], shape (2,)."""

    def check(self, goal: NDArray) -> None:
        """
        Refuse a goal to which the robot cannot go.

        :param goal: [m], shape (2,).
        :raises GoalError: saying why.
        """

    def state_at(self, goal: NDArray, near_state: NDArray) -> NDArray:
        """
        Return the robot at rest at a goal.

        :param goal: [m], shape (2,).
        :param near_state: where it is, shape (S,): entries that the goal does not fix stay so, and
            of several solutions the nearest one is taken.
        :return: shape (S,).
        :raises GoalError: if the robot cannot go there.
        """

    def draw(self, rng: np.random.Generator) -> NDArray:
        """Draw a goal, evenly over all there are [m], shape (2,)."""

    def to_dict(self) -> dict[str, Any]:
        """Return what ``read_goal_space`` reads."""


KINDS: dict[str, type[PlaneGoals] | type[ArmGoals]] = {'plane': PlaneGoals, 'arm': ArmGoals}


def read_goal_space(facts: Any, state: Sequence[Entry], source: str) -> GoalSpace:
    """
    Read the section ``goal`` of a layout.

    :param facts: what it holds.
    :param state: entries of the robot's state.
    :param source: where it comes from, for errors.
    :raises RobotError: if a key is missing, unknown, or has a value that makes no sense.
    """
    section = YamlSection(facts, source, 'goal')
    kind = section.text('kind')
    if kind not in KINDS:
        section.refuse('kind', kind, f'one of {", ".join(KINDS)}')
    space = KINDS[kind].read(section, state, source)
    section.end()
    return space
