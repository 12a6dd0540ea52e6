"""How much better actions turned out than was expected."""

import numpy as np
from numpy.typing import NDArray


def generalized_advantage(rewards: NDArray, values: NDArray, after: float, *, discount: float,
                          gae_lambda: float) -> NDArray:
    """
    Advantage of every action of an episode (Schulman et al. 2016, arxiv.org/abs/1506.02438).

    :param rewards: shape (n,).
    :param values: of the states in which the actions were taken, shape (n,).
    :param after: value of what follows the last one.
    :return: shape (n,).
    """
    errors = rewards + discount * np.append(values[1:], after) - values
    advantage, following = np.empty_like(errors), 0.0
    for k in range(len(errors) - 1, -1, -1):
        following = errors[k] + discount * gae_lambda * following
        advantage[k] = following
    return advantage
