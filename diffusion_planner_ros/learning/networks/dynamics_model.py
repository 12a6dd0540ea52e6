# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Dynamics model: the state that one action leads to."""

from itertools import pairwise

import torch
from torch import nn, Tensor
from torch.nn.functional import smooth_l1_loss

SMOOTH_L1_BETA = 0.1


class DynamicsModel(nn.Module):
    """
    An MLP for the change of the state (Nagabandi et al. 2018, https://arxiv.org/abs/1708.02596).

    Its forecast is several times finer than the second row of a denoised trajectory, on which the
    denoiser spends little of its loss.
    """

    change_std: Tensor

    def __init__(self, action_dim: int, state_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.action_dim = action_dim
        # Known from the data, not learned: the net's outputs all have about unit variance.
        self.register_buffer('change_std', torch.ones(state_dim))
        dims = [action_dim + state_dim, *[width] * depth]
        hidden = [layer for pair in pairwise(dims)
                  for layer in (nn.Linear(*pair), nn.SiLU())]
        self.net = nn.Sequential(*hidden, nn.Linear(width, state_dim))

    def forward(self, row: Tensor) -> Tensor:
        """Predict the next state (B, S) from rows ``[a | s]`` (B, D), both normalised."""
        return row[:, self.action_dim:] + self.change_std * self.net(row)

    def loss(self, row: Tensor, next_state: Tensor) -> Tensor:
        """Compare changes in their own standard deviations; contacts are outliers, hence L1."""
        change = (next_state - row[:, self.action_dim:]) / self.change_std
        return smooth_l1_loss(self.net(row), change, beta=SMOOTH_L1_BETA)
