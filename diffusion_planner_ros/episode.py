"""One recorded episode, the unit of every data set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Episode:
    """Consecutive steps of one robot: action ``k`` was taken in observation ``k``."""

    observations: NDArray
    """State before every action, and the one after the last where it is known, (n or n + 1, S)."""
    actions: NDArray
    """As a share of the robot's torque limits, shape (n, A)."""
    rewards: NDArray
    """Shape (n,)."""
    terminated: bool
    """Whether the episode ended in a fall, not in a time limit."""
    policy_actions: NDArray | None = None
    """What the policy chose before noise was added, as a share of the limits, (n, A), if known."""

    @property
    def total_return(self) -> float:
        """Undiscounted sum of the rewards."""
        return float(self.rewards.sum())

    def __len__(self) -> int:
        return len(self.rewards)


def return_to_go(episode: Episode, *, discount: float, fall_penalty: float) -> NDArray:
    """
    Discounted sum of the rewards from every step to the end, shape (n,).

    A fall costs ``fall_penalty`` on top. An episode that only ran out of time would have gone on:
    what follows its end is worth the mean of its last rewards for ever.
    """
    tail = float(episode.rewards[-round(1.0 / (1.0 - discount)):].mean()) / (1.0 - discount)
    future = -fall_penalty if episode.terminated else tail
    returns = np.empty(len(episode))
    for k in range(len(episode) - 1, -1, -1):
        future = episode.rewards[k] + discount * future
        returns[k] = future
    return returns
