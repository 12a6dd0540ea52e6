# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes as single transitions: what a policy learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....episode import Episode
from ....robot import Robot


@dataclass(frozen=True)
class Transitions:
    """All transitions of a data set, in single precision."""

    states: NDArray
    """[SI], shape (n, S)."""
    actions: NDArray
    """[torque limits], shape (n, A)."""
    rewards: NDArray
    """Shape (n, 1)."""
    next_states: NDArray
    """[SI], shape (n, S); of no meaning after a fall."""
    falls: NDArray
    """1 where the transition ended in a fall, else 0, shape (n, 1)."""
    returns: NDArray
    """Undiscounted return of every episode, shape (number of episodes,)."""

    @classmethod
    def of(cls, episodes: Sequence[Episode], robot: Robot) -> 'Transitions':
        """
        Cut episodes into transitions.

        Where an episode ran out of time, its last action is left out if the state after it was not
        recorded.
        """
        parts: list[tuple[NDArray, ...]] = []
        for episode in episodes:
            states = np.clip(episode.observations, -robot.state_clip, robot.state_clip)
            if episode.last_state is None and episode.terminated:
                states = np.concatenate([states, states[-1:]])
            n = len(states) - 1
            falls = np.zeros((n, 1))
            falls[-1:] = episode.terminated
            parts.append((states[:-1], episode.actions[:n], episode.rewards[:n, None], states[1:],
                          falls))
        before, actions, rewards, after, fallen = (
            np.concatenate(column).astype(np.float32) for column in zip(*parts, strict=True))
        return cls(before, actions, rewards, after, fallen,
                   np.array([episode.total_return for episode in episodes]))

    def __len__(self) -> int:
        return len(self.states)
