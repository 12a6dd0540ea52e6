# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw the torques of plans and of inverse dynamics, and how they jump."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np
from numpy.typing import NDArray

from ....robot import Robot
from ...figures.torque_jumps import (
    INVERSE,
    INVERSE_SAME_PLANS,
    PLANNED,
    RECORDED,
    TorqueEpisode,
)

STYLES = {PLANNED: ('#222222', '-'), INVERSE_SAME_PLANS: ('#d95f02', '-'),
          INVERSE: ('#1f4e8c', '--'), RECORDED: ('#1b9e77', ':')}
SHOWN = 0.4  # [s]
SHOWN_FROM = 1.6  # [s]: by then the robot walks evenly
N_JOINTS = 2
LOWEST_SHARE = 0.01  # [%]


def draw_torques(found: Sequence[TorqueEpisode], jumps: Mapping[str, NDArray], robot: Robot,
                 title: str, file: Path) -> None:
    """
    Draw a piece of the first episode, the jumps between control periods, and the returns.

    :param jumps: what ``all_jumps`` says.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(10.5, 5.2), layout='constrained')
    figure.suptitle(title)
    panels = figure.subplot_mosaic([['joint 0', 'jumps', 'returns'],
                                    ['joint 1', 'jumps', 'returns']], width_ratios=(1.5, 1.4, 0.9))
    period, torques = robot.control_period, found[0].torques
    n = len(torques[PLANNED])
    first = min(round(SHOWN_FROM / period), n // 2)
    rows = slice(first, first + round(SHOWN / period))
    for i in range(N_JOINTS):
        axes, entry = panels[f'joint {i}'], robot.action[i]
        for name in (PLANNED, INVERSE_SAME_PLANS):
            color, line = STYLES[name]
            values = torques[name][rows, i]
            times = (first + np.arange(len(values))) * period
            axes.step(times, values, line, where='post', color=color, lw=1.4)
        axes.set(ylabel=f'{entry.joint.removesuffix("_joint")} [N m]',
                 ylim=(-1.1 * entry.limit, 1.1 * entry.limit))
    panels['joint 0'].set_title('torques of the same plans', fontsize=10)
    panels['joint 0'].sharex(panels['joint 1'])
    panels['joint 0'].tick_params(labelbottom=False)
    panels['joint 1'].set_xlabel('time [s]')
    axes, handles = panels['jumps'], []
    for name, values in jumps.items():
        color, line = STYLES[name]
        ordered = np.sort(values)
        handles += axes.plot(ordered, 100.0 * (1.0 - np.arange(len(ordered)) / len(ordered)),
                             line, color=color, lw=1.8, label=name)
    axes.set(yscale='log', ylim=(LOWEST_SHARE, 110), xlim=(0, 2.0 * robot.torque_limit.max()),
             xlabel='jump of a torque between control periods [N m]',
             ylabel='share of larger jumps [%]')
    axes.set_yticks([0.01, 0.1, 1, 10, 100], ['0.01', '0.1', '1', '10', '100'])
    axes.set_title('all joints and episodes', fontsize=10)
    _draw_returns(panels['returns'], found)
    for axes in panels.values():
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(handles=handles, loc='outside lower center', ncols=4, frameon=False)
    figure.savefig(file, dpi=100)


def _draw_returns(axes: Axes, found: Sequence[TorqueEpisode]) -> None:
    """Draw the return of every episode, the two of a seed joined."""
    pairs = np.array([(one.planned.episode_return, one.inverse.episode_return) for one in found])
    axes.plot([0, 1], pairs.T, color='0.75', lw=0.8)
    for x, name in enumerate((PLANNED, INVERSE)):
        axes.plot(np.full(len(pairs), x), pairs[:, x], 'o', ms=4, alpha=0.6, mew=0,
                  color=STYLES[name][0])
        axes.plot([x - 0.2, x + 0.2], [pairs[:, x].mean()] * 2, color=STYLES[name][0], lw=2.5)
    axes.set(xlim=(-0.5, 1.5), ylabel='return')
    axes.margins(y=0.2)
    axes.set_xticks([0, 1], ['planned', 'inverse\ndynamics'])
    axes.set_title('episodes and their mean', fontsize=10)
