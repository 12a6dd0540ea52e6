# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The guide that every bundle brings along: the learned value."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...schedule import CLEAN
from .guide_targets import GuideTargets

if TYPE_CHECKING:
    from ..bundle import Bundle


class LearnedValue:
    """
    Predicted discounted return (Hu 2024), in rewards of one control period.

    The unit is the root mean square of the rewards in the training data, so that it depends
    neither on the unit of the reward nor on how returns were normalised. One control period that
    pays as usual makes a trajectory e times as probable.

    :param bundle: whose value network is asked.
    :param config: not used.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets | None = None) -> None:
        del config
        self._bundle = bundle

    @property
    def unit(self) -> np.float32:
        """Standard deviation of the returns in the guide's unit."""
        return np.float32(self._bundle.value_normalizer.std[0] / self._bundle.reward_scale)

    def value(self, x_0: NDArray) -> NDArray:
        """Return values (N,) of clean trajectories (N, H, D)."""
        return self.of_normalized(self._bundle.clean_value(x_0))

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its gradient at x_t of diffusion time t, both (N, H, D)."""
        t = self._bundle.value_clean_time if t == CLEAN else t
        return self.unit * self._bundle.value_gradient(x_t, t)

    def of_normalized(self, value: NDArray) -> NDArray:
        """Return values (N,) in the guide's unit from those that the network gives."""
        return self.unit * value

    def predicted_return(self, value: NDArray) -> NDArray:
        """Return discounted returns (N,) from values in the guide's unit."""
        mean = self._bundle.value_normalizer.mean[0]
        return mean + self._bundle.reward_scale * value.astype(np.float64)
