# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Scaling between SI units and the numbers that a network sees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_STD = 1e-6


@dataclass(frozen=True)
class Normalizer:
    """
    Mean and standard deviation of trajectory rows ``[a | s]``, each of shape (D,).

    Of ``fit_limits``, the centre and half of the range in their place.
    """

    mean: NDArray
    std: NDArray

    @classmethod
    def fit(cls, rows: NDArray) -> 'Normalizer':
        """Take the statistics of ``rows`` (n, D): each column gets mean 0 and variance 1."""
        return cls._of(rows.mean(axis=0), rows.std(axis=0))

    @classmethod
    def fit_limits(cls, rows: NDArray) -> 'Normalizer':
        """
        Take the limits of ``rows`` (n, D), so that each column goes from -1 to 1.

        As Diffuser does (Janner et al. 2022, https://arxiv.org/abs/2205.09991).
        """
        low, high = rows.min(axis=0), rows.max(axis=0)
        return cls._of((low + high) / 2.0, (high - low) / 2.0)

    @classmethod
    def _of(cls, mean: NDArray, std: NDArray) -> 'Normalizer':
        return cls(mean, np.where(std < MIN_STD, 1.0, std))  # a constant column keeps its unit

    def normalize(self, rows: NDArray) -> NDArray:
        """Return what a network sees of rows in SI units, shape (..., D)."""
        return (rows - self.mean) / self.std

    def unnormalize(self, rows: NDArray) -> NDArray:
        """Return rows in SI units, shape (..., D)."""
        return rows * self.std + self.mean

    def normalize_state(self, state: NDArray) -> NDArray:
        """Return a normalised state, shape (..., S): the last entries of a row."""
        n = state.shape[-1]
        return (state - self.mean[-n:]) / self.std[-n:]
