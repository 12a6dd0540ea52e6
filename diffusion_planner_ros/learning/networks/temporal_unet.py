# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Denoiser: the temporal U-Net of Janner et al. (2022, https://arxiv.org/abs/2205.09991)."""

import torch
from torch import nn, Tensor

from ...errors import ConfigError
from ..train_config import TrainConfig
from .layers import TimeEmbedding

KERNEL = 5
GROUPS = 8


def build(config: TrainConfig, row_dim: int) -> nn.Module:
    """Build the U-Net that a training configuration asks for; it has no ``depth``."""
    network = TemporalUNet(config.horizon, row_dim, config.width)
    if not config.condition_share:  # what it never sees in training must not disturb it later
        entry = next(m for m in network.down.modules() if isinstance(m, ResidualBlock))
        with torch.no_grad():
            for layer in (entry.first[0], entry.skip):
                if isinstance(layer, nn.Conv1d):
                    layer.weight[:, row_dim:] = 0.0
    return network


class ConvBlock(nn.Sequential):
    """Convolution over plan time, group norm, Mish."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(nn.Conv1d(in_dim, out_dim, KERNEL, padding=KERNEL // 2),
                         nn.GroupNorm(GROUPS, out_dim), nn.Mish())


class ResidualBlock(nn.Module):
    """Two convolution blocks with the diffusion time added between them."""

    def __init__(self, in_dim: int, out_dim: int, time_dim: int) -> None:
        super().__init__()
        self.first = ConvBlock(in_dim, out_dim)
        self.second = ConvBlock(out_dim, out_dim)
        self.time = nn.Sequential(nn.Mish(), nn.Linear(time_dim, out_dim))
        self.skip = nn.Conv1d(in_dim, out_dim, 1) if in_dim != out_dim else nn.Identity()

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Map (B, in_dim, H) to (B, out_dim, H)."""
        return self.second(self.first(h) + self.time(time)[:, :, None]) + self.skip(h)


class BlockPair(nn.ModuleList):
    """Two residual blocks, one after the other."""

    def __init__(self, in_dim: int, out_dim: int, time_dim: int) -> None:
        super().__init__([ResidualBlock(in_dim, out_dim, time_dim),
                          ResidualBlock(out_dim, out_dim, time_dim)])

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Map (B, in_dim, H) to (B, out_dim, H)."""
        for block in self:
            h = block(h, time)
        return h


class TemporalUNet(nn.Module):
    """
    Convolutions over plan time at several resolutions, local in time and of any horizon.

    :param horizon: rows of a window; a multiple of ``2 ** (len(multipliers) - 1)``.
    :param width: channels at full resolution, a multiple of 8.
    :param multipliers: channels of each resolution over ``width``.
    """

    def __init__(self, horizon: int, row_dim: int, width: int,
                 multipliers: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        coarsest = 2 ** (len(multipliers) - 1)
        if horizon % coarsest:
            raise ConfigError(f'horizon is {horizon}, expected a multiple of {coarsest} for a '
                              f'U-Net of {len(multipliers)} resolutions')
        if width % GROUPS:
            raise ConfigError(f'width is {width}, expected a multiple of {GROUPS}')
        dims = [width * m for m in multipliers]
        self.time = TimeEmbedding(width, width)
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        in_dim = 2 * row_dim
        for dim in dims:
            self.down.append(BlockPair(in_dim, dim, width))
            self.shrink.append(nn.Conv1d(dim, dim, 3, stride=2, padding=1))
            in_dim = dim
        self.shrink[-1] = nn.Identity()
        self.middle = BlockPair(in_dim, in_dim, width)
        self.up = nn.ModuleList()
        self.grow = nn.ModuleList()
        for dim in reversed(dims[:-1]):
            self.grow.append(nn.ConvTranspose1d(in_dim, in_dim, 4, stride=2, padding=1))
            self.up.append(BlockPair(in_dim + dim, dim, width))
            in_dim = dim
        self.exit = nn.Sequential(ConvBlock(in_dim, width), nn.Conv1d(width, row_dim, 1))

    def forward(self, x_t: Tensor, t: Tensor, known: Tensor) -> Tensor:
        """Predict x_0 or eps (B, H, D) from x_t (B, H, D), t (B,) and what is known (B, H, D)."""
        time = self.time(t)
        h = torch.cat([x_t, known.to(x_t.dtype)], dim=2).transpose(1, 2)  # (B, 2 D, H)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            h = blocks(h, time)
            skips.append(h)
            h = shrink(h)
        h = self.middle(h, time)
        skips.pop()  # the coarsest resolution has nothing to skip over
        for grow, blocks in zip(self.grow, self.up, strict=True):
            h = blocks(torch.cat([grow(h), skips.pop()], dim=1), time)
        return self.exit(h).transpose(1, 2)
