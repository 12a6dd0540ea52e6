# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Windows of fixed length, cut from recorded episodes: what a model is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode, return_to_go
from ..errors import DatasetError
from ..robot import Robot


def n_rows(episode: Episode) -> int:
    """
    Return the number of rows that windows of an episode are cut from.

    There is one for every action, and one for the state that a fall led to where that was
    recorded.
    """
    return len(episode) + _has_fall_state(episode)


def _has_fall_state(episode: Episode) -> bool:
    return episode.terminated and episode.last_state is not None


def _rows(episode: Episode, robot: Robot) -> NDArray:
    """Return the rows ``[a | s]`` of one episode; in a state of a fall the robot gets torque 0."""
    n = n_rows(episode)
    torque = np.zeros((n, robot.action_dim))
    torque[:len(episode)] = episode.actions * robot.torque_limit
    state = np.clip(episode.observations[:n], -robot.state_clip, robot.state_clip)
    return np.concatenate([torque, state], axis=1)


def _policy_torques(episodes: Sequence[Episode], robot: Robot) -> NDArray | None:
    if any(episode.policy_actions is None for episode in episodes):
        return None
    torques = []
    for episode in episodes:
        fallen = np.zeros((int(_has_fall_state(episode)), robot.action_dim))
        torques += [episode.policy_actions * robot.torque_limit, fallen]
    return np.concatenate(torques)


def _commands(episodes: Sequence[Episode]) -> NDArray | None:
    parts = []
    for episode in episodes:
        commands = episode.commands
        if commands is None:
            return None
        parts.append(np.append(commands, commands[-1:]) if _has_fall_state(episode) else commands)
    return np.concatenate(parts)


def _values(episode: Episode, *, discount: float, fall_penalty: float) -> NDArray:
    values = return_to_go(episode, discount=discount, fall_penalty=fall_penalty)
    return np.append(values, -fall_penalty) if _has_fall_state(episode) else values


@dataclass(frozen=True)
class Windows:
    """All windows of length H of a data set, as rows ``[a | s]`` in SI units."""

    rows: NDArray
    """Torques [N m] and states [SI] of all episodes, one after another, shape (n, D)."""
    starts: NDArray
    """First row of every window; no window crosses or passes the end of an episode."""
    values: NDArray
    """Discounted return-to-go of every row, shape (n,)."""
    horizon: int
    """Rows of a window, H."""
    reward_scale: float
    """Root mean square of the rewards; 1 where all of them are 0."""
    fallen: NDArray
    """Whether the robot has fallen in a row, shape (n,)."""
    policy_torques: NDArray | None = None
    """What the policy itself chose in every row, before exploration noise [N m], shape (n, A);
    None where an episode does not say."""
    commands: NDArray | None = None
    """Commanded speed [m/s] in every row, shape (n,); None where an episode does not say."""

    @classmethod
    def cut(cls, episodes: Sequence[Episode], robot: Robot, horizon: int, *, discount: float,
            fall_penalty: float) -> 'Windows':
        """
        Cut every window of ``horizon`` rows.

        Where an episode ended in a fall and the state after its last action was recorded, a row
        with that state follows the episode's others. Its torque is 0, as a robot that fell gets
        none, and its value is ``-fall_penalty``. So the transition into the fall is in a window.

        :param horizon: rows of a window, at least 1.
        :param discount: of the return-to-go, per row.
        :param fall_penalty: what a fall costs [reward].
        :raises DatasetError: if no episode is long enough.
        """
        rows, starts, values, fallen = [], [], [], []
        n_before = 0
        for episode in episodes:
            n = n_rows(episode)
            rows.append(_rows(episode, robot))
            values.append(_values(episode, discount=discount, fall_penalty=fall_penalty))
            starts.append(np.arange(n_before, n_before + max(0, n - horizon + 1)))
            fallen.append(np.arange(n) >= len(episode))
            n_before += n
        if not sum(len(s) for s in starts):
            raise DatasetError(f'the longest of {len(episodes)} episodes has '
                               f'{max(map(len, episodes))} steps, expected at least {horizon}, '
                               'the horizon; record longer episodes, or train with a smaller '
                               'horizon')
        rewards = np.concatenate([episode.rewards for episode in episodes])
        return cls(np.concatenate(rows), np.concatenate(starts), np.concatenate(values), horizon,
                   float(np.sqrt(np.mean(np.square(rewards)))) or 1.0, np.concatenate(fallen),
                   _policy_torques(episodes, robot), _commands(episodes))
