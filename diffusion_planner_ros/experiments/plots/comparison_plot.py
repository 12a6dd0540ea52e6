# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw a comparison: return and falls of every method, one column for every data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..comparison.baselines.baseline_registry import BEHAVIOUR
from ..comparison.comparison_table import by_data_and_method, falls_over_seeds, return_over_seeds
from ..comparison.evaluation import COMPARED
from ..robustness.robustness_conditions import NOMINAL

HEIGHT = 0.7  # of the band, 1 high, that a method's marks share
COLORS = dict(zip(COMPARED, ('#1f4e8c', '#d95f02', '#1b9e77', '#7b3294'), strict=True))
DATA_COLOR = '0.5'
LETTER_WIDTH = 0.08  # [inch]


def draw_comparison(cells: Sequence[dict[str, Any]], title: str, file: Path) -> None:
    """
    Draw mean returns with standard errors under every condition, and how often methods fell.

    Falls are those of the nominal condition. A dashed line is the mean return of the data.

    :param cells: as ``run_comparison`` returns them.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    groups = by_data_and_method(cells)
    methods = list(dict.fromkeys(cell['method'] for cell in cells))
    names_width = LETTER_WIDTH * max(map(len, methods))
    figure = Figure(figsize=(1.5 + names_width + 4.0 * len(groups), 1.8 + 0.5 * len(methods)),
                    layout='constrained')
    figure.suptitle(title)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (data, by_method) in zip(panels, groups.items(), strict=True):
        _draw_data_set(axes, by_method, methods)
        axes.set_title(data, fontsize='medium')
    rows = range(len(methods))
    panels[0].set(yticks=rows, ylim=(len(methods) - 0.4, -0.6))
    panels[0].set_yticklabels(methods)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center',
                  ncols=len(COMPARED) + 1 if len(groups) > 1 else 2, frameon=False)
    figure.savefig(file, dpi=110)


def _draw_data_set(axes: Axes, by_method: dict[str, list[dict[str, Any]]], methods: list[str]
                   ) -> None:
    behaviour = return_over_seeds(by_method.get(BEHAVIOUR, []), NOMINAL)
    if behaviour is not None:
        axes.axvline(behaviour[0], color=DATA_COLOR, ls='--', lw=1, label='the data')
    height = HEIGHT / len(COMPARED)
    for i, condition in enumerate(COMPARED):
        found = {row: return_over_seeds(by_method.get(method, []), condition)
                 for row, method in enumerate(methods)}
        at = {row: value for row, value in found.items() if value is not None}
        axes.errorbar([mean for mean, _ in at.values()],
                      [row + (i - (len(COMPARED) - 1) / 2) * height for row in at],
                      xerr=[error or 0.0 for _, error in at.values()], fmt='o', ms=4, capsize=2,
                      color=COLORS[condition], label=condition)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    for row, method in enumerate(methods):
        falls = falls_over_seeds(by_method.get(method, []))
        note = 'failed' if falls is None else f'{100 * falls:.0f} %'
        axes.annotate(note, (1.02, row), xycoords=('axes fraction', 'data'), va='center',
                      fontsize=8, annotation_clip=False)
        if row:
            axes.axhline(row - 0.5, color='0.9', lw=0.8)
    axes.annotate('falls', (1.02, -0.6), xycoords=('axes fraction', 'data'), va='bottom',
                  fontsize=8, annotation_clip=False)
    axes.set(xlabel='return, mean and standard error')
    axes.tick_params(left=False)
    axes.set_axisbelow(True)
    axes.grid(axis='x', color='0.9')
    axes.spines[['top', 'right']].set_visible(False)
