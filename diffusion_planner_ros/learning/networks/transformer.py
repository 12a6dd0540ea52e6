# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Denoiser: a transformer over the rows of a plan.

It is the diffusion transformer DiT (Peebles and Xie 2023, https://arxiv.org/abs/2212.09748) with a
row in the place of a patch, as Diffusion Veteran plans with it (Lu et al. 2025,
https://arxiv.org/abs/2503.00535).
"""

import torch
from torch import nn, Tensor
from torch.nn.functional import scaled_dot_product_attention

from ...errors import ConfigError
from ..train_config import TrainConfig
from .layers import TimeEmbedding

HEAD_DIM = 32


def build(config: TrainConfig, row_dim: int) -> nn.Module:
    """Build the transformer that a training configuration asks for."""
    network = Transformer(config.horizon, row_dim, config.width, config.depth)
    if not config.condition_share:  # what it never sees in training must not disturb it later
        with torch.no_grad():
            network.entry.weight[:, row_dim:] = 0.0
    return network


def zero_linear(in_dim: int, out_dim: int) -> nn.Linear:
    """Return a linear layer whose output is zero until it has learned."""
    layer = nn.Linear(in_dim, out_dim)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Attention(nn.Module):
    """Attention of every row to all rows, in heads of ``HEAD_DIM`` (Vaswani et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.entry = nn.Linear(width, 3 * width)
        self.exit = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, H, width) to the same shape."""
        heads = [part.unflatten(2, (-1, HEAD_DIM)).transpose(1, 2)  # (B, heads, H, HEAD_DIM)
                 for part in self.entry(h).chunk(3, dim=2)]
        return self.exit(scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class TimedResidual(nn.Module):
    """
    A residual layer that the diffusion time shifts, scales and gates (DiT's adaLN-Zero).

    The gate is closed at first. What the time gives is the same for all rows and follows from it
    alone: the compiled plan looks it up.

    :param layer: maps (B, H, width) to the same shape.
    """

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.time = nn.Sequential(nn.SiLU(), zero_linear(width, 3 * width))
        self.layer = layer

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Map (B, H, width) to the same shape; ``time`` is the embedded one, (B, width)."""
        shift, scale, gate = self.time(time)[:, None].chunk(3, dim=2)
        return h + gate * self.layer(shift + (1 + scale) * self.norm(h))


class Transformer(nn.Module):
    """
    Attention over plan time: every row sees every other, near or far, from the first layer on.

    :param width: features of a row, a multiple of ``HEAD_DIM``.
    :param depth: blocks of an attention and an MLP.
    :raises ConfigError: if the width is not such a multiple.
    """

    def __init__(self, horizon: int, row_dim: int, width: int, depth: int) -> None:
        super().__init__()
        if width % HEAD_DIM:
            raise ConfigError(f'width is {width}, expected a multiple of {HEAD_DIM}, the width of '
                              'a head of the transformer')
        self.time = TimeEmbedding(64, width)
        self.entry = nn.Linear(2 * row_dim, width)
        self.position = nn.Parameter(0.02 * torch.randn(horizon, width))
        self.layers = nn.ModuleList()
        for _ in range(depth):
            mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(),
                                nn.Linear(4 * width, width))
            self.layers.extend(TimedResidual(layer, width) for layer in (Attention(width), mlp))
        self.exit = nn.Sequential(nn.LayerNorm(width), zero_linear(width, row_dim))

    def forward(self, x_t: Tensor, t: Tensor, known: Tensor) -> Tensor:
        """Predict x_0 or eps (B, H, D) from x_t (B, H, D), t (B,) and what is known (B, H, D)."""
        time = self.time(t)
        h = self.entry(torch.cat([x_t, known.to(x_t.dtype)], dim=2)) + self.position
        for layer in self.layers:
            h = layer(h, time)
        return self.exit(h)
