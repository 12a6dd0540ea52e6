# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers over time, to draw them as a chart."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

GAP = 2.5  # [s] between two samples, from which on no line may connect them


class History:
    """
    The last samples of some numbers.

    :param n: numbers in a sample.
    :param span: how long a sample is kept [s].
    :param largest: samples that are kept at most.
    """

    def __init__(self, n: int, span: float, largest: int = 600) -> None:
        self._n = n
        self._span = span
        self._samples: deque[tuple[float, tuple[float, ...]]] = deque(maxlen=largest)

    def add(self, time: float, *numbers: float) -> None:
        """Add a sample; its time [s] must not be earlier than that of the others."""
        if self._samples and time - self._samples[-1][0] > GAP:
            self._samples.append((time, (np.nan,) * self._n))
        self._samples.append((time, numbers))

    def clear(self) -> None:
        """Forget all."""
        self._samples.clear()

    def at(self, now: float) -> tuple[NDArray, ...]:
        """
        Return times, as seconds before ``now``, and the numbers, each of shape (n,).

        A number that is not finite is NaN, a gap; so is a time in which no sample came.
        """
        while self._samples and now - self._samples[0][0] > self._span:
            self._samples.popleft()
        times = np.array([time - now for time, _ in self._samples])
        rows = np.array([numbers for _, numbers in self._samples]).reshape(-1, self._n)
        rows[~np.isfinite(rows)] = np.nan
        return times, *rows.T
