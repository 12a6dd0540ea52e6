# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers torques that change little."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .guide_targets import GuideTargets

if TYPE_CHECKING:
    from ..bundle import Bundle


class Smoothness:
    """
    Minus half the squared change of torque over its limit, summed over joints and rows.

    :param config: not used.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        del config
        limit = bundle.robot.torque_limit
        self._n_action = len(limit)
        self._scale = (bundle.normalizer.std[:len(limit)] / limit).astype(np.float32)

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        return -0.5 * np.square(self._changes(x_0)).sum(axis=(1, 2))

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t, both (N, H, D), whatever the diffusion time."""
        del t
        gradient = np.zeros_like(x_t)
        changes = self._scale * self._changes(x_t)
        gradient[:, :-1, :self._n_action] = changes
        gradient[:, 1:, :self._n_action] -= changes
        return gradient

    def _changes(self, x: NDArray) -> NDArray:
        """Return changes from row to row of torques over their limits, shape (N, H - 1, A)."""
        return self._scale * np.diff(x[:, :, :self._n_action], axis=1)
