"""Scaling between SI units and the numbers that a network sees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_STD = 1e-6


@dataclass(frozen=True)
class Normalizer:
    """Mean and standard deviation of trajectory rows ``[a | s]``, each of shape (D,)."""

    mean: NDArray
    std: NDArray

    @classmethod
    def fit(cls, rows: NDArray) -> 'Normalizer':
        """Take the statistics of ``rows`` (n, D); a constant column keeps its unit."""
        std = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(std < MIN_STD, 1.0, std))

    def normalize(self, rows: NDArray) -> NDArray:
        """Return zero-mean, unit-variance rows, shape (..., D)."""
        return (rows - self.mean) / self.std

    def unnormalize(self, rows: NDArray) -> NDArray:
        """Return rows in SI units, shape (..., D)."""
        return rows * self.std + self.mean

    def normalize_state(self, state: NDArray) -> NDArray:
        """Return a normalised state, shape (..., S): the last entries of a row."""
        n = state.shape[-1]
        return (state - self.mean[-n:]) / self.std[-n:]
