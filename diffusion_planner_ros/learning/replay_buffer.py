"""Episodes that an alignment learns from, and the windows in them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..episode import Episode


class Buffer:
    """Episodes and their windows, normalised."""

    def __init__(self, horizon: int) -> None:
        self.episodes: list[Episode] = []
        self._steps = torch.arange(horizon)
        self._rows: Tensor | None = None
        self._values = torch.empty(0)
        self._n_steps = 0
        self._begins: list[int] = []

    def __len__(self) -> int:
        return self._n_steps

    def add(self, episodes: Sequence[Episode], rows: Tensor, values: Tensor) -> None:
        """Add episodes, their rows one after another (n, D), and the value of each row (n,)."""
        for episode in episodes:
            self._begins.append(self._n_steps)
            self._n_steps += len(episode)
        self.episodes += episodes
        first = self._rows is None
        self._rows = rows if first else torch.cat([self._rows, rows])
        self._values = values if first else torch.cat([self._values, values])

    def starts(self, numbers: Sequence[int]) -> Tensor:
        """Return the first rows of all windows of some episodes."""
        n_beyond = len(self._steps) - 1
        return torch.cat([
            torch.arange(self._begins[i], self._begins[i] + len(self.episodes[i]) - n_beyond)
            for i in numbers])

    @property
    def all_values(self) -> Tensor:
        """Normalised values of all rows, shape (n,)."""
        return self._values

    def states(self, number: int, action_dim: int) -> Tensor:
        """Return the states of an episode, shape (n, S)."""
        begin = self._begins[number]
        return self._rows[begin:begin + len(self.episodes[number]), action_dim:]

    def windows(self, starts: Tensor) -> Tensor:
        """Return windows (B, H, D) by their first rows (B,)."""
        return self._rows[starts[:, None] + self._steps]

    def values(self, starts: Tensor) -> Tensor:
        """Return their normalised values (B,)."""
        return self._values[starts]
