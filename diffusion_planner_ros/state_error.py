# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
How far a state is from the one that was predicted: one measure for all who compare states.

Its unit is the normaliser's: the standard deviations of the data, or halves of their range.
"""

import numpy as np
from numpy.typing import NDArray

from .normalizer import Normalizer
from .robot import Robot


def comparable(states: NDArray, robot: Robot, normalizer: Normalizer) -> NDArray:
    """
    Return states as they are compared: clipped as the model sees them, then normalised.

    :param states: in the order and units of ``robot.state``, shape (..., S).
    :return: [standard deviations of the data], shape (..., S).
    """
    return normalizer.normalize_state(np.clip(states, -robot.state_clip, robot.state_clip))


def state_error(predicted: NDArray, arrived: NDArray, robot: Robot, normalizer: Normalizer
                ) -> NDArray:
    """
    Compare predicted with measured states, in the order and units of ``robot.state``.

    :param predicted: shape (..., S).
    :param arrived: shape (..., S) or one that broadcasts to it.
    :return: root mean square over the entries [standard deviations of the data], shape (...).
    """
    return root_mean_square(entry_errors(predicted, arrived, robot, normalizer))


def entry_errors(predicted: NDArray, arrived: NDArray, robot: Robot, normalizer: Normalizer
                 ) -> NDArray:
    """Return what ``state_error`` is the root mean square of, shape (..., S)."""
    with np.errstate(over='ignore'):  # an error too large for a number is infinite
        return np.abs(comparable(predicted, robot, normalizer)
                      - comparable(arrived, robot, normalizer))


def root_mean_square(difference: NDArray) -> NDArray:
    """Return the root of the mean square over the last axis, shape (..., n) to (...)."""
    with np.errstate(over='ignore'):
        return np.sqrt(np.mean(np.square(difference), axis=-1))
