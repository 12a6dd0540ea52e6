"""Inverse dynamics: the torque that leads from one state to the next, learned from recordings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn, Tensor

from ...episode import Episode
from ...errors import DatasetError
from ...normalizer import Normalizer
from ...robot import Robot
from ...state_error import comparable
from ..progress import Progress, silent

WIDTH = 256
BATCH_SIZE = 512
LEARNING_RATE = 3e-3
HELD_OUT_SHARE = 0.1  # of the episodes
REPORT_PERIOD = 50  # [updates]


@dataclass(frozen=True)
class InverseDynamics:
    """
    A small MLP from two states in a row to the torque between them.

    It is the second half of a planner of states alone (Decision Diffuser, Ajay et al. 2023,
    https://arxiv.org/abs/2211.15657).
    """

    robot: Robot
    normalizer: Normalizer
    """Of rows ``[a | s]``."""
    change_std: NDArray
    """Of the change of every normalised state entry, shape (S,)."""
    net: nn.Module
    """From the normalised state and its change (B, 2 S) to the normalised torque (B, A)."""
    held_out_error: float
    """Root mean square in episodes that were not learned from [N m]."""

    def torques(self, states: NDArray, next_states: NDArray) -> NDArray:
        """
        Return the torques [N m] that lead from states to the next ones, within the limits.

        :param states: [SI], shape (B, S).
        :param next_states: one control period later, shape (B, S).
        :return: shape (B, A).
        """
        inputs = _inputs(states, next_states, self.robot, self.normalizer, self.change_std)
        limit = self.robot.torque_limit
        return np.clip(_unnormalized(self.net, inputs, self.normalizer), -limit, limit)


def _inputs(states: NDArray, next_states: NDArray, robot: Robot, normalizer: Normalizer,
            change_std: NDArray | float) -> Tensor:
    now, then = (comparable(s, robot, normalizer) for s in (states, next_states))
    # The change apart: it is a small part of the state, and all that the torque decides.
    return torch.as_tensor(np.concatenate([now, (then - now) / change_std], axis=1),
                           dtype=torch.float32)


@torch.no_grad()
def _unnormalized(net: nn.Module, inputs: Tensor, normalizer: Normalizer) -> NDArray:
    output = net(inputs).double().numpy()
    n = output.shape[1]
    return output * normalizer.std[:n] + normalizer.mean[:n]


def _steps(episodes: Sequence[Episode], robot: Robot) -> tuple[NDArray, NDArray, NDArray]:
    """Return states, next states and torques [N m] of all steps whose next state is known."""
    counts = [len(e.observations) - 1 for e in episodes]
    return (np.concatenate([e.observations[:n] for e, n in zip(episodes, counts, strict=True)]),
            np.concatenate([e.observations[1:] for e in episodes]),
            np.concatenate([e.actions[:n] * robot.torque_limit
                            for e, n in zip(episodes, counts, strict=True)]))


def learn_inverse_dynamics(episodes: Sequence[Episode], robot: Robot, normalizer: Normalizer, *,
                           n_updates: int, seed: int, progress: Progress = silent
                           ) -> InverseDynamics:
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
    states, next_states, torques = _steps(learned, robot)
    changes = _inputs(states, next_states, robot, normalizer, 1.0)[:, robot.state_dim:]
    change_std = Normalizer.fit(changes.double().numpy()).std
    inputs = _inputs(states, next_states, robot, normalizer, change_std)
    n_action = robot.action_dim
    targets = torch.as_tensor((torques - normalizer.mean[:n_action]) / normalizer.std[:n_action],
                              dtype=torch.float32)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(inputs.shape[1], WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH),
                        nn.SiLU(), nn.Linear(WIDTH, n_action))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_updates)
    with progress('learning inverse dynamics', n_updates, unit='updates') as advance:
        for update in range(n_updates):
            picked = torch.randint(len(inputs), (BATCH_SIZE,))
            loss = nn.functional.mse_loss(net(inputs[picked]), targets[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if (update + 1) % REPORT_PERIOD == 0:
                advance(REPORT_PERIOD, loss=f'{float(loss.detach()):.4f}')
    net.requires_grad_(False)
    states, next_states, torques = _steps(held_out, robot)
    found = _unnormalized(net, _inputs(states, next_states, robot, normalizer, change_std),
                          normalizer)
    return InverseDynamics(robot, normalizer, change_std, net,
                           float(np.sqrt(np.mean(np.square(found - torques)))))
