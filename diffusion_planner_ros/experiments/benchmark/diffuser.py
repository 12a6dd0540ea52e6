# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
The released locomotion setting of Diffuser, for its time: its weights are not needed.

Janner et al. (2022), https://github.com/jannerm/diffuser, ``config/locomotion.py`` and
``diffuser/models/temporal.py``.
"""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import nn, Tensor

from ...learning.networks.layers import TimeEmbedding
from ...learning.networks.temporal_unet import BlockPair, ResidualBlock, TemporalUNet
from ...planning.planner_config import PlannerConfig
from ...schedule import NoiseSchedule
from .torch_planner import TorchPlanner

HORIZON = 32
WIDTH = 32
MULTIPLIERS = (1, 2, 4, 8)
SETTINGS = PlannerConfig(n_candidates=64, sampler='ddpm', n_denoise_steps=20,
                         guidance='diffuser', guidance_strength=0.1, n_guide_steps=2)


class TemporalValue(nn.Module):
    """The value network of Diffuser: the way down of the U-Net, and a layer on what is left."""

    def __init__(self, horizon: int, row_dim: int) -> None:
        super().__init__()
        self.time = TimeEmbedding(WIDTH, WIDTH)
        dims = [row_dim, *(WIDTH * m for m in MULTIPLIERS)]
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for in_dim, dim in pairwise(dims):
            self.down.append(BlockPair(in_dim, dim, WIDTH))
            self.shrink.append(nn.Conv1d(dim, dim, 3, stride=2, padding=1))
        self.middle = ResidualBlock(dims[-1], dims[-1] // 2, WIDTH)
        left = dims[-1] // 2 * (horizon // 2 ** len(MULTIPLIERS))
        self.exit = nn.Sequential(nn.Linear(left + WIDTH, left // 2), nn.Mish(),
                                  nn.Linear(left // 2, 1))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict a value (B,) of x_t (B, H, D) at t (B,)."""
        time = self.time(t)
        h = x_t.transpose(1, 2)  # (B, D, H)
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            h = shrink(blocks(h, time))
        h = self.middle(h, time).flatten(1)
        return self.exit(torch.cat([h, time], dim=1))[:, 0]


def diffuser_planner(like: TorchPlanner) -> TorchPlanner:
    """Return a planner of this setting for the robot of another one."""
    row_dim = len(like.row_limits[0])
    networks = (TemporalUNet(HORIZON, row_dim, WIDTH, MULTIPLIERS),
                TemporalValue(HORIZON, row_dim))
    denoiser, value = (network.eval().requires_grad_(False) for network in networks)
    return replace(like, denoiser=denoiser, value=value, config=SETTINGS, horizon=HORIZON,
                   schedule=NoiseSchedule('cosine', SETTINGS.n_denoise_steps))
