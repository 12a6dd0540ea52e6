# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A slider from noise to plan, for a plan that was really executed."""

import viser

from ..denoising_steps import DenoisingSteps
from ..marker_shapes import MarkerShapes
from .words import note

ABOUT = ('Every plan begins as noise. Pause the robot, then drag: this is how the plan that you '
         'see became one.')


class DenoisingPanel:
    """Inputs that say whether, and which step of, the denoising of a plan is drawn."""

    def __init__(self, gui: viser.GuiApi) -> None:
        with gui.add_folder('From noise to plan', expand_by_default=False):
            gui.add_html(note(ABOUT))
            self._is_on = gui.add_checkbox('show it', False)
            self._share = gui.add_slider('noise to plan [%]', 0, 100, 1, 0)
            self._state = gui.add_html('')
        self._drawn: MarkerShapes | None = None

    @property
    def is_on(self) -> bool:
        """Whether steps of the denoising are to be drawn, in place of the plan."""
        return self._is_on.value

    def refresh(self, steps: DenoisingSteps) -> MarkerShapes | None:
        """Return what is to be drawn if that has changed, and say what it is."""
        if not self.is_on:
            self._drawn = None
            self._state.content = ''
            return None
        shapes = steps.at(self._share.value / 100)
        n = len(steps.steps)
        self._state.content = note('waiting for a plan ...' if shapes is None else
                                   f'after {steps.steps.index(shapes)} of {n - 1} steps')
        if shapes is self._drawn:
            return None
        self._drawn = shapes
        return shapes
