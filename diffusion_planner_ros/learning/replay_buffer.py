# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Episodes that an alignment learns from, and the windows in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.windows import n_rows
from ..episode import Episode


@dataclass(frozen=True)
class WindowChoice:
    """Windows of a buffer, and how often each is drawn."""

    starts: Tensor
    """Their first rows, shape (n,)."""
    weights: Tensor | None = None
    """How often each is drawn, in relation to the others, shape (n,); None for all alike."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw the first rows of ``n`` windows, with replacement."""
        if self.weights is None:
            return self.starts[torch.randint(len(self.starts), (n,), generator=generator)]
        likelihood = self.weights.cumsum(0)
        u = torch.rand(n, generator=generator, dtype=torch.float64) * likelihood[-1]
        return self.starts[torch.searchsorted(likelihood, u).clamp(max=len(self.starts) - 1)]


class Buffer:
    """
    Episodes and their windows, normalised.

    :param horizon: rows of a window, H.
    """

    def __init__(self, horizon: int) -> None:
        self.episodes: list[Episode] = []
        self._steps = torch.arange(horizon)
        self._rows = self._values = torch.empty(0)
        self._begins: list[int] = []
        self._n_steps = 0

    def __len__(self) -> int:
        """Return the number of actions."""
        return self._n_steps

    def add(self, episodes: Sequence[Episode], rows: Tensor, values: Tensor) -> None:
        """
        Add episodes, each of at least as many rows as a window.

        :param rows: normalised rows of all of them as ``Windows.cut`` makes them, shape (n, D).
        :param values: normalised value of each row, shape (n,).
        """
        first = begin = len(self._values)
        for episode in episodes:
            self._begins.append(begin)
            begin += n_rows(episode)
            self._n_steps += len(episode)
        self.episodes += episodes
        self._rows = torch.cat([self._rows, rows]) if first else rows
        self._values = torch.cat([self._values, values]) if first else values

    def n_windows(self, number: int) -> int:
        """Return how many windows an episode has, by its number in ``episodes``."""
        return n_rows(self.episodes[number]) - len(self._steps) + 1

    def starts(self, numbers: Sequence[int]) -> Tensor:
        """Return the first rows of all windows of some episodes."""
        return torch.cat([
            torch.arange(self._begins[i], self._begins[i] + self.n_windows(i)) for i in numbers])

    @property
    def has_rewards(self) -> bool:
        """Whether every value is known."""
        return bool(torch.isfinite(self._values).all())

    def windows(self, starts: Tensor) -> Tensor:
        """Return the windows of first rows (B,), shape (B, H, D)."""
        return self._rows[starts[:, None] + self._steps]

    def values(self, starts: Tensor) -> Tensor:
        """Return the normalised values of their first rows, shape (B,)."""
        return self._values[starts]
