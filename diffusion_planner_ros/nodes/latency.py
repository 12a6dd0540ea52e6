"""Latencies of the last control periods."""

from collections import deque

import numpy as np

WINDOW = 10_000  # control periods that percentiles look back


class LatencyRecorder:
    """Percentiles over the last ``WINDOW`` measurements."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=WINDOW)

    def add(self, seconds: float) -> None:
        """Record one measurement [s]."""
        self._seconds.append(seconds)

    def percentile_ms(self, q: float) -> float:
        """Return a percentile [ms]; NaN before the first measurement."""
        return float(np.percentile(self._seconds, q)) * 1e3 if self._seconds else float('nan')
