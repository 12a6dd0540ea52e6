# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What plans predicted of an entry of the state against what was measured."""

from collections.abc import Sequence

import numpy as np
import viser

from ..prediction import Prediction, SPAN
from .time_chart import COLORS, draw_lines, line_plot
from .words import note

NOTHING = 'nothing'
UNITS = 'm, rad; m/s, rad/s'


class PredictionPanel:
    """A list of entries to choose from, and a chart of the one that is chosen."""

    def __init__(self, gui: viser.GuiApi) -> None:
        self._entry = gui.add_dropdown('Predicted against measured', (NOTHING,),
                                       hint='Choose a position or a velocity of a joint. Some '
                                       'plans of the last seconds are drawn, one after the other: '
                                       'what each predicted of it, and what was measured then.')
        self._plot = line_plot(gui, f'[{UNITS}]', 'predicted by plans', 'measured', span=SPAN,
                               colors=COLORS[1::-1])
        self._plot.visible = False
        self._remark = gui.add_html('')

    @property
    def entry(self) -> str:
        """Name of the entry to show; '' for none."""
        return '' if self._entry.value == NOTHING else self._entry.value

    def offer(self, entries: Sequence[str]) -> None:
        """Let people choose among these entries."""
        options = NOTHING, *entries
        if options != tuple(self._entry.options):
            self._entry.options = options

    def refresh(self, prediction: Prediction | None) -> None:
        """Draw what is new, and say how far the two differ."""
        self._plot.visible = prediction is not None
        if prediction is None:
            self._remark.content = ''
            return
        if (data := prediction.take()) is None:
            return
        times, measured, predicted = data
        error = predicted - measured
        draw_lines(self._plot, times, predicted, measured)
        known = error[np.isfinite(error)]
        self._remark.content = note(
            f'root mean square of the difference: {np.sqrt(np.mean(known ** 2)):.3g}'
            if len(known) else 'no plan is over yet ...')
