# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw how errors grow over the rows of trajectories."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
import numpy as np

from ...figures.errors_by_row import DENOISED, RowErrors, STEPWISE

STYLES = {DENOISED: ('#d95f02', '-', 'o'), STEPWISE: ('#1f4e8c', '--', '^')}


def draw_row_errors(found: Mapping[str, Mapping[str, RowErrors]], horizon: int,
                    control_period: float, title: str, file: Path) -> None:
    """
    Draw medians with quartiles, one panel for whose actions were executed.

    :param horizon: rows of a plan; where the next one begins a line is drawn.
    :param control_period: [s].
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(3.2 + 4.3 * len(found), 4.8), layout='constrained')
    figure.suptitle(title)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (actions, by_name) in zip(panels, found.items(), strict=True):
        for name, errors in by_name.items():
            color, line, marker = STYLES[name]
            low, median, high = errors.quartiles
            rows = np.arange(1, len(median) + 1)
            axes.fill_between(rows, low, high, color=color, alpha=0.18, lw=0)
            axes.plot(rows, median, line, color=color, marker=marker, ms=3.5,
                      label=f'{name}, median and quartiles')
        for row in range(horizon - 1, len(rows), horizon - 1):
            axes.axvline(row, color='0.6', lw=0.8, ls=':',
                         label='a plan ends, the next one begins' if row < horizon else None)
        axes.set(xlim=(0, len(rows) + 1), ylabel='error, RMS of the state [standard deviations]',
                 xlabel=f'control periods ahead (of {1e3 * control_period:g} ms)', title=actions)
        axes.set_ylim(bottom=0)
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center',
                  ncols=2, frameon=False)
    figure.savefig(file, dpi=110)
