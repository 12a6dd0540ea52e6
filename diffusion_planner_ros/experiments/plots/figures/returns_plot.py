# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw predicted against achieved returns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
import numpy as np

from ...figures.predicted_returns import PredictedReturns

COLORS = ('#1f4e8c', '#d95f02')
MARKERS = ('o', '^')
N_BINS = 40
SHOWN = (1, 99)  # [%] of the errors of any robots: few are far out


def draw_returns(found: Mapping[str, Sequence[PredictedReturns]], title: str, file: Path) -> None:
    """
    Draw every plan, predicted over achieved, and how the errors are distributed.

    :param found: episodes by the name of the robots, at most two.
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(10, 4.8), layout='constrained')
    figure.suptitle(title)
    pairs, errors = figure.subplots(1, 2, width_ratios=(1.1, 1))
    both, ranges = [], []
    # The first ones, which differ least, above the others.
    for z, ((name, episodes), color, marker) in zip(
            range(len(found), 0, -1), zip(found.items(), COLORS, MARKERS, strict=False),
            strict=True):
        predicted, achieved, error = (
            np.concatenate([getattr(e, x) for e in episodes])
            for x in ('predicted', 'achieved', 'error'))
        label = f'{name}: {error.mean():+.1f} on average'
        pairs.plot(achieved, predicted, marker, color=color, ms=3.5, alpha=0.5, mew=0, label=label,
                   zorder=2 + z)
        both += [predicted, achieved]
        ranges.append((error, color, label))
    low, high = (f(np.concatenate(both)) for f in (np.min, np.max))
    pairs.plot([low, high], [low, high], color='0.3', lw=1, label='as predicted', zorder=2)
    pairs.set(xlabel='discounted return achieved [reward]', title='every plan',
              ylabel='discounted return predicted [reward]')
    low, high = np.percentile(np.concatenate([e for e, _, _ in ranges]), SHOWN)
    bins = np.linspace(min(low, 0.0), max(high, 0.0), N_BINS + 1)
    for error, color, label in ranges:
        shares = np.full(len(error), 100.0 / len(error))
        errors.hist(np.clip(error, bins[0], bins[-1]), bins, weights=shares, color=color,
                    alpha=0.25)
        errors.hist(np.clip(error, bins[0], bins[-1]), bins, weights=shares, color=color, lw=1.5,
                    histtype='step', label=label)
    errors.axvline(0.0, color='0.3', lw=1)
    errors.set(xlabel='predicted - achieved [reward]; above 0: over-estimated',
               ylabel='share of the plans [%]', title='errors (outermost bars: all beyond)')
    for axes in (pairs, errors):
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(*pairs.get_legend_handles_labels(), loc='outside lower center', ncols=3,
                  frameon=False, markerscale=2)
    figure.savefig(file, dpi=100)
