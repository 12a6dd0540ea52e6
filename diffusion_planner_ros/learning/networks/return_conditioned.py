# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A denoiser that can be told the return that a trajectory shall have."""

from collections.abc import Callable

import torch
from torch import nn, Tensor


class ReturnConditioned(nn.Module):
    """
    Any denoiser, with the return as one more entry of every row.

    The mask of what is known says whether it is told: one network learns p(tau | s, R) and
    p(tau | s) (classifier-free guidance: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598).

    :param build: builds the denoiser for rows of a given length.
    :param row_dim: length of a row without the return, D.
    """

    def __init__(self, build: Callable[[int], nn.Module], row_dim: int) -> None:
        super().__init__()
        self.network = build(row_dim + 1)

    def forward(self, x_t: Tensor, t: Tensor, known: Tensor, wanted: Tensor | None = None
                ) -> Tensor:
        """
        Predict x_0 or eps (B, H, D) from x_t (B, H, D), t (B,) and what is known (B, H, D).

        :param wanted: normalised return (B,), NaN where none is told; None to tell none.
        """
        if wanted is None:
            wanted = torch.full_like(t, torch.nan, dtype=x_t.dtype)
        column = wanted[:, None, None].expand(-1, x_t.shape[1], 1)
        is_told = ~column.isnan()
        x = torch.cat([x_t, torch.where(is_told, column, 0.0)], dim=2)
        return self.network(x, t, torch.cat([known, is_told], dim=2))[:, :, :-1]


class ClassifierFree(nn.Module):
    """
    Guide a denoiser by what the wanted return changes in its prediction.

    :param diffusion: a ``Diffusion`` of a ``ReturnConditioned`` network.
    """

    def __init__(self, diffusion: nn.Module) -> None:
        super().__init__()
        self.diffusion = diffusion

    def forward(self, x_t: Tensor, t: Tensor, known: Tensor, wanted: Tensor, weight: Tensor
                ) -> Tensor:
        """
        Predict x_0 (B, H, D), see ``Diffusion.forward``.

        :param wanted: normalised return, shape (B,).
        :param weight: 0 as if nothing were wanted, 1 as conditioned on it, above 1 more of that,
            shape (B,). Ajay et al. (2023), https://arxiv.org/abs/2211.15657, eq. 9.
        """
        free = self.diffusion(x_t, t, known, torch.full_like(wanted, torch.nan))
        told = self.diffusion(x_t, t, known, wanted)
        return free + weight[:, None, None] * (told - free)
