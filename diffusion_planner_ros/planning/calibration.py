# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How a model and its training data agree: what the monitor compares a robot with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = np.arange(101)


@dataclass(frozen=True)
class Calibration:
    """Prediction errors of plans that start in the training data, with given planner settings."""

    errors: NDArray
    """Percentiles 0 to 100 of the ``state_error`` of the predicted next state [standard
    deviations], shape (101,)."""
    largest: NDArray
    """Largest error of every state entry alone [standard deviations], shape (S,)."""
    state_min: NDArray
    """Smallest value of every state entry in the data [SI], shape (S,)."""
    state_max: NDArray
    """Largest value of every state entry in the data [SI], shape (S,)."""
    state_std: NDArray
    """Standard deviation of every state entry in the data [SI], shape (S,)."""
    planner: Mapping[str, Any]
    """The settings that it was measured with, see ``PlannerConfig.decisive``."""

    @property
    def scale(self) -> float:
        """The 99th percentile of the error [standard deviations], the unit of a score."""
        return float(self.errors[99])

    def percentile(self, error: float) -> float:
        """Return the share of the data that has a smaller error [%]."""
        return float(np.interp(error, self.errors, PERCENTILES))

    def differences(self, planner: Mapping[str, Any]) -> list[str]:
        """
        Say, one text each, in which settings a planner is another one than was measured.

        :param planner: what ``PlannerConfig.decisive`` returns.
        """
        return [f'{name} is {value}, measured with {self.planner.get(name)}'
                for name, value in planner.items() if value != self.planner.get(name)]


def read_calibrations(facts: Mapping[str, Any], state_dim: int) -> dict[str, Calibration]:
    """
    Read the calibrations of a bundle's facts, by the setting ``states``; none without data.

    :raises ValueError: if the numbers make no sense.
    """
    if 'prediction_error' not in facts:
        return {}
    low, high, std = (np.array(facts['state_range'][k], dtype=np.float64)
                      for k in ('min', 'max', 'std'))
    if (any(array.shape != (state_dim,) for array in (low, high, std))
            or not np.all(low <= high) or not np.all(std > 0)):
        raise ValueError(f'state_range: shapes are {low.shape}, {high.shape} and {std.shape}, '
                         f'expected ({state_dim},), min at most max, and std above 0')
    found = {}
    for states, measured in facts['prediction_error'].items():
        errors = np.array(measured['percentiles'], dtype=np.float64)
        if (errors.shape != PERCENTILES.shape or not np.isfinite(errors).all()
                or not np.all(np.diff(errors) >= 0) or not errors[0] >= 0 or not errors[99] > 0):
            raise ValueError(f'prediction_error: percentiles of {states} states are not usable, '
                             f'expected {len(PERCENTILES)} ascending numbers of at least 0')
        largest = np.array(measured['largest'], dtype=np.float64)
        if (largest.shape != (state_dim,) or not np.isfinite(largest).all()
                or not np.all(largest > 0)):
            raise ValueError(f'prediction_error: largest of {states} states is not usable, '
                             f'expected {state_dim} numbers above 0')
        found[states] = Calibration(errors, largest, low, high, std, measured['planner'])
    return found
