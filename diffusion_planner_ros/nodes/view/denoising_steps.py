# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The steps from noise to one plan, collected from the messages that show them one by one."""

from collections.abc import Sequence

from visualization_msgs.msg import MarkerArray

from ..display.markers import diffusion_time
from .marker_shapes import marker_shapes, MarkerShapes


class DenoisingSteps:
    """Keeps the last plan whose steps came completely."""

    def __init__(self) -> None:
        self.steps: Sequence[MarkerShapes] = ()
        """From noise to plan; empty until a plan has come."""
        self._coming: list[MarkerShapes] = []
        self._stamp: object = None

    def add(self, array: MarkerArray) -> None:
        """Take a message."""
        if (time := diffusion_time(array)) is None:
            return
        t, n_steps = time
        stamp = array.markers[0].header.stamp
        if t == n_steps:
            self._coming, self._stamp = [], stamp
        if stamp != self._stamp:
            return  # its first steps were missed
        self._coming.append(marker_shapes(array))
        if t == 0:
            self.steps, self._coming, self._stamp = self._coming, [], None

    def at(self, share: float) -> MarkerShapes | None:
        """Return the step at a share of the way from noise, 0, to plan, 1, if there is one."""
        if not self.steps:
            return None
        return self.steps[round(share * (len(self.steps) - 1))]
