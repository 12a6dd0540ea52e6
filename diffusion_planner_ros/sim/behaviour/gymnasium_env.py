# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot as Gymnasium's learners want it: same rewards, same falls, one source."""

from collections.abc import Callable

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..environment import Environment


class GymnasiumEnv(gymnasium.Env):
    """
    Environments of ours behind Gymnasium's interface.

    An observation is the state, an action the torque over its limit.

    :param make: returns the robot of an episode from its seed; all have the same state and action.
    """

    def __init__(self, make: Callable[[int], Environment]) -> None:
        self._make = make
        self.environment = environment = make(0)
        self.episode_seed = 0
        self._n_steps = 0
        self.observation_space = gymnasium.spaces.Box(
            -np.inf, np.inf, environment.state.shape, np.float64)
        self.action_space = gymnasium.spaces.Box(
            -1.0, 1.0, environment.torque_limit.shape, np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None
              ) -> tuple[NDArray, dict]:
        """
        Start an episode.

        :param seed: of this episode and of those that follow without one; without any, the
            episode's seed is drawn.
        """
        super().reset(seed=seed, options=options)
        self._n_steps = 0
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self.episode_seed = episode_seed
        self.environment = self._make(episode_seed)
        return self.environment.reset(episode_seed), {}

    def step(self, action: NDArray) -> tuple[NDArray, float, bool, bool, dict]:
        """
        Hold an action, shape (A,), for one control period.

        :return: state (S,), reward, whether the robot fell, whether time is over, and nothing.
        """
        torque = action * self.environment.torque_limit
        state, reward, fell = self.environment.step(torque)
        self._n_steps += 1
        is_late = self._n_steps >= self.environment.max_episode_steps
        return state, reward, fell, is_late, {}
