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
N_MARKS = 4  # of the time, beside that of now
HEIGHT = 114  # [pixels]
TIME_HEIGHT, NUMBER_WIDTH = 30, 48  # [pixels] of the axes
PADDING = (9, 26, 0, 0)  # [pixels] above, right, below, left: numbers at an end need some space
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
    ago = [span * k / N_MARKS for k in range(N_MARKS, -1, -1)]
    marks = {'splits': [-s for s in ago],
             'values': [f'{ago[0]:g} s ago', *(f'{s:g} s' for s in ago[1:-1]), 'now']}
    axes: Any = ({'show': True, 'size': TIME_HEIGHT, **marks},
                 {'show': True, 'size': NUMBER_WIDTH})
    return gui.add_uplot(
        tuple(np.zeros(0) for _ in series), series, title=title, height=HEIGHT, padding=PADDING,
        scales={'x': {'time': False, 'range': (-span, 0.0)}, 'y': {'auto': True}}, axes=axes,
        legend={'show': len(names) > 1, 'live': False})


def draw_lines(plot: viser.GuiUplotHandle, times: NDArray, *lines: NDArray) -> None:
    """
    Draw lines; NaN is a gap.

    :param times: shape (n,).
    :param lines: each of shape (n,).
    """
    # uPlot knows gaps as null alone, and arrays hold none. viser makes arrays of a tuple.
    plot.data = [times.tolist(), *(  # type: ignore[assignment]
        [None if np.isnan(number) else number for number in line.tolist()] for line in lines)]


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
        """Draw it as it is now: what is old moves on, whether anything is new or not."""
        draw_lines(self._plot, *self._history.at(now))
