# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw how long a plan takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

LINES = {'compiled': '-', 'general': '--', 'torch': ':'}
COLORS = ('#1f4e8c', '#d95f02', '#1b9e77', '#7b3294', '#666666')


def draw_benchmark(facts: Mapping[str, Any], file: Path) -> None:
    """
    Draw the median time over candidates, not guided and guided, and that of Diffuser's setting.

    :param facts: what ``measure_planning`` says.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    cells = facts['cells']
    figure = Figure(figsize=(10, 4.6), layout='constrained')
    for axes, guided in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
        for color, steps in zip(COLORS, sorted({c['steps'] for c in cells}), strict=False):
            of_steps = sorted((c for c in cells if (c['steps'], c['guided']) == (steps, guided)),
                              key=lambda cell: cell['candidates'])
            for name in (n for n in LINES if n in cells[0]):
                axes.plot([c['candidates'] for c in of_steps],
                          [c[name]['p50_ms'] for c in of_steps], LINES[name], marker='o', ms=3,
                          color=color, label=f'{name}, {steps} step{"s" * (steps > 1)}')
        if facts['diffuser_p50_s'] is not None:
            axes.axhline(1e3 * facts['diffuser_p50_s'], color='0.4', label="Diffuser's setting")
        ticks = sorted({c['candidates'] for c in cells})
        axes.set(title='guided' if guided else 'not guided', xscale='log', yscale='log',
                 xlabel='candidates', xticks=ticks)
        axes.set_xticks([], minor=True)
        axes.set_xticklabels(ticks)
        axes.grid(color='0.9')
        axes.spines[['top', 'right']].set_visible(False)
    figure.axes[0].set_ylabel('median time of a plan [ms]')
    figure.legend(*axes.get_legend_handles_labels(), loc='outside right center', frameon=False)
    figure.savefig(file, dpi=110)
