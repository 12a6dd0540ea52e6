# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw trips to goals: what was planned at first, and where the robot went."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Rectangle
import numpy as np

from ...goals.goal_space import GoalSpace
from ...goals.obstacle import Disc, Obstacle
from .trips import Trip

EXECUTED, PLANNED, OTHER, WALL = '#222222', '#d95f02', '#f2b98a', '#8c7a66'
OBSTACLE = '#b2182b'
COLUMNS, WIDTH = 4, 3.2  # of panels; of one [inches]


def draw_trips(trips: Sequence[Trip], space: GoalSpace, title: str, file: Path) -> None:
    """
    Draw a panel for every trip.

    :param trips: at least one.
    :param space: what the robot's goals are.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    n_rows = -(-len(trips) // COLUMNS)
    width, height = space.bounds[1] - space.bounds[0]
    figure = Figure(figsize=(COLUMNS * WIDTH, n_rows * WIDTH * height / width + 0.9),
                    layout='constrained')
    figure.suptitle(title)
    panels = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    for axes, trip in zip(panels, trips, strict=False):
        _draw(axes, trip, space)
    for axes in panels[len(trips):]:
        axes.axis('off')
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(labels), fontsize=9)
    figure.savefig(file, dpi=90)


def _draw(axes: Axes, trip: Trip, space: GoalSpace) -> None:
    low, high = space.bounds
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect='equal', xticks=[], yticks=[])
    if space.grid is not None:
        for row, column in np.argwhere(space.grid.is_wall):
            corner = space.grid.centre(row, column) - space.grid.cell / 2
            axes.add_patch(Rectangle((corner[0], corner[1]), space.grid.cell, space.grid.cell,
                                     color=WALL, lw=0))
    for i, plan in enumerate(trip.first_plans[1:]):
        axes.plot(*plan.T, color=OTHER, lw=0.8, label='' if i else 'other candidates')
    plan = 'first plan that knows the obstacles' if trip.obstacles else 'first plan'
    axes.plot(*trip.first_plans[0].T, color=PLANNED, lw=2, label=plan)
    axes.plot(*trip.path.T, color=EXECUTED, lw=1.2, ls='--', label='where it went')
    for i, obstacle in enumerate(trip.obstacles):
        axes.add_patch(_patch(obstacle, '' if i else 'obstacles'))
    if trip.has_collided:
        axes.set_title('collided', fontsize=9, color=OBSTACLE)
    axes.plot(*trip.path[0], 'o', color=EXECUTED, ms=5, label='start')
    axes.add_patch(Circle((trip.goal[0], trip.goal[1]), space.tolerance, color='tab:green',
                          alpha=0.35, lw=0))
    axes.plot(*trip.goal, '*', color='tab:green', ms=9, label='goal and tolerance')


def _patch(obstacle: Obstacle, label: str) -> Patch:
    look: dict[str, Any] = {'color': OBSTACLE, 'lw': 0, 'zorder': 3, 'label': label}
    if isinstance(obstacle, Disc):
        return Circle(obstacle.centre, obstacle.radius, **look)
    corner = np.array(obstacle.centre) - obstacle.half
    return Rectangle((corner[0], corner[1]), *(2 * np.array(obstacle.half)),
                     angle=np.degrees(obstacle.yaw), rotation_point='center', **look)
