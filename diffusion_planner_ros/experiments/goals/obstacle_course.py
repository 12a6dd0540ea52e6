# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Courses: obstacles on the way of a robot from a start to a goal."""

from collections import deque
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...goals.grid_map import GridMap
from ...goals.obstacle import Box, Disc, nearest_obstacle, Obstacle
from ...goals.plane_goals import PlaneGoals
from ...sim.behaviour.ways import shortest_path, STEPS

FROM_START, FROM_GOAL = 1.5, 0.8  # least distance of an obstacle's centre [m]
SIZES = 0.1, 0.25  # radius of a disc, half sides of a box [m]
PASSAGE = 1.5  # that obstacles leave, in diameters of the robot
SPACING = 0.05  # of the points at which it may pass [m]
MAX_TRIES = 300  # to place an obstacle


def draw_course(space: PlaneGoals, start: NDArray, goal: NDArray, n_obstacles: int,
                rng: np.random.Generator) -> tuple[Obstacle, ...]:
    """
    Place obstacles on a shortest way over the cells of a map.

    Each is in the way of a robot that keeps to the middle of the cells, and all of them leave a
    passage of ``PASSAGE`` diameters of the robot through the same cells.

    :param start: [m], shape (2,).
    :param goal: [m], shape (2,).
    :return: ``n_obstacles``, or fewer where the way has no room for more.
    :raises ConfigError: if there is no map.
    """
    grid = space.grid
    if grid is None:
        raise ConfigError('there is no map of free cells, expected a robot whose section goal has '
                          'one, to draw obstacles in its way')
    obstacles: list[Obstacle] = []
    cells = shortest_path(grid, grid.cell_of(start), grid.cell_of(goal), rng)
    middle = _polyline([start, *(grid.centre(*cell) for cell in cells[1:-1]), goal])
    places = [p for p in middle if np.linalg.norm(p - start) > FROM_START
              and np.linalg.norm(p - goal) > FROM_GOAL]
    passage = _Passage(grid, cells, PASSAGE * space.clearance)
    for _ in range(MAX_TRIES if places else 0):
        if len(obstacles) == n_obstacles:
            break
        centre = places[rng.integers(len(places))] + rng.uniform(-0.5, 0.5, 2) * grid.cell
        obstacle = _draw_obstacle(tuple(centre.tolist()), rng)
        is_in_the_way = obstacle.distance(np.array(middle))[0].min() < space.clearance
        is_near = any(np.linalg.norm(centre - p) < limit for p, limit in (
            (start, FROM_START), (goal, FROM_GOAL)))
        if is_in_the_way and not is_near and passage.is_open([*obstacles, obstacle], start, goal):
            obstacles.append(obstacle)
    return tuple(obstacles)


def _draw_obstacle(centre: tuple[float, float], rng: np.random.Generator) -> Obstacle:
    if rng.random() < 0.5:
        return Disc(centre, float(rng.uniform(*SIZES)))
    return Box(centre, tuple(rng.uniform(*SIZES, 2).tolist()), float(rng.uniform(0.0, np.pi)))


def _polyline(corners: list[NDArray]) -> list[NDArray]:
    """Return points along a line through corners, ``SPACING`` apart at most."""
    points = [corners[0]]
    for a, b in pairwise(corners):
        n = max(1, int(np.ceil(np.linalg.norm(b - a) / SPACING)))
        points += [a + (b - a) * k / n for k in range(1, n + 1)]
    return points


class _Passage:
    """
    Points of some cells that are far enough from walls and obstacles.

    :param cells: those that are passed.
    :param distance: from walls and obstacles [m].
    """

    def __init__(self, grid: GridMap, cells: list[tuple[int, int]], distance: float) -> None:
        self._distance = distance
        half = grid.cell / 2
        along = np.arange(-half + SPACING / 2, half, SPACING)
        offsets = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
        points = np.concatenate([grid.centre(*cell) + offsets for cell in cells])
        around = {(row + i, column + j) for row, column in cells
                  for i, j in product((-1, 0, 1), repeat=2)}
        walls = [Box(tuple(grid.centre(*cell)), (half, half)) for cell in around - set(cells)]
        # Points stand for squares, of which one half is nearer to a wall.
        self._points = points[nearest_obstacle(walls, points)[0] >= distance - SPACING / 2]
        self._index = np.floor(self._points / SPACING).astype(int)  # (n, 2)

    def is_open(self, obstacles: list[Obstacle], start: NDArray, goal: NDArray) -> bool:
        """Whether free points lead from near the start to near the goal."""
        is_free = nearest_obstacle(obstacles, self._points)[0] >= self._distance
        points, index = self._points[is_free], self._index[is_free]
        if not len(points):
            return False
        first, last = (tuple(index[np.linalg.norm(points - p, axis=1).argmin()])
                       for p in (start, goal))
        left, waiting = set(map(tuple, index)), deque([first])
        while waiting:
            x, y = waiting.popleft()
            if (x, y) == last:
                return True
            for dx, dy in STEPS:
                if (neighbour := (x + dx, y + dy)) in left:
                    left.remove(neighbour)
                    waiting.append(neighbour)
        return False
