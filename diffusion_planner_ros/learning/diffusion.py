# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Diffusion of trajectories: forward process, loss, and the denoiser that is exported."""

import torch
from torch import nn, Tensor

from ..schedule import CLEAN, NoiseSchedule
from .window_parts import Seen


class Diffusion(nn.Module):
    """
    A denoising network and its noise schedule.

    What is known of a window is never noised, in training as in sampling, and the network is told
    what that is. The first state always is: the model learns p(tau | s_0) (Hu 2024, Algorithms 1.1
    and 1.2).

    :param network: maps x_t (B, H, D), t (B,) and known (B, H, D) to x_0, eps or v (B, H, D).
    :param prediction: which of them, 'x0', 'eps' or 'v', which is both:
        v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans and Ho 2022,
        https://arxiv.org/abs/2202.00512).
    :param seen: entries of a window that are denoised, (H, D), see ``seen_entries``; the others
        are 0, the mean of the data, in every x_0.
    """

    sqrt_alpha_bar: Tensor
    sqrt_one_minus_alpha_bar: Tensor

    def __init__(self, network: nn.Module, schedule: NoiseSchedule, *, prediction: str,
                 seen: Tensor) -> None:
        super().__init__()
        self.network = network
        self.prediction = prediction
        self.seen = Seen(seen)
        alpha_bar = torch.as_tensor(schedule.alpha_bar, dtype=torch.float32)
        self.register_buffer('sqrt_alpha_bar', alpha_bar.sqrt())
        self.register_buffer('sqrt_one_minus_alpha_bar', (1.0 - alpha_bar).sqrt())

    def forward(self, x_t: Tensor, t: Tensor, known: Tensor, wanted: Tensor | None = None
                ) -> Tensor:
        """
        Predict x_0 (B, H, D), whatever the network predicts.

        From eps as in eq. 15 of Ho et al. (2020); from v as in appendix D of Salimans and Ho.

        :param wanted: for a ``ReturnConditioned`` network alone.
        """
        output = self._output(x_t, t, known, wanted)
        signal, noise = self._scales(t)
        if self.prediction == 'eps':
            output = (x_t - noise * output) / signal
        elif self.prediction == 'v':
            output = signal * x_t - noise * output
        return self.seen(output)

    def _scales(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return by what x_0 and eps are multiplied in x_t, shape (B, 1, 1) each."""
        return (self.sqrt_alpha_bar[t][:, None, None],
                self.sqrt_one_minus_alpha_bar[t][:, None, None])

    def _output(self, x_t: Tensor, t: Tensor, known: Tensor, wanted: Tensor | None) -> Tensor:
        told = () if wanted is None else (wanted,)
        return self.network(self.seen(x_t), t, self.seen(known), *told)

    def noised(self, x_0: Tensor, t: Tensor, eps: Tensor, known: Tensor) -> Tensor:
        """
        Draw x_t from q(x_t | x_0) (Ho et al. 2020, eq. 4), what is known kept clean.

        :param x_0: normalised windows, shape (B, H, D).
        :param t: diffusion times, 0 to T - 1; a window at ``CLEAN`` stays as it is, shape (B,).
        :param eps: standard normal noise, shape (B, H, D).
        :param known: true where an entry is kept, shape (B, H, D).
        """
        signal, noise = self._scales(t)
        x_t = signal * x_0 + noise * eps
        return torch.where(known | (t == CLEAN)[:, None, None], x_0, x_t)

    def loss(self, x_0: Tensor, t: Tensor, eps: Tensor, known: Tensor, weight: Tensor,
             wanted: Tensor | None = None) -> Tensor:
        """
        L_simple (Ho et al. 2020, eq. 14) with a weight per entry, on what is not known.

        :param weight: shape (H, D), see ``loss_weight``, or (B, H, D).
        :param wanted: as in ``forward``.
        """
        signal, noise = self._scales(t)
        target = {'x0': x_0, 'eps': eps, 'v': signal * eps - noise * x_0}[self.prediction]
        output = self._output(self.noised(x_0, t, eps, known), t, known, wanted)
        return self.weighted_error(output, target, known, weight)

    def weighted_error(self, output: Tensor, target: Tensor, known: Tensor, weight: Tensor
                       ) -> Tensor:
        """Return the mean squared error of windows (B, H, D) where they are seen, not known."""
        return self.seen(~known * weight * (output - target) ** 2).mean()


def loss_weight(horizon: int, row_dim: int, action_dim: int, first_action_weight: float) -> Tensor:
    """Return weights (H, D): more on the first action."""
    weight = torch.ones(horizon, row_dim)
    weight[0, :action_dim] = first_action_weight
    return weight
