# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot that is told how fast to be, as Gymnasium's learners want it."""

from dataclasses import replace
from functools import cache

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...robot import Robot
from ...robots.robot_folder import robot_folder
from ...robots.task import Task
from ..environment import Environment
from ..mujoco_environment import MujocoEnvironment
from ..perturbation import Perturbation
from .gymnasium_env import GymnasiumEnv
from .speed_commands import following_reward, SpeedCommands


@cache
def _described(folder: str) -> tuple[Robot, Task]:
    task = Task.load(folder)
    return Robot.load(folder), replace(task, reward=replace(task.reward, forward_velocity=0.0))


def unhurried(robot: str, perturbation: Perturbation) -> MujocoEnvironment:
    """
    Build the simulation of a robot whose reward has no preference for a speed.

    What is left of its task is to stay on its feet and to spend little. A value that learns from
    such rewards leaves the speed to a guide.
    """
    return MujocoEnvironment(*_described(str(robot_folder(robot))), perturbation)


def forward_entry(environment: Environment) -> int:
    """
    Return which entry of the state is the forward velocity [m/s].

    :raises RobotError: if none is.
    """
    return environment.robot.state_index(environment.joint_names[environment.forward], 'velocity')


class CommandedEnv(gymnasium.Wrapper):
    """
    Add the commanded speed to the state and the reward for following it to the reward.

    An observation is ``[state | command]``.

    :param env: of ``unhurried`` robots.
    :param commands: of the episodes.
    """

    env: GymnasiumEnv

    def __init__(self, env: GymnasiumEnv, commands: SpeedCommands) -> None:
        super().__init__(env)
        self._drawn_from = commands
        self._forward = forward_entry(env.environment)
        self.observation_space = gymnasium.spaces.Box(
            -np.inf, np.inf, (env.environment.robot.state_dim + 1,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict | None = None
              ) -> tuple[NDArray, dict]:
        """Start an episode and draw its commands."""
        state, info = self.env.reset(seed=seed, options=options)
        environment = self.env.environment
        self._commands = self._drawn_from.draw(
            self.env.episode_seed, n_steps=environment.max_episode_steps + 1,
            control_period=environment.control_period)
        self._n_steps = 0
        return self._observed(state), info

    def step(self, action: NDArray) -> tuple[NDArray, float, bool, bool, dict]:
        """Hold an action, shape (A,), for one control period."""
        state, reward, terminated, truncated, info = self.env.step(action)
        reward += float(following_reward(state[self._forward], self._commands[self._n_steps]))
        self._n_steps += 1
        return self._observed(state), reward, terminated, truncated, info

    def _observed(self, state: NDArray) -> NDArray:
        return np.append(state, self._commands[self._n_steps])
