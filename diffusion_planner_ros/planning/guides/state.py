# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers to be near a state."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from .guide_targets import GuideTargets

if TYPE_CHECKING:
    from ..bundle import Bundle


class State:
    """
    Minus half the squared distance from ``target_state``, summed over entries and rows.

    Distances are in standard deviations of the training data, or in halves of their range where
    that is how they were scaled.

    :param config: says the target.
    :raises ConfigError: if the target has another length than the robot's state.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        robot, target = bundle.robot, np.array(config.target_state)
        if len(target) != robot.state_dim:
            raise ConfigError(f'target_state has {len(target)} entries, expected '
                              f'{robot.state_dim}, the state of {robot.name}')
        self._n_action = robot.action_dim
        self._target = bundle.normalizer.normalize_state(target).astype(np.float32)

    def value(self, x_0: NDArray) -> NDArray:
        """Return the preference (N,) of clean trajectories (N, H, D)."""
        return -0.5 * np.square(x_0[:, :, self._n_action:] - self._target).sum(axis=(1, 2))

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t, both (N, H, D), whatever the diffusion time."""
        del t
        gradient = np.zeros_like(x_t)
        gradient[:, :, self._n_action:] = self._target - x_t[:, :, self._n_action:]
        return gradient
