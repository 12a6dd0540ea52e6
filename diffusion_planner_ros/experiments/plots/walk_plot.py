# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw a recorded walk: the planned against the executed path."""

from collections.abc import Sequence
import math
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...robot import Robot, StateEntry
from ...robots.task import Task

ZOOM = 1.0  # [s] of the walk that the lower panels show
EXECUTED, PLANNED = '#222222', '#d95f02'
UPPER_MOTORS = 2  # of the motors, the last of these is drawn: a knee where the first is a hip


def draw_walk(times: NDArray, positions: dict[str, NDArray],
              plans: Sequence[tuple[NDArray, dict[str, NDArray]]], title: str,
              file: Path, *, robot: Robot, task: Task) -> None:
    """
    Draw a joint against the way forward, and it and a motor's angle as planned at each moment.

    The first position of the state is that joint: the height of the torso of a walking robot.

    :param times: of the executed states [s], shape (n,).
    :param positions: executed joint positions [m, rad] by joint name, each (n,).
    :param plans: of each plan its times [s], (H,), and joint positions by name, each (H,).
    :param file: PNG to write.
    :param robot: names and units of what is drawn.
    :param task: says what is forward, and where the robot is healthy.
    """
    matplotlib.use('Agg')
    shown = _shown(robot)
    forward, first = task.forward_joint, shown[0]
    if forward is None:  # seen from above, as long as the first joints are slides
        forward, first = robot.state[0].joint, robot.state[1]
    figure = Figure(figsize=(10, 8), layout='constrained')
    path, *lower = figure.subplots(1 + len(shown), 1)
    figure.suptitle(title)

    path.plot(positions[forward], positions[first.joint], color=EXECUTED, lw=1)
    path.set(xlabel=f'{forward} [m]', ylabel=_label(first), title='executed path')
    healthy = {} if task.healthy is None else task.healthy.positions
    lowest = healthy.get(first.joint, (-math.inf, math.inf))[0]
    if math.isfinite(lowest):
        path.axhline(lowest, color='tab:red', lw=0.8, ls=':')
        path.annotate('fallen below', (positions[forward][0], lowest), color='tab:red',
                      fontsize=8, xytext=(0, 2), textcoords='offset points')

    middle = times[len(times) // 2]
    near = (times >= middle) & (times <= middle + ZOOM)
    inside = [p for p in plans if middle <= p[0][0] <= middle + ZOOM][::4]
    for axes, entry in zip(lower, shown, strict=True):
        for moment, planned in inside:
            axes.plot(moment, planned[entry.joint], color=PLANNED, lw=1.2, alpha=0.8)
            axes.plot(moment[0], planned[entry.joint][0], 'o', color=PLANNED, ms=3)
        axes.plot(times[near], positions[entry.joint][near], color=EXECUTED, lw=1.6, alpha=0.6)
        axes.set(xlabel='time [s]', ylabel=_label(entry))
    lower[0].plot([], [], color=EXECUTED, label='executed')
    lower[0].plot([], [], 'o-', ms=3, color=PLANNED, label='planned (every 4th plan)')
    lower[0].legend(loc='upper right', fontsize=8)
    figure.savefig(file, dpi=110)


def _shown(robot: Robot) -> list[StateEntry]:
    """Return the first position of the state, and that of a motor where it is another one."""
    measured = [entry for entry in robot.state if entry.quantity == 'position']
    driven = {entry.joint for entry in robot.action}
    motors = [entry for entry in measured[1:] if entry.joint in driven][:UPPER_MOTORS]
    return [measured[0], *motors[-1:]]


def _label(entry: StateEntry) -> str:
    return f'{entry.joint} [{entry.unit}]'
