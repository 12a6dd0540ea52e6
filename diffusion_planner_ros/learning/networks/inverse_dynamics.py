# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Inverse dynamics: the action between two states."""

from itertools import pairwise

import torch
from torch import nn, Tensor


class InverseDynamics(nn.Module):
    """
    An MLP from a state and its change to the action (Ajay et al. 2023, eq. 8).

    For models that plan states alone, see ``TrainConfig.window``.
    """

    change_std: Tensor

    def __init__(self, action_dim: int, state_dim: int, width: int, depth: int) -> None:
        super().__init__()
        # Known from the data, not learned: changes are small beside states.
        self.register_buffer('change_std', torch.ones(state_dim))
        dims = [2 * state_dim, *[width] * depth]
        hidden = [layer for pair in pairwise(dims)
                  for layer in (nn.Linear(*pair), nn.SiLU())]
        self.net = nn.Sequential(*hidden, nn.Linear(width, action_dim))

    def forward(self, state: Tensor, next_state: Tensor) -> Tensor:
        """Return actions (B, A) between states (B, S), all normalised."""
        change = (next_state - state) / self.change_std
        return self.net(torch.cat([state, change], dim=1))

    def loss(self, state: Tensor, next_state: Tensor, action: Tensor) -> Tensor:
        """Return the mean squared error of the actions."""
        return ((self(state, next_state) - action) ** 2).mean()
