# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw what two models make of two gaits."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from ....robot import Robot
from ...figures.two_gaits import (
    DIFFUSION,
    GaitSamples,
    GAUSSIAN,
    GAUSSIAN_MEAN,
    leg_difference,
    RECORDED,
)

COLORS = {RECORDED: '#888888', DIFFUSION: '#d95f02', GAUSSIAN: '#1f4e8c',
          GAUSSIAN_MEAN: '#1f4e8c'}
MARKS: dict[str, dict[str, Any]] = {  # in the order in which they are drawn
    GAUSSIAN: {'marker': '^', 'ms': 5, 'alpha': 0.4, 'mec': 'none'},
    RECORDED: {'marker': '+', 'ms': 7, 'alpha': 0.7},
    DIFFUSION: {'marker': 'o', 'ms': 6, 'alpha': 0.6, 'mec': 'none'},
    GAUSSIAN_MEAN: {'marker': 'X', 'ms': 11, 'mec': 'white'}}
BINS = np.linspace(-1.325, 1.325, 54)  # either gait is in the middle of a bin


def draw_gaits(found: GaitSamples, robot: Robot, title: str, file: Path) -> None:
    """
    Draw the first torques of both thighs, the gaits of whole trajectories, and walks.

    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(11, 4.7), layout='constrained')
    figure.suptitle(title)
    torques, gaits, walks = figure.subplots(1, 3)
    handles = _draw_torques(torques, found, robot)
    for name in (RECORDED, GAUSSIAN, DIFFUSION):
        values = np.clip(found.gaits[name], BINS[0], BINS[-1])
        gaits.hist(values, BINS, weights=np.full(len(values), 100.0 / len(values)), lw=1.8,
                   histtype='step', color=COLORS[name], ls='--' if name == DIFFUSION else '-')
    gaits.set(xlabel='gait: -1 as recorded, 1 as its mirror image', ylabel='share [%]')
    gaits.set_title('whole trajectories from standing', fontsize=10)
    for name in (RECORDED, DIFFUSION, GAUSSIAN_MEAN):
        for episode in found.walks[name]:
            values = leg_difference(episode, robot)
            walks.plot(np.arange(len(values)) * robot.control_period, values,
                       color=COLORS[name], lw=1.2, alpha=0.6)
    walks.set(xlabel='time [s]', ylabel='right less left thigh angle [rad]')
    walks.set_title('walks (Gaussian: with its mean)', fontsize=10)
    for axes in (torques, gaits, walks):
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(handles=handles, loc='outside lower center', ncols=4, frameon=False)
    figure.savefig(file, dpi=100)


def _draw_torques(axes: Axes, found: GaitSamples, robot: Robot) -> list:
    """Draw the first torque of every trajectory; return what explains the marks."""
    joints = [entry.joint for entry in robot.action]
    right, left = (joints.index(joint) for joint in ('thigh_joint', 'thigh_left_joint'))
    handles = []
    for name, style in MARKS.items():
        first = found.trajectories[name][:, 0]
        handles += axes.plot(first[:, right], first[:, left], ls='', color=COLORS[name],
                             label=name, **style)
    axes.set(xlabel='torque of the right thigh [N m]', ylabel='torque of the left thigh [N m]')
    axes.set_title('first action from standing', fontsize=10)
    return handles
