# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals of a robot that slides: the positions of two joints are x and y."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GoalError
from ..robots.yaml_section import YamlSection
from .goal_point import goal_point, within_bounds
from .grid_map import GridMap
from .joint_entries import Entry, JointEntries


@dataclass(frozen=True)
class PlaneGoals:
    """Points at which two joints are, within a box or in the free cells of a map."""

    joints: tuple[str, str]
    """Those whose positions are x and y."""
    tolerance: float
    """Distance from a goal at which it is reached [m]."""
    entries: JointEntries
    clearance: float = 0.0
    """Distance that goals keep from walls: half of the robot's width [m]."""
    grid: GridMap | None = None
    """Free cells and walls; None where the workspace is a box."""
    box: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Range of x and of y [m]; None where there is a map."""

    @classmethod
    def read(cls, section: YamlSection, state: Sequence[Entry], source: str) -> 'PlaneGoals':
        """
        Read the section of a layout.

        :raises RobotError: if a key is missing or has a value that makes no sense.
        """
        joints = section.two_texts('joints')
        grid, box = section.optional_section('map'), section.optional_section('workspace')
        if (grid is None) == (box is None):
            section.refuse('map', None if grid is None else '{...}',
                           'either a map or a workspace {x: [low, high], y: [low, high]}')
        goals = cls(joints, section.number('tolerance', low=1e-6),
                    JointEntries.find(joints, state, source),
                    section.number('clearance', 0.0, low=0.0),
                    None if grid is None else GridMap.read(grid),
                    None if box is None else (box.range('x'), box.range('y')))
        if box is not None:
            box.end()
        return goals

    @property
    def fixed(self) -> NDArray:
        """Entries of the state that a goal fixes, shape (S,)."""
        return self.entries.mask

    @property
    def bounds(self) -> NDArray:
        """Lower and upper corner of a box around all goals [m], shape (2, 2)."""
        return np.array(self.box).T if self.grid is None else self.grid.bounds

    def position(self, state: NDArray) -> NDArray:
        """Return x and y of a state (S,) [m], shape (2,)."""
        return self.entries.positions_of(state)

    def check(self, goal: NDArray) -> None:
        """
        Refuse a goal (2,) outside the workspace, inside a wall, or too near one.

        :raises GoalError: saying which.
        """
        point = goal_point(goal)
        within_bounds(point, self.bounds)
        if self.grid is None:
            return
        x, y = point
        row, column = self.grid.cell_of(point)
        if self.grid.is_wall[row, column]:
            raise GoalError(f'goal ({x:g}, {y:g}) m is inside a wall: row {row}, column {column} '
                            'of the map, counted from 0 at the upper left; expected a free cell')
        if near := self.grid.walls_near(point, self.clearance):
            row, column = near[0]
            raise GoalError(f'goal ({x:g}, {y:g}) m is too near the wall in row {row}, column '
                            f'{column} of the map, expected a distance of at least '
                            f'{self.clearance:g} m, as the robot is wide')

    def state_at(self, goal: NDArray, near_state: NDArray) -> NDArray:
        """
        Return the robot at rest at a goal (2,), all else as in ``near_state``, shape (S,).

        :raises GoalError: if it cannot go there.
        """
        self.check(goal)
        return self.entries.at_rest(goal_point(goal), near_state)

    def draw(self, rng: np.random.Generator) -> NDArray:
        """Draw a goal, evenly over all there are [m], shape (2,)."""
        if self.grid is None:
            return rng.uniform(*self.bounds)
        while True:
            cell = self.grid.centre(*rng.choice(self.grid.free_cells))
            goal = cell + self.grid.cell * rng.uniform(-0.5, 0.5, 2)
            if not self.grid.walls_near(goal, self.clearance):
                return goal

    def to_dict(self) -> dict[str, Any]:
        """Return the section of the layout."""
        facts = {'kind': 'plane', 'joints': list(self.joints), 'tolerance': self.tolerance,
                 'clearance': self.clearance}
        if self.grid is not None:
            return {**facts, 'map': self.grid.to_dict()}
        return {**facts, 'workspace': dict(zip('xy', self.bounds.T.tolist(), strict=True))}
