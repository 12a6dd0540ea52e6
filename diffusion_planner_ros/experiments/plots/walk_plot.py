"""Draw a recorded walk: the planned against the executed path."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from numpy.typing import NDArray

ZOOM = 1.0  # [s] of the walk that the lower panels show
EXECUTED, PLANNED = '#222222', '#d95f02'


def draw_walk(times: NDArray, positions: dict[str, NDArray],
              plans: Sequence[tuple[NDArray, dict[str, NDArray]]], title: str,
              file: Path) -> None:
    """
    Draw torso path, height and a knee angle, executed and as planned at each moment.

    :param times: of the executed states [s], shape (n,).
    :param positions: executed joint positions [m, rad] by joint name, each (n,).
    :param plans: of each plan its times [s], (H,), and joint positions by name, each (H,).
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(10, 8), layout='constrained')
    path, height, knee = figure.subplots(3, 1, height_ratios=(2, 2, 2))
    figure.suptitle(title)

    path.plot(positions['rootx'], positions['rootz'], color=EXECUTED, lw=1)
    path.set(xlabel='distance [m]', ylabel='torso height [m]', title='executed path')
    path.axhline(0.8, color='tab:red', lw=0.8, ls=':')
    path.annotate('fallen below', (positions['rootx'][0], 0.8), color='tab:red', fontsize=8,
                  xytext=(0, 2), textcoords='offset points')

    middle = times[len(times) // 2]
    shown = (times >= middle) & (times <= middle + ZOOM)
    inside = [p for p in plans if middle <= p[0][0] <= middle + ZOOM][::4]
    for axes, joint, label in ((height, 'rootz', 'torso height [m]'),
                               (knee, 'leg_joint', 'right knee angle [rad]')):
        for moment, planned in inside:
            axes.plot(moment, planned[joint], color=PLANNED, lw=1.2, alpha=0.8)
            axes.plot(moment[0], planned[joint][0], 'o', color=PLANNED, ms=3)
        axes.plot(times[shown], positions[joint][shown], color=EXECUTED, lw=1.6, alpha=0.6)
        axes.set(xlabel='time [s]', ylabel=label)
    height.plot([], [], color=EXECUTED, label='executed')
    height.plot([], [], 'o-', ms=3, color=PLANNED, label='planned (every 4th plan)')
    height.legend(loc='upper right', fontsize=8)
    figure.savefig(file, dpi=110)

