# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A behaviour policy as the controller of a rollout."""

from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Policy(Protocol):
    """Maps states to actions, as a ``GaussianPolicy`` does."""

    def distribution(self, states: NDArray) -> tuple[NDArray, NDArray]:
        """Return mean and standard deviation of the actions [torque limits] of states (B, S)."""


class PolicyController:
    """
    Give out the mean actions of a policy, some periods late.

    :param torque_limit: [N m], shape (A,).
    :param delay: control periods between a state and the action that follows from it, which the
        policy knows nothing of; until the first one the torque is zero.
    """

    def __init__(self, policy: Policy, torque_limit: NDArray, *, delay: int) -> None:
        self._policy = policy
        self._limit = torque_limit
        self._waiting = deque(np.zeros((delay, len(torque_limit))))

    def __call__(self, state: NDArray, step: int) -> NDArray:
        """Return the torque [N m], shape (A,), of a control period; ``state`` [SI], (S,)."""
        del step
        mean, _ = self._policy.distribution(state[None])
        self._waiting.append(np.clip(mean[0], -1.0, 1.0) * self._limit)
        return self._waiting.popleft()
