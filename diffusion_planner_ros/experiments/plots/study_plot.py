# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw how alignments went: return and misalignment over the steps that were learned from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
import numpy as np
from numpy.typing import NDArray

from ..standard_error import standard_error

COLORS = ('#1f4e8c', '#d95f02', '#1b9e77', '#7b3294', '#e6ab02', '#a6761d', '#e7298a', '#17becf',
          '#666666')
# Name in a guard's results, label, scale of the axis.
PANELS = (('return_mean', "return of the guard's episodes", 'linear'),
          ('misalignment', 'misalignment [standard deviations]', 'log'))


def average(guards: Sequence[Sequence[Mapping[str, float]]], name: str
            ) -> tuple[NDArray, NDArray, NDArray]:
    """
    Average one figure over runs, between whose guards it is interpolated.

    Rounds end with an episode: no two runs are evaluated after just the same number of steps.

    :param guards: results of the guard, run by run.
    :return: steps, mean, and standard error (0 for a single run), each of shape (n,).
    """
    at = [[guard['n_steps'] for guard in run] for run in guards]
    # Those of the run with the fewest, as far as all runs go.
    steps = np.minimum(min(at, key=len), min(steps[-1] for steps in at))
    lines = np.stack([np.interp(steps, its_steps, [guard[name] for guard in run])
                      for its_steps, run in zip(at, guards, strict=True)])
    return steps, lines.mean(axis=0), np.array([standard_error(at) or 0.0 for at in lines.T])


def draw_study(variants: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], title: str,
               file: Path) -> None:
    """
    Draw the mean over the runs of every variant, with a band of its standard error.

    :param variants: results of the guard, run by run, by the variant's label.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(11, 4.8), layout='constrained')
    figure.suptitle(title)
    panels = figure.subplots(1, 2)
    for axes, (name, label, scale) in zip(panels, PANELS, strict=True):
        for i, (variant, guards) in enumerate(variants.items()):
            color = COLORS[i % len(COLORS)]
            steps, mean, stderr = average(guards, name)
            axes.plot(steps / 1000, mean, color=color, lw=2, label=variant)
            axes.fill_between(steps / 1000, mean - stderr, mean + stderr, color=color, alpha=0.2,
                              lw=0)
            for run in guards:
                axes.plot([g['n_steps'] / 1000 for g in run], [g[name] for g in run], '.',
                          color=color, ms=4, alpha=0.5)
        axes.set(xlabel='environment steps learned from [thousands]', ylabel=label, yscale=scale)
        if scale == 'log':  # less than a decade, as a rule
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
            axes.yaxis.set_major_formatter('{x:g}')
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(left=0)
        axes.grid(which='both', color='0.92')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center',
                  ncols=min(5, len(variants)), frameon=False)
    figure.savefig(file, dpi=110)
