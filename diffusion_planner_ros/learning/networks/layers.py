# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Layers that several networks share.

Their activation is SiLU: onnxruntime has no kernel for Mish, which takes half of a network's time.
"""

import math

import torch
from torch import nn, Tensor


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of the diffusion time and a small network on it (Ho et al. 2020)."""

    frequencies: Tensor

    def __init__(self, frequency_dim: int, out_dim: int) -> None:
        super().__init__()
        half = frequency_dim // 2
        self.register_buffer(
            'frequencies', torch.exp(-math.log(10000.0) * torch.arange(half) / (half - 1)))
        self.net = nn.Sequential(nn.Linear(frequency_dim, 2 * frequency_dim), nn.SiLU(),
                                 nn.Linear(2 * frequency_dim, out_dim))

    def forward(self, t: Tensor) -> Tensor:
        """Embed diffusion times (B,) as (B, out_dim)."""
        phase = t[:, None].to(self.frequencies.dtype) * self.frequencies
        return self.net(torch.cat([phase.sin(), phase.cos()], dim=-1))


class ResidualTrunk(nn.Module):
    """Residual MLP on a flattened window, each block told the diffusion time."""

    def __init__(self, in_dim: int, out_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.time = TimeEmbedding(64, width)
        self.entry = nn.Linear(in_dim, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(),
                          nn.Linear(width, width)) for _ in range(depth))
        self.exit = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out_dim))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map flat windows (B, in_dim) at diffusion times (B,) to (B, out_dim)."""
        time = self.time(t)
        h = self.entry(x)
        for block in self.blocks:
            h = h + block(h + time)
        return self.exit(h)
