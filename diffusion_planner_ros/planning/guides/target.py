# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What guides share that prefer one entry of the state to be near a target."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..bundle import Bundle


class Target:
    """
    Minus half the squared distance of a state entry from a target, summed over the rows.

    So with weight w every row is normally distributed about the target, with standard deviation
    ``1 / sqrt(w)`` in the entry's unit.

    :param entry: position of the entry in the state.
    :param target: in the entry's unit.
    """

    def __init__(self, bundle: 'Bundle', entry: int, target: float) -> None:
        self._column = bundle.robot.action_dim + entry
        self._std = np.float32(bundle.normalizer.std[self._column])
        self._mean = bundle.normalizer.mean[self._column]
        self.aim(target)

    def aim(self, target: float) -> None:
        """Prefer another target [the entry's unit] from now on."""
        self._offset = np.float32(self._mean - target)

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        return -0.5 * np.square(self._error(x_0)).sum(axis=1)

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t, both (N, H, D), whatever the diffusion time."""
        del t
        gradient = np.zeros_like(x_t)
        gradient[:, :, self._column] = -self._std * self._error(x_t)
        return gradient

    def _error(self, x: NDArray) -> NDArray:
        """Return entry less target in the entry's unit, shape (N, H)."""
        return self._std * x[:, :, self._column] + self._offset
