# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How much better actions turned out than was expected, and how often to imitate them for it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

MAX_LOG_WEIGHT = 5.0


def generalized_advantage(rewards: NDArray, values: NDArray, after: float, *, discount: float,
                          gae_lambda: float) -> NDArray:
    """
    Advantage of every action of an episode (Schulman et al. 2016, arxiv.org/abs/1506.02438).

    :param rewards: shape (n,).
    :param values: of the states in which the actions were taken [reward], shape (n,).
    :param after: value of the state after the last action [reward].
    :param discount: per step.
    :param gae_lambda: how far it looks ahead, from one step (0) to the end of the episode (1).
    :return: [reward], shape (n,).
    """
    errors = rewards + discount * np.append(values[1:], after) - values
    advantage, following = np.empty_like(errors), 0.0
    for k in range(len(errors) - 1, -1, -1):
        following = errors[k] + discount * gae_lambda * following
        advantage[k] = following
    return advantage


def imitation_weights(advantage: Tensor, temperature: float) -> Tensor:
    """
    Weights of the advantage-weighted regression of Peng et al. (2019), arxiv.org/abs/1910.00177.

    :param advantage: of the first action of every window [reward], shape (n,), at least one.
    :param temperature: advantage that makes a window e times as likely [standard deviations].
    :return: how often to imitate each window, in relation to the others, shape (n,).
    """
    deviation = advantage.std(correction=min(1, len(advantage) - 1))  # none of a single one
    scale = temperature * deviation.clamp(min=1e-6)
    return (advantage / scale).clamp(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT).exp()
