# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Ways to goals: corners that a controller follows, around the walls of a map."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ...goals.goal_space import GoalSpace
from ...goals.grid_map import GridMap

Cell = tuple[int, int]
STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))
DETOUR_SHARE = 0.2  # of the ways that lead through a cell drawn at random
JITTER = 0.15  # of the corners, about the centres of cells [cells]


def way_to(space: GoalSpace, state: NDArray, goal: NDArray, rng: np.random.Generator) -> NDArray:
    """
    Return a way from a state (S,) to a goal (2,), in the positions of the goal's joints.

    On a map it is a shortest one over the cells, one of several where there are, or a detour. A
    goal in another cell than the robot's is approached through the centres of those between.

    :return: corners, the first where the robot is, the last at the goal, shape (n, 2).
    """
    start, end = (space.entries.positions_of(s) for s in (state, space.state_at(goal, state)))
    if (grid := space.grid) is None:
        return np.stack([start, end])
    first, last = grid.cell_of(start), grid.cell_of(end)
    cells = shortest_path(grid, first, last, rng)
    if rng.random() < DETOUR_SHARE:
        through = tuple(rng.choice(grid.free_cells).tolist())
        cells = (shortest_path(grid, first, through, rng)
                 + shortest_path(grid, through, last, rng)[1:])
    corners = np.array([grid.centre(*cell) for cell in cells[1:-1]]).reshape(-1, 2)
    corners += grid.cell * JITTER * rng.uniform(-1.0, 1.0, corners.shape)
    return np.concatenate([[start], corners, [end]])


def shortest_path(grid: GridMap, first: Cell, last: Cell, rng: np.random.Generator) -> list[Cell]:
    """
    Return free cells from one to another, both included, each a neighbour of the one before.

    :param rng: chooses among paths of the same length.
    """
    came_from, waiting = {last: last}, deque([last])
    while waiting and first not in came_from:
        cell = waiting.popleft()
        for row, column in rng.permutation(STEPS):
            neighbour = cell[0] + int(row), cell[1] + int(column)
            if not grid.is_wall[neighbour] and neighbour not in came_from:
                came_from[neighbour] = cell
                waiting.append(neighbour)
    path = [first]
    while path[-1] != last:
        path.append(came_from[path[-1]])
    return path


class Follower:
    """
    How far a robot has come on a way, and which point ahead it is to follow.

    :param corners: shape (n, 2).
    :param lookahead: distance of that point along the way, in the unit of the corners.
    """

    def __init__(self, corners: NDArray, lookahead: float) -> None:
        self._corners, self._lookahead = corners, lookahead
        lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
        self._at = np.concatenate([[0.0], np.cumsum(lengths)])  # of every corner, from the start
        self._progress = 0.0

    def point(self, place: NDArray) -> NDArray:
        """Return the point to follow from a place (2,), shape (2,); it never goes back."""
        ahead = self._progress + self._lookahead * np.linspace(0.0, 1.0, 11)
        nearest = np.linalg.norm(self._on_way(ahead) - place, axis=1).argmin()
        self._progress = min(float(ahead[nearest]), float(self._at[-1]))
        return self._on_way(np.array([self._progress + self._lookahead]))[0]

    def _on_way(self, distances: NDArray) -> NDArray:
        return np.stack([np.interp(distances, self._at, axis) for axis in self._corners.T], axis=1)
