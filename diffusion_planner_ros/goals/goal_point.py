# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Checks that goals of all kinds share."""

import numpy as np
from numpy.typing import NDArray

from ..errors import GoalError


def goal_point(goal: NDArray) -> NDArray:
    """
    Return a goal in double precision.

    :raises GoalError: if it is not two finite numbers.
    """
    point = np.asarray(goal, dtype=np.float64)
    if point.shape != (2,) or not np.isfinite(point).all():
        raise GoalError(f'goal is {point.tolist()}, expected two finite numbers, x and y [m]')
    return point


def within_bounds(point: NDArray, bounds: NDArray) -> None:
    """
    Refuse a point outside the workspace.

    :param point: [m], shape (2,).
    :param bounds: lower and upper corner [m], shape (2, 2).
    :raises GoalError: saying what the bounds are.
    """
    (x, y), (low, high) = point, bounds
    if (point < low).any() or (point > high).any():
        raise GoalError(f'goal ({x:g}, {y:g}) m is outside the workspace, expected x from '
                        f'{low[0]:g} to {high[0]:g} m and y from {low[1]:g} to {high[1]:g} m')
