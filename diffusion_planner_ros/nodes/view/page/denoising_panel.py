# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A slider from noise to plan, for a plan that was really executed."""

from typing import Any

import viser

from ..denoising_steps import DenoisingSteps
from ..marker_shapes import MarkerShapes
from .words import note

ABOUT = ('Every plan begins as noise. Drag the slider, best while the robot is paused, to see how '
         'one became a plan.')
HIDDEN = 'The live plans are hidden meanwhile, as they would cover it.'


class DenoisingPanel:
    """Inputs that say whether, and which step of, the denoising of a plan is drawn."""

    def __init__(self, gui: viser.GuiApi) -> None:
        with gui.add_folder('From noise to plan', expand_by_default=False):
            gui.add_html(note(ABOUT))
            self._is_on = gui.add_checkbox('show it', False)
            self._share = gui.add_slider('noise to plan [%]', 0, 100, 1, 0)
            self._state = gui.add_html('')
        self._share.on_update(self._on_drag)
        self._drawn: MarkerShapes | None = None

    @property
    def is_on(self) -> bool:
        """Whether steps of the denoising are to be drawn, in place of the plan."""
        return self._is_on.value

    def _on_drag(self, event: Any) -> None:  # in a thread of viser's
        # A hint of viser's hides that it can be set.
        self._is_on.value = True  # type: ignore[misc]

    def refresh(self, steps: DenoisingSteps) -> MarkerShapes | None:
        """Return what is to be drawn if that has changed, and say what it is."""
        if not self.is_on:
            self._drawn = None
            self._state.content = ''
            return None
        shapes = steps.at(self._share.value / 100)
        self._state.content = note(_words(steps, shapes))
        if shapes is self._drawn:
            return None
        self._drawn = shapes
        return shapes


def _words(steps: DenoisingSteps, shapes: MarkerShapes | None) -> str:
    if shapes is None:
        return 'Waiting for the planner, which sends the steps of a plan every few seconds ...'
    done, last = steps.steps.index(shapes), len(steps.steps) - 1
    what = 'noise' if done == 0 else 'the plans, the chosen one in green' if done == last else ''
    return f'After {done} of {last} steps{what and f": {what}"}. {HIDDEN}'
