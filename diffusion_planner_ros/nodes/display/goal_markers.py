# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals, and the walls between which they are, as markers for rviz2."""

from collections.abc import Sequence

from geometry_msgs.msg import Point
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from ...goals.goal_space import GoalSpace
from ...goals.plane_goals import PlaneGoals

GOALS, WALLS = 'goals', 'walls'  # namespaces
GOAL_COLOR = ColorRGBA(r=0.80, g=0.15, b=0.15, a=0.8)
WALL_COLOR = ColorRGBA(r=0.45, g=0.50, b=0.58, a=0.5)
GOAL_HEIGHT = 0.005  # [m], a disc on the ground
WALL_HEIGHT = 0.3  # share of a cell's side, so that one sees over them


def goal_markers(space: GoalSpace, goals: Sequence[NDArray], header: Header) -> list[Marker]:
    """
    Draw goals as discs that are as wide as their tolerance, and the walls of a map as boxes.

    :param goals: [m], shape (2,) each.
    :param header: with the time and the frame of all markers.
    """
    discs = [_marker(header, GOALS, i, Marker.CYLINDER, GOAL_COLOR,
                     (2 * space.tolerance, 2 * space.tolerance, GOAL_HEIGHT))
             for i in range(len(goals))]
    for disc, (x, y) in zip(discs, goals, strict=True):
        disc.pose.position = Point(x=float(x), y=float(y))
    if not isinstance(space, PlaneGoals) or (grid := space.grid) is None:
        return discs
    walls = _marker(header, WALLS, 0, Marker.CUBE_LIST, WALL_COLOR,
                    (grid.cell, grid.cell, WALL_HEIGHT * grid.cell))
    centres = [grid.centre(row, column) for row, column in np.argwhere(grid.is_wall)]
    walls.points = [Point(x=float(x), y=float(y)) for x, y in centres]
    return [*discs, walls]


def _marker(header: Header, namespace: str, number: int, kind: int, color: ColorRGBA,
            size: tuple[float, float, float]) -> Marker:
    marker = Marker(header=header, ns=namespace, id=number, type=kind, color=color)
    marker.scale.x, marker.scale.y, marker.scale.z = size
    return marker
