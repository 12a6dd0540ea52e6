"""Percentiles of what is measured in every control period."""

import time

import numpy as np

WINDOW = 10_000  # control periods that percentiles look back
MINUTE = 60.0  # [s]


class Percentiles:
    """
    Median and 99th percentile of the last ``WINDOW`` measurements, and of those of a minute.

    Those of the last minute show a drift in a long run; the window holds a minute at up to 166 Hz.
    To add a measurement is cheap enough for the control loop.

    :param name: of what is measured, as in ``latency_p50_ms``.
    :param unit: of the report, as in ``latency_p50_ms``.
    :param scale: factor from the unit of the measurements to that of the report.
    """

    def __init__(self, name: str, unit: str, scale: float = 1.0) -> None:
        self._name, self._unit, self._scale = name, unit, scale
        self._values = np.zeros(WINDOW)
        self._added = np.zeros(WINDOW)  # when, on the steady clock [s]
        self._n = 0

    def add(self, value: float) -> None:
        """Record one measurement."""
        self._values[self._n % WINDOW] = value
        self._added[self._n % WINDOW] = time.monotonic()
        self._n += 1

    def facts(self) -> dict[str, float]:
        """Return the median and the 99th percentile; NaN where nothing was measured."""
        measured = self._values[:min(self._n, WINDOW)]
        recent = measured[self._added[:len(measured)] > time.monotonic() - MINUTE]
        facts = {}
        for when, values in (('', measured), ('_last_minute', recent)):
            found = np.percentile(values, (50, 99)) if len(values) else (np.nan, np.nan)
            for p, value in zip((50, 99), found, strict=True):
                facts[f'{self._name}{when}_p{p}_{self._unit}'] = float(value) * self._scale
        return facts
