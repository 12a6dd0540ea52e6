# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers over time, as lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
import viser

from ..history import History

SPAN = 60.0  # [s] that charts of the health show
HEIGHT = 120  # [pixels]
COLORS = ('#4c6ef5', '#e8590c', '#c92a2a')


def line_plot(gui: viser.GuiApi, title: str, *names: str, span: float,
              colors: Sequence[str] = COLORS) -> viser.GuiUplotHandle:
    """
    Add a chart of lines over the last seconds, which are not there yet.

    :param names: of the lines, the lowest first, at most as many as there are colours.
    :param span: what it shows [s].
    """
    look = {'width': 1.5, 'spanGaps': False, 'points': {'show': False}}
    series: tuple[Any, ...] = ({'label': 's'}, *(
        {'label': name, 'stroke': color, **look}
        for name, color in zip(names, colors, strict=False)))
    return gui.add_uplot(
        tuple(np.zeros(0) for _ in series), series, title=title, height=HEIGHT,
        scales={'x': {'time': False, 'range': (-span, 0.0)}, 'y': {'auto': True}},
        axes=({'show': True, 'size': 28}, {'show': True, 'size': 44}),
        legend={'show': len(names) > 1, 'live': False})


def without_gaps(times: NDArray, *lines: NDArray) -> tuple[NDArray, ...]:
    """
    Return lines that a chart can draw: uPlot knows no NaN, and one at the front empties the chart.

    Values that are missing are those of the nearest ones before and after, on a straight line; a
    line without any lies behind one that has some.

    :param times: shape (n,).
    :param lines: each of shape (n,).
    """
    known = [np.isfinite(line) for line in lines]
    filled = [np.interp(times, times[is_known], line[is_known]) if is_known.any() else None
              for line, is_known in zip(lines, known, strict=True)]
    instead = next((line for line in filled if line is not None), None)
    if instead is None:
        return tuple(np.zeros(0) for _ in (times, *lines))
    return times, *(instead if line is None else line for line in filled)


class TimeChart:
    """Some numbers over the last ``SPAN`` seconds."""

    def __init__(self, gui: viser.GuiApi, title: str, *names: str) -> None:
        self._history = History(len(names), SPAN)
        self._plot = line_plot(gui, title, *names, span=SPAN)

    def add(self, now: float, *numbers: float) -> None:
        """Add a sample."""
        self._history.add(now, *numbers)

    def clear(self) -> None:
        """Forget all."""
        self._history.clear()

    def refresh(self, now: float) -> None:
        """Draw what is new."""
        if (data := self._history.take(now)) is not None:
            self._plot.data = without_gaps(*data)
