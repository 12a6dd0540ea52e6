# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Inverse dynamics of recordings: which torque leads from one state to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ...episode import Episode
from ...errors import DatasetError
from ...learning.networks.inverse_dynamics import InverseDynamics
from ...normalizer import Normalizer
from ...robot import Robot
from ...state_error import comparable
from ..progress import Progress, silent

WIDTH, DEPTH = 256, 2
BATCH_SIZE = 512
LEARNING_RATE = 3e-3
HELD_OUT_SHARE = 0.1  # of the episodes
REPORT_PERIOD = 50  # [updates]


@dataclass(frozen=True)
class LearnedInverse:
    """
    A small network from two states in a row to the torque between them.

    It is the second half of a planner of states alone (Decision Diffuser, Ajay et al. 2023,
    https://arxiv.org/abs/2211.15657).
    """

    robot: Robot
    normalizer: Normalizer
    """Of rows ``[a | s]``."""
    net: InverseDynamics
    held_out_error: float
    """Root mean square in episodes that were not learned from [N m]."""

    def torques(self, states: NDArray, next_states: NDArray) -> NDArray:
        """
        Return the torques [N m] that lead from states to the next ones, within the limits.

        :param states: [SI], shape (B, S).
        :param next_states: one control period later, shape (B, S).
        :return: shape (B, A).
        """
        limit = self.robot.torque_limit
        return np.clip(_torques(self.net, _states(states, self.robot, self.normalizer),
                                _states(next_states, self.robot, self.normalizer),
                                self.normalizer), -limit, limit)


def _states(states: NDArray, robot: Robot, normalizer: Normalizer) -> Tensor:
    return torch.as_tensor(comparable(states, robot, normalizer), dtype=torch.float32)


@torch.no_grad()
def _torques(net: InverseDynamics, states: Tensor, next_states: Tensor, normalizer: Normalizer
             ) -> NDArray:
    output = net(states, next_states).double().numpy()
    n_action = output.shape[1]
    return output * normalizer.std[:n_action] + normalizer.mean[:n_action]


def _steps(episodes: Sequence[Episode], robot: Robot, normalizer: Normalizer
           ) -> tuple[Tensor, Tensor, NDArray]:
    """Return normalised states and next states, and torques [N m], where the next is known."""
    counts = [len(e.observations) - 1 for e in episodes]
    states = [e.observations[:n] for e, n in zip(episodes, counts, strict=True)]
    torques = [e.actions[:n] * robot.torque_limit for e, n in zip(episodes, counts, strict=True)]
    return (_states(np.concatenate(states), robot, normalizer),
            _states(np.concatenate([e.observations[1:] for e in episodes]), robot, normalizer),
            np.concatenate(torques))


def learn_inverse(episodes: Sequence[Episode], robot: Robot, normalizer: Normalizer, *,
                  n_updates: int, seed: int, progress: Progress = silent) -> LearnedInverse:
    """
    Learn from the executed torques of recorded episodes, by least squares.

    :param episodes: a tenth of them, at least one, is held out.
    :param normalizer: of rows ``[a | s]``.
    :param n_updates: gradient steps.
    :param seed: of weights, batches and what is held out.
    :raises DatasetError: if there are fewer than two episodes of two states.
    """
    episodes = [e for e in episodes if len(e.observations) > 1]
    if len(episodes) < 2:
        raise DatasetError(f'the data have {len(episodes)} episodes of two states or more, '
                           'expected at least 2: one to learn from and another one to test on')
    order = np.random.default_rng(seed).permutation(len(episodes))
    n_held_out = max(1, round(HELD_OUT_SHARE * len(episodes)))
    held_out, learned = ([episodes[i] for i in part]
                         for part in (order[:n_held_out], order[n_held_out:]))
    states, next_states, torques = _steps(learned, robot, normalizer)
    n_action = robot.action_dim
    targets = torch.as_tensor((torques - normalizer.mean[:n_action]) / normalizer.std[:n_action],
                              dtype=torch.float32)
    torch.manual_seed(seed)
    net = InverseDynamics(n_action, robot.state_dim, WIDTH, DEPTH)
    changes = (next_states - states).double().numpy()
    net.change_std.copy_(torch.as_tensor(Normalizer.fit(changes).std))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_updates)
    with progress('learning inverse dynamics', n_updates, unit='updates') as advance:
        for update in range(n_updates):
            picked = torch.randint(len(states), (BATCH_SIZE,))
            loss = net.loss(states[picked], next_states[picked], targets[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if (update + 1) % REPORT_PERIOD == 0:
                advance(REPORT_PERIOD, loss=f'{float(loss.detach()):.4f}')
    net.requires_grad_(False)
    states, next_states, torques = _steps(held_out, robot, normalizer)
    errors = _torques(net, states, next_states, normalizer) - torques
    return LearnedInverse(robot, normalizer, net, float(np.sqrt(np.mean(np.square(errors)))))
