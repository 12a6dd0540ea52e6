# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour data of a robot that is sent to goals: a controller follows ways, with noise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ...errors import RobotError
from ..environment import Environment, make_environment
from ..rollout import rollout
from .behaviour_data import RecordedData
from .ways import Follower, way_to

NOISE_SHARES = (0.0, 0.5, 1.0)
NOISE = 0.2  # standard deviation of the noise of the loudest episodes [torque limits]
NOISE_MEMORY = 0.7  # how much of it is left after a control period
MOVING_SHARE = 0.5  # of the episodes that begin on the way to another goal
MAX_BEFORE = 20  # of that way, which is not recorded [control periods]
DATA_SET = 'goals'


class WayController:
    """
    A PD controller that follows a way to the goal of a robot's episode.

    :param robot: as it was reset or placed; its goal is where the way leads.
    :param noise_share: of ``NOISE`` on the torques.
    :param rng: draws way and noise.
    :raises RobotError: if the robot is not sent to goals.
    """

    def __init__(self, robot: Environment, noise_share: float, rng: np.random.Generator) -> None:
        self._robot, self._rng, self._std = robot, rng, NOISE * noise_share
        space, how, goal = robot.robot.goal_space, robot.task.reaching, robot.goal
        if how is None or goal is None:
            raise RobotError(f'{robot.task.file}: the robot is not sent to goals, expected a '
                             'section reaching')
        self._how, self._entries = how, space.entries
        self.goal = goal
        self.stay = how.stay
        """How long to go on at the goal [control periods]."""
        self._follower = Follower(way_to(space, robot.state, goal, rng), how.lookahead)
        self._noise = np.zeros(len(robot.torque_limit))
        self.chosen: list[NDArray] = []
        """Actions without the noise [torque limits], shape (A,) each."""

    def __call__(self, state: NDArray, step: int) -> NDArray:
        """Return the torque in a state (S,) [N m], shape (A,)."""
        del step
        limit, entries = self._robot.torque_limit, self._entries
        place = entries.positions_of(state)
        torque = (self._how.stiffness * (self._follower.point(place) - place)
                  - self._how.damping * state[list(entries.velocities)])
        self.chosen.append(np.clip(torque / limit, -1.0, 1.0))
        draw = self._rng.standard_normal(len(limit))
        self._noise = (NOISE_MEMORY * self._noise
                       + np.sqrt(1 - NOISE_MEMORY**2) * self._std * draw)
        return limit * np.clip(self.chosen[-1] + self._noise, -1.0, 1.0)


def record_trip(robot: Environment, seed: int, noise_share: float) -> Episode:
    """
    Record one way to a goal, and a stay there.

    :param robot: is moved.
    :param seed: of start, goal, way and noise.
    """
    rng = np.random.default_rng((seed, 1))
    robot.reset(seed)
    if (goal := robot.goal) is not None and rng.random() < MOVING_SHARE:
        robot.aim(robot.robot.goal_space.draw(rng))
        rollout(robot, WayController(robot, noise_share, rng),
                n_steps=int(rng.integers(MAX_BEFORE)))
        robot.aim(goal)
    controller = WayController(robot, noise_share, rng)
    episode = rollout(robot, controller)
    space, chosen = robot.robot.goal_space, np.array(controller.chosen)
    places = np.array([space.position(state) for state in episode.observations])
    is_there = np.linalg.norm(places - controller.goal, axis=1) <= space.tolerance
    arrival = int(np.argmax(is_there)) if is_there.any() else len(episode)
    n = min(len(episode), arrival + controller.stay)
    return replace(episode, observations=episode.observations[:n + 1],
                   actions=episode.actions[:n], rewards=episode.rewards[:n],
                   policy_actions=chosen[:n])


def collect_trips(name: str, *, n_transitions: int, seed: int,
                  on_progress: Callable[[int], None]) -> RecordedData:
    """
    Record trips until they hold at least ``n_transitions`` steps.

    :param name: of a robot that is sent to goals.
    :param seed: of the data set.
    :param on_progress: called with the number of transitions since the last call.
    """
    robot, rng = make_environment(name), np.random.default_rng(seed)
    episodes: list[Episode] = []
    quiet: list[float] = []
    n_recorded = 0
    while n_recorded < n_transitions:
        share = NOISE_SHARES[len(episodes) % len(NOISE_SHARES)]
        episodes.append(record_trip(robot, int(rng.integers(2**31)), share))
        if share == 0.0:
            quiet.append(episodes[-1].total_return)
        n_recorded += len(episodes[-1])
        on_progress(len(episodes[-1]))
    return RecordedData(name, DATA_SET, episodes, float(np.mean(quiet)),
                        algorithm='PD controller along shortest ways and detours')
