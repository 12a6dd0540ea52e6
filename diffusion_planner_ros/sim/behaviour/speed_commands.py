# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Commanded speeds: those of an episode, and what following them is worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMMAND_STREAM = 3  # of the episode's seed: apart from initial noise and drawn robots
FOLLOWING_REWARD = 2.0  # of a robot that is exactly as fast as commanded


@dataclass(frozen=True)
class SpeedCommands:
    """Speeds that hold for a while each, drawn anew in every episode."""

    fastest: float = 3.0
    """Commands are drawn evenly from 0 to this [m/s]."""
    standing_share: float = 0.2
    """Share of the commands that is 0 instead."""
    held: tuple[float, float] = (1.0, 4.0)
    """Shortest and longest time until the next one [s]."""

    def draw(self, seed: int, *, n_steps: int, control_period: float) -> NDArray:
        """
        Return the command [m/s] of every control period of an episode, shape (n,).

        :param seed: of the episode; the same seed gives the same commands.
        :param n_steps: control periods, n.
        :param control_period: [s].
        """
        rng = np.random.default_rng((seed, COMMAND_STREAM))
        commands = np.empty(n_steps)
        start = 0
        while start < n_steps:
            end = start + max(1, round(rng.uniform(*self.held) / control_period))
            is_standing = rng.uniform() < self.standing_share
            commands[start:end] = 0.0 if is_standing else rng.uniform(0.0, self.fastest)
            start = end
        return commands


def following_reward(velocity: NDArray | float, command: NDArray | float) -> NDArray | float:
    """
    Return what it is worth to be that fast [m/s], for each control period.

    It falls linearly with the error: far from the command, too, faster or slower makes a
    difference, which it would hardly with a bell curve.
    """
    return FOLLOWING_REWARD - np.abs(velocity - command)
