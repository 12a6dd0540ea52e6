"""Latencies of the last control periods."""

import numpy as np

WINDOW = 10_000  # control periods that percentiles look back


class LatencyRecorder:
    """Percentiles over the last ``WINDOW`` measurements, cheap enough for the control loop."""

    def __init__(self) -> None:
        self._seconds = np.zeros(WINDOW)
        self._n = 0

    def add(self, seconds: float) -> None:
        """Record one measurement [s]."""
        self._seconds[self._n % WINDOW] = seconds
        self._n += 1

    def facts(self) -> dict[str, float]:
        """Return the median and the 99th percentile [ms]; NaN before the first measurement."""
        measured = self._seconds[:min(self._n, WINDOW)]
        p50, p99 = np.percentile(measured, (50, 99)) * 1e3 if self._n else (np.nan, np.nan)
        return {'latency_p50_ms': float(p50), 'latency_p99_ms': float(p99)}
