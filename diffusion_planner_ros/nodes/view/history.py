# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers over time, to draw them as a chart."""

from collections import deque

import numpy as np
from numpy.typing import NDArray


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
        self._is_new = False

    def add(self, time: float, *numbers: float) -> None:
        """Add a sample; its time [s] must not be earlier than that of the others."""
        self._samples.append((time, numbers))
        while time - self._samples[0][0] > self._span:
            self._samples.popleft()
        self._is_new = True

    def clear(self) -> None:
        """Forget all."""
        self._samples.clear()
        self._is_new = True

    def take(self, now: float) -> tuple[NDArray, ...] | None:
        """
        Return times, as seconds before ``now``, and the numbers, each of shape (n,).

        A number that is not finite is NaN, a gap. ``None`` if nothing is new since the last call.
        """
        if not self._is_new:
            return None
        self._is_new = False
        times = np.array([time - now for time, _ in self._samples])
        rows = np.array([numbers for _, numbers in self._samples]).reshape(-1, self._n)
        rows[~np.isfinite(rows)] = np.nan
        return times, *rows.T
