# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a network sees of a window: all of it, its states, or its actions and the first state."""

import torch
from torch import Tensor


def seen_entries(window: str, horizon: int, row_dim: int, action_dim: int) -> Tensor:
    """
    Return which entries of a window are denoised and judged; the others are nothing to a network.

    :param window: ``joint``, ``states`` or ``actions``, see ``TrainConfig.window``.
    :param horizon: rows of a window, H.
    :param row_dim: length of a row ``[a | s]``, D.
    :param action_dim: of it, those of the action.
    :return: true where an entry is seen, shape (H, D).
    """
    seen = torch.ones(horizon, row_dim, dtype=torch.bool)
    if window == 'states':
        seen[:, :action_dim] = False
    elif window == 'actions':
        seen[1:, action_dim:] = False
    return seen


class Seen(torch.nn.Module):
    """
    Keep what is seen of windows, and put zero in place of the rest.

    :param entries: true where an entry is seen, shape (H, D).
    """

    entries: Tensor

    def __init__(self, entries: Tensor) -> None:
        super().__init__()
        self.sees_all = bool(entries.all())
        # Known from the configuration, so no part of a checkpoint.
        self.register_buffer('entries', entries, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return windows (B, H, D), of numbers or of truth values, without what is not seen."""
        if self.sees_all:  # a graph that is exported stays as small as it can be
            return x
        if x.dtype == torch.bool:  # which onnxruntime's Where does not know
            return x & self.entries
        return torch.where(self.entries, x, torch.zeros_like(x))
