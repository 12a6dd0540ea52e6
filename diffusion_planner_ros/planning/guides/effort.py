# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers small torques."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .guide_targets import GuideTargets

if TYPE_CHECKING:
    from ..bundle import Bundle


class Effort:
    """
    Minus half the squared torque over its limit, summed over joints and rows.

    :param config: not used.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        del config
        limit = bundle.robot.torque_limit
        self._n_action = len(limit)
        self._scale = (bundle.normalizer.std[:len(limit)] / limit).astype(np.float32)
        self._offset = (bundle.normalizer.mean[:len(limit)] / limit).astype(np.float32)

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        return -0.5 * np.square(self._effort(x_0)).sum(axis=(1, 2))

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t, both (N, H, D), whatever the diffusion time."""
        del t
        gradient = np.zeros_like(x_t)
        gradient[:, :, :self._n_action] = -self._scale * self._effort(x_t)
        return gradient

    def _effort(self, x: NDArray) -> NDArray:
        """Return torques over their limits, shape (N, H, A)."""
        return self._scale * x[:, :, :self._n_action] + self._offset
