# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What recorded steps of a robot would have been worth in its simulation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from ..errors import RobotError
from ..robot import Robot
from .environment import make_environment


def task_judge(robot: Robot) -> Callable[[Episode], tuple[NDArray, NDArray]]:
    """
    Return a function that says what the steps of an episode are worth, and where the robot stands.

    The way forward is not in the state: the mean velocity in a step is taken to be that of the two
    states at its ends.

    :return: a function from an episode with the state after its last action to the reward of each
        step, shape (n,), and whether the robot has not fallen in each state, shape (n + 1,).
    :raises RobotError: if nothing simulates the robot, or its rewards are about goals.
    """
    environment = make_environment(robot.name)
    if environment.task.reaching:
        raise RobotError(f'the task of {robot.name} rewards being near a goal, which recordings '
                         'do not hold, expected a robot that moves forward, or --rewards recorded')
    forward = robot.state_index(environment.joint_names[environment.forward], 'velocity')

    def judge(episode: Episode) -> tuple[NDArray, NDArray]:
        velocities = episode.observations[:, forward]
        rewards, stands = [], []
        for k, state in enumerate(episode.observations):
            environment.place(state)
            stands.append(not environment.has_fallen)
            if k:
                rewards.append(environment.reward(
                    float(velocities[k - 1] + velocities[k]) / 2, episode.actions[k - 1]))
        return np.array(rewards), np.array(stands)

    return judge
