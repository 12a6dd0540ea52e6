# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Value of a trajectory, noised or not."""

from torch import nn, Tensor

from ..window_parts import Seen
from .layers import ResidualTrunk


class TrajectoryValue(nn.Module):
    """
    V(tau, t): the normalised return-to-go of a window seen at diffusion time t (Hu 2024).

    A window without noise has a time of its own, ``CLEAN``: at time 0 there is some noise already.

    :param seen: entries of a window that it judges, (H, D), see ``seen_entries``. Of first state
        and actions, it is a Q function.
    """

    def __init__(self, seen: Tensor, width: int, depth: int) -> None:
        super().__init__()
        self.seen = Seen(seen)
        self.trunk = ResidualTrunk(seen.numel(), 1, width, depth)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict the normalised value (B,) of x_t (B, H, D) at t (B,), CLEAN to T - 1."""
        return self.trunk(self.seen(x_t).flatten(1), t)[:, 0]
