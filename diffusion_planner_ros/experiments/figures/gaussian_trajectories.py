# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a Gaussian makes of the data that a diffusion model learns from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn, Tensor

from ...data.windows import Windows
from ...normalizer import Normalizer
from ...robot import Robot
from ..progress import Progress, silent

WIDTH = 256
BATCH_SIZE = 256
LEARNING_RATE = 1e-3
# Below, a likelihood looks at hardly anything but what it knows well already, and finds poor means
# elsewhere (Seitzer et al. 2022, https://arxiv.org/abs/2203.09168).
LOG_STD_RANGE = -2.0, 2.0  # of normalised entries
REPORT_PERIOD = 50  # [updates]


@dataclass(frozen=True)
class GaussianTrajectories:
    """
    A policy of the usual kind: from the first state to a mean and a standard deviation.

    It says them of every entry of a whole trajectory, of which the first action is what a policy
    says. All entries are independent of each other.
    """

    normalizer: Normalizer
    """Of rows ``[a | s]``."""
    horizon: int
    net: nn.Module
    """From the normalised first state (B, S) to mean and log-deviation (B, 2 H D)."""

    @torch.no_grad()
    def distribution(self, state: NDArray) -> tuple[NDArray, NDArray]:
        """
        Return mean and standard deviation of the trajectory from a state, (H, D) each.

        :param state: [SI], clipped as the robot's are, shape (S,).
        :return: [N m, SI].
        """
        known = torch.as_tensor(self.normalizer.normalize_state(state), dtype=torch.float32)
        mean, log_std = (x[0].double().numpy() for x in _split(
            self.net(known[None]), self.horizon))
        return self.normalizer.unnormalize(mean), np.exp(log_std) * self.normalizer.std


def _split(output: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    mean, log_std = output.view(len(output), 2, horizon, -1).unbind(1)
    return mean, log_std.clamp(*LOG_STD_RANGE)


def learn_gaussian(windows: Windows, robot: Robot, normalizer: Normalizer, *, n_updates: int,
                   seed: int, progress: Progress = silent) -> GaussianTrajectories:
    """
    Learn by maximum likelihood.

    :param windows: of the robot.
    :param normalizer: of rows ``[a | s]``.
    :param n_updates: gradient steps.
    :param seed: of weights and batches.
    """
    torch.manual_seed(seed)
    rows = torch.as_tensor(normalizer.normalize(windows.rows), dtype=torch.float32)
    starts, steps = torch.as_tensor(windows.starts), torch.arange(windows.horizon)
    net = nn.Sequential(nn.Linear(robot.state_dim, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH),
                        nn.SiLU(), nn.Linear(WIDTH, 2 * windows.horizon * rows.shape[1]))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_updates)
    with progress('training a Gaussian', n_updates, unit='updates') as advance:
        for update in range(n_updates):
            picked = starts[torch.randint(len(starts), (BATCH_SIZE,))]
            x = rows[picked[:, None] + steps]  # (B, H, D)
            mean, log_std = _split(net(x[:, 0, robot.action_dim:]), windows.horizon)
            loss = (log_std + 0.5 * torch.square((x - mean) / log_std.exp())).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if (update + 1) % REPORT_PERIOD == 0:
                advance(REPORT_PERIOD, loss=f'{float(loss.detach()):.3f}')
    return GaussianTrajectories(normalizer, windows.horizon, net.requires_grad_(False))
