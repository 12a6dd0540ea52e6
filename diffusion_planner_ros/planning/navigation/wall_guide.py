# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers plans outside walls."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ..guides.guide_targets import GuideTargets

if TYPE_CHECKING:
    from ..bundle import Bundle

DEPTH = 0.05  # in a wall, of one row of a plan, that takes 1 from its preference [m]


class Walls:
    """
    Minus the way to the nearest free cell of the map in the robot's layout, summed over rows.

    A network knows walls from data alone, and takes some for a way. In multiples of ``DEPTH``.

    :param config: not used.
    :raises ConfigError: if the robot's goals have no map.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        del config
        robot = bundle.robot
        if robot.goal is None or robot.goal.grid is None:
            raise ConfigError(f"guides has 'walls', but the layout of {robot.name} has no map, "
                              'expected one in its section goal, or no such guide')
        self._grid = grid = robot.goal.grid
        self._is_wall = grid.is_wall[::-1].T  # by x and y
        self._columns = robot.action_dim + np.array(robot.goal.entries.positions)
        self._mean, self._std = (of_row[self._columns] for of_row in (
            bundle.normalizer.mean, bundle.normalizer.std))
        self._centres = np.array([grid.centre(*cell) for cell in grid.free_cells])

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        return -np.linalg.norm(self._way_out(x_0), axis=2).sum(axis=1) / DEPTH

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t, both (N, H, D), whatever the diffusion time."""
        del t
        way = self._way_out(x_t)
        length = np.linalg.norm(way, axis=2, keepdims=True)
        gradient = np.zeros_like(x_t)
        gradient[:, :, self._columns] = way / np.maximum(length, 1e-9) * self._std / DEPTH
        return gradient

    def _way_out(self, x: NDArray) -> NDArray:
        """Return the way to the nearest free cell [m], shape (N, H, 2), 0 outside walls."""
        points = self._mean + self._std * x[:, :, self._columns]
        cells = np.floor((points - self._grid.origin) / self._grid.cell).astype(int)
        inside = self._is_wall[tuple(np.clip(cells, 0, np.array(self._is_wall.shape) - 1).T)].T
        half = self._grid.cell / 2
        away = self._centres - points[inside][:, None]  # (n, free cells, 2)
        ways = away - np.clip(away, -half, half)
        nearest = np.square(ways).sum(axis=2).argmin(axis=1)
        way_out = np.zeros_like(points)
        way_out[inside] = ways[np.arange(len(ways)), nearest]
        return way_out
