# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One recorded episode, the unit of every data set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Episode:
    """Consecutive steps of one robot: action ``k`` was taken in observation ``k``."""

    observations: NDArray
    """State [SI] before every action, and the one after the last action where it is known,
    shape (n or n + 1, S)."""
    actions: NDArray
    """Executed actions as a share of the robot's torque limits, shape (n, A)."""
    rewards: NDArray
    """Reward of every action, NaN where none was recorded, shape (n,)."""
    terminated: bool
    """Whether the episode ended in a fall, not in a time limit."""
    plans: NDArray | None = None
    """Planned states [SI] of the plan that starts from each observation but the last, its first
    row that observation; NaN where no plan was recorded, shape (n, H, S)."""
    policy_actions: NDArray | None = None
    """What the policy itself chose, before exploration noise was added, in the unit of
    ``actions``, shape (n, A)."""
    commands: NDArray | None = None
    """Commanded speed [m/s] in every control period, shape (n,)."""

    @property
    def has_rewards(self) -> bool:
        """Whether a reward was recorded for every action."""
        return not np.isnan(self.rewards).any()

    @property
    def last_state(self) -> NDArray | None:
        """State [SI] after the last action, shape (S,); None where it was not recorded."""
        return self.observations[-1] if len(self.observations) > len(self) else None

    @property
    def total_return(self) -> float:
        """Undiscounted sum of the rewards."""
        return float(self.rewards.sum())

    def __len__(self) -> int:
        return len(self.rewards)


def return_to_go(episode: Episode, *, discount: float, fall_penalty: float) -> NDArray:
    """
    Return the discounted sum of the rewards from every step to the end, shape (n,).

    A fall costs ``fall_penalty`` on top. An episode that only ran out of time would have gone on:
    what follows its end is worth the mean of its last rewards for ever.

    :param discount: per step, at least 0 and below 1.
    :param fall_penalty: what a fall costs [reward].
    """
    tail = float(episode.rewards[-round(1.0 / (1.0 - discount)):].mean()) / (1.0 - discount)
    future = -fall_penalty if episode.terminated else tail
    returns = np.empty(len(episode))
    for k in range(len(episode) - 1, -1, -1):
        future = episode.rewards[k] + discount * future
        returns[k] = future
    return returns
