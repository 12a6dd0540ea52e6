# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw the robustness of one or more planners, condition by condition."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
import numpy as np

WIDTH = 0.7  # of the band, 1 high, that a condition's marks share
COLORS = ('#1f4e8c', '#d95f02', '#1b9e77', '#7b3294', '#666666')


def draw_robustness(conditions: Mapping[str, Mapping[str, Mapping[str, Any]]], title: str,
                    file: Path) -> None:
    """
    Draw returns with their standard errors, and falls, one colour per bundle.

    :param conditions: what ``summarize`` says, by condition and by the bundle's label.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    labels = list(next(iter(conditions.values())))
    height = WIDTH / len(labels)
    rows = np.arange(len(conditions))
    figure = Figure(figsize=(9, 1.8 + len(conditions) * (0.26 + 0.14 * len(labels))),
                    layout='constrained')
    returns, falls = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    figure.suptitle(title)
    for i, label in enumerate(labels):
        facts = [by_label[label] for by_label in conditions.values()]
        at = rows + (i - (len(labels) - 1) / 2) * height
        color = COLORS[i % len(COLORS)]
        returns.errorbar([f['return_mean'] for f in facts], at,
                         xerr=[f['return_stderr'] or 0.0 for f in facts], fmt='o', ms=5,
                         capsize=3, color=color, label=label)
        bars = falls.barh(at, [100 * f['fall_rate'] for f in facts], 0.8 * height, color=color)
        falls.bar_label(bars, [str(f['falls']) for f in facts], padding=2, fontsize=8)
    returns.set(xlabel='return, mean and standard error', yticks=rows, ylim=(rows[-1] + 0.6, -0.6))
    returns.set_yticklabels(conditions)
    returns.set_xlim(left=min(0.0, returns.get_xlim()[0]))
    falls.set(xlabel='falls [% of episodes] and their number', xlim=(0, 112),
              xticks=range(0, 101, 25))
    falls.tick_params(left=False)
    for axes in (returns, falls):
        axes.set_axisbelow(True)
        axes.grid(axis='x', color='0.9')
        axes.spines[['top', 'right']].set_visible(False)
        for row in rows[:-1]:
            axes.axhline(row + 0.5, color='0.9', lw=0.8)
    if len(labels) > 1:
        figure.legend(*returns.get_legend_handles_labels(), loc='outside lower center',
                      ncols=len(labels), frameon=False)
    figure.savefig(file, dpi=110)
