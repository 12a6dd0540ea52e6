# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers plans clear of obstacles that are told while the robot moves."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...goals.obstacle import nearest_obstacle, Obstacle
from ...goals.plane_goals import PlaneGoals
from ..guides.guide_targets import GuideTargets

if TYPE_CHECKING:
    from ..bundle import Bundle

DEPTH = 0.05  # too near an obstacle, of one row of a plan, that takes 1 from its preference [m]
REACH = 1.2  # how far ahead plans are held to say where the robot will be [s]


class Obstacles:
    """
    Minus how much too near the nearest obstacle the robot is, summed over the first rows.

    In multiples of ``DEPTH``. Too near is nearer than its radius and ``obstacle_margin``. Later
    rows than ``REACH`` are too blurred: where they count, plans through walls are taken for ways
    around obstacles.

    :param config: says the margin.
    :raises ConfigError: if the robot does not slide over a plane.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        robot = bundle.robot
        if not isinstance(robot.goal, PlaneGoals):
            raise ConfigError(f"guides has 'obstacles', but the layout of {robot.name} does not "
                              "say where it is in a plane, expected a section goal of kind "
                              "'plane' in it, or no such guide")
        self.obstacles: tuple[Obstacle, ...] = ()
        """Those to keep clear of; they may change before every plan."""
        self._distance: float = robot.goal.clearance + config.obstacle_margin
        self._columns: NDArray = robot.action_dim + np.array(robot.goal.entries.positions)
        self._mean: NDArray = bundle.normalizer.mean[self._columns].astype(np.float32)
        self._std: NDArray = bundle.normalizer.std[self._columns].astype(np.float32)
        self._n_rows: int = 1 + n_foreseen_rows(bundle)

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        depth, _ = self.depth(x_0[:, :self._n_rows])
        return -depth.sum(axis=1) / DEPTH

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t, both (N, H, D), whatever the diffusion time."""
        del t
        gradient = np.zeros_like(x_t)
        depth, outwards = self.depth(x_t[:, :self._n_rows])
        gradient[:, :self._n_rows, self._columns] = (
            (depth > 0)[..., None] * outwards * self._std / DEPTH)
        return gradient

    def depth(self, rows: NDArray, slack: float = 0.0) -> tuple[NDArray, NDArray]:
        """
        Return how much too near rows (..., D) are [m], shape (...,), and the way out of that.

        :param slack: distance that is to be kept beyond radius and margin [m].
        :return: the way out has length 1, shape (..., 2).
        """
        if not self.obstacles:
            return np.zeros(rows.shape[:-1]), np.zeros((*rows.shape[:-1], 2))
        distance, outwards = nearest_obstacle(self.obstacles, self.points(rows))
        return np.maximum(self._distance + slack - distance, 0.0), outwards

    def points(self, rows: NDArray) -> NDArray:
        """Return where the robot is in normalised rows (..., D) [m], shape (..., 2)."""
        return self._mean + self._std * rows[..., self._columns]


def n_foreseen_rows(bundle: 'Bundle') -> int:
    """Return how many rows after the first one are within ``REACH``."""
    return min(bundle.horizon - 1, max(1, round(REACH / bundle.robot.control_period)))
