# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is in the way of a robot, in MuJoCo's model: walls of a map, and obstacles."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import mujoco
import numpy as np

from ..goals.grid_map import GridMap, WALL
from ..goals.obstacle import Disc, Obstacle

COLOR = 0.55, 0.45, 0.35, 1.0
OBSTACLE_COLOR = 0.75, 0.2, 0.2, 1.0
OBSTACLE = 'obstacle_'  # in front of its number, in the name of an obstacle's geom


def add_walls(spec: mujoco.MjSpec, grid: GridMap, height: float) -> None:
    """
    Add the walls of a map to a model, standing on z = 0.

    :param spec: is changed.
    :param height: [m].
    """
    for row, first, n_cells in _runs(grid):
        left, right = grid.centre(row, first), grid.centre(row, first + n_cells - 1)
        x, y = (left + right) / 2
        spec.worldbody.add_geom(
            name=f'wall_{row}_{first}', type=mujoco.mjtGeom.mjGEOM_BOX, rgba=COLOR,
            pos=[x, y, height / 2],
            size=[grid.cell * n_cells / 2, grid.cell / 2, height / 2])


def add_obstacles(spec: mujoco.MjSpec, obstacles: Sequence[Obstacle], height: float) -> None:
    """
    Add obstacles to a model, standing on z = 0.

    :param spec: is changed.
    :param height: [m].
    """
    kinds = mujoco.mjtGeom
    for number, obstacle in enumerate(obstacles):
        if isinstance(obstacle, Disc):
            kind, size, yaw = kinds.mjGEOM_CYLINDER, (obstacle.radius, height / 2, 0.0), 0.0
        else:
            kind, size, yaw = kinds.mjGEOM_BOX, (*obstacle.half, height / 2), obstacle.yaw
        spec.worldbody.add_geom(
            name=f'{OBSTACLE}{number}', type=kind, size=size, rgba=OBSTACLE_COLOR,
            pos=[*obstacle.centre, height / 2],
            quat=[np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def _runs(grid: GridMap) -> Iterator[tuple[int, int, int]]:
    """Return row, first column and number of cells of walls without a gap in a row."""
    for row, text in enumerate(grid.rows):
        column = 0
        for kind, cells in groupby(text):
            n_cells = len(list(cells))
            if kind == WALL:
                yield row, column, n_cells
            column += n_cells
