# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals of a planar arm of two links: where its tip is to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GoalError
from ..robots.yaml_section import YamlSection
from .goal_point import goal_point
from .joint_entries import Entry, JointEntries

ANY = (-np.inf, np.inf)


@dataclass(frozen=True)
class ArmGoals:
    """Points that the tip reaches; at joint positions of 0 the arm is straight along x."""

    joints: tuple[str, str]
    """The hinges, that at the base first; both turn counterclockwise."""
    links: tuple[float, float]
    """Distances from hinge to hinge, and from there to the tip [m]."""
    tolerance: float
    """Distance from a goal at which it is reached [m]."""
    entries: JointEntries
    base: tuple[float, float] = (0.0, 0.0)
    """Where the first hinge is [m]."""
    ranges: tuple[tuple[float, float], tuple[float, float]] = (ANY, ANY)
    """Of the joint positions at goals [rad]."""

    @classmethod
    def read(cls, section: YamlSection, state: Sequence[Entry], source: str) -> 'ArmGoals':
        """
        Read the section of a layout.

        :raises RobotError: if a key is missing or has a value that makes no sense.
        """
        joints, links = section.two_texts('joints'), section.pair('links')
        if not min(links) > 0:
            section.refuse('links', list(links), 'two lengths above 0')
        ranges = section.optional_section('ranges')
        goals = cls(joints, links, section.number('tolerance', low=1e-6),
                    JointEntries.find(joints, state, source), section.pair('base', (0.0, 0.0)),
                    (ANY, ANY) if ranges is None else
                    (ranges.range(joints[0], ANY), ranges.range(joints[1], ANY)))
        if ranges is not None:
            ranges.end()
        return goals

    @property
    def grid(self) -> None:
        """Nothing is in the way of an arm."""

    @property
    def fixed(self) -> NDArray:
        """Entries of the state that a goal fixes, shape (S,)."""
        return self.entries.mask

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest distance of the tip from the base [m]."""
        first, second = self.links
        return abs(first - second), first + second

    @property
    def bounds(self) -> NDArray:
        """Lower and upper corner of a box around all goals [m], shape (2, 2)."""
        return np.array(self.base) + self.reach[1] * np.array([[-1.0, -1.0], [1.0, 1.0]])

    def position(self, state: NDArray) -> NDArray:
        """Return where the tip is in a state (S,) [m], shape (2,): forward kinematics."""
        angles = np.cumsum(self.entries.positions_of(state))
        return np.array(self.base) + self.links @ np.stack([np.cos(angles), np.sin(angles)], 1)

    def check(self, goal: NDArray) -> None:
        """
        Refuse a goal (2,) beyond reach.

        :raises GoalError: saying how far the tip reaches.
        """
        if not self._solutions(goal_point(goal), np.zeros(2)):
            x, y = goal
            ranges = ' and '.join(f'{joint} from {low:g} to {high:g} rad' for joint, (low, high)
                                  in zip(self.joints, self.ranges, strict=True))
            raise GoalError(f'no joint positions bring the tip to goal ({x:g}, {y:g}) m within '
                            f'{ranges}, expected another goal')

    def state_at(self, goal: NDArray, near_state: NDArray) -> NDArray:
        """
        Return the arm at rest with its tip at a goal (2,): inverse kinematics, in closed form.

        Of all solutions within the ranges the one is taken whose joint positions are nearest to
        those of ``near_state``, shape (S,).

        :raises GoalError: if there is none.
        """
        self.check(goal)
        near = self.entries.positions_of(near_state)
        found = self._solutions(goal_point(goal), near)
        return self.entries.at_rest(min(found, key=lambda q: np.abs(q - near).max()), near_state)

    def _solutions(self, point: NDArray, near: NDArray) -> list[NDArray]:
        """
        Return joint positions (2,) within the ranges that bring the tip to a point.

        :param near: of several turns of a joint, those around these positions are tried.
        :raises GoalError: if the point is too far or too near.
        """
        first, second = self.links
        x, y = away = point - self.base
        distance, (least, most) = float(np.hypot(*away)), self.reach
        if not least <= distance <= most:
            raise GoalError(f'goal ({point[0]:g}, {point[1]:g}) m is {distance:.3g} m from the '
                            f"arm's base, beyond reach: expected {least:g} to {most:g} m")
        cosine = (distance**2 - first**2 - second**2) / (2 * first * second)
        elbow = np.arccos(np.clip(cosine, -1.0, 1.0))
        low, high = np.array(self.ranges).T
        turns, found = np.array([*product((-1, 0, 1), repeat=2)]), []
        for bend in (elbow, -elbow):
            shoulder = np.arctan2(y, x) - np.arctan2(
                second * np.sin(bend), first + second * np.cos(bend))
            positions = np.array([shoulder, bend])
            nearest = np.round((np.clip(near, low, high) - positions) / (2 * np.pi))
            found += [q for q in positions + 2 * np.pi * (nearest + turns)
                      if (low <= q).all() and (q <= high).all()]
        return found

    def draw(self, rng: np.random.Generator) -> NDArray:
        """Draw a goal, evenly over the area that is reached [m], shape (2,)."""
        least, most = self.reach
        while True:
            goal = rng.uniform(*self.bounds)
            if (least <= np.hypot(*(goal - self.base)) <= most
                    and self._solutions(goal, np.zeros(2))):
                return goal

    def to_dict(self) -> dict[str, Any]:
        """Return the section of the layout."""
        return {'kind': 'arm', 'joints': list(self.joints), 'links': list(self.links),
                'tolerance': self.tolerance, 'base': list(self.base),
                'ranges': dict(zip(self.joints, map(list, self.ranges), strict=True))}
