# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Percentiles of what is measured in every control period."""

from collections.abc import Sequence
import time

import numpy as np
from numpy.typing import NDArray

WINDOW = 10_000  # control periods that percentiles look back
N_STAGED = 1000  # control periods that the times of stages look back
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
        return self._facts('', measured) | self._facts('_last_minute', recent)

    def _facts(self, when: str, values: NDArray) -> dict[str, float]:
        found = np.percentile(values, (50, 99)) if len(values) else (np.nan, np.nan)
        return {f'{self._name}{when}_p{p}_{self._unit}': float(value) * self._scale
                for p, value in zip((50, 99), found, strict=True)}


class Stages:
    """
    Median and 99th percentile of the time of every stage of the last ``N_STAGED`` control periods.

    :param names: of the stages, in order, as in ``stage_plan_p50_ms``.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._times = np.full((N_STAGED, len(names)), np.nan)
        self._n = 0

    def add(self, moments: Sequence[int]) -> None:
        """Record when the first stage began and when each one ended [ns], one more than names."""
        row = self._times[self._n % N_STAGED]
        for k in range(len(self._names)):
            row[k] = moments[k + 1] - moments[k]
        self._n += 1

    def facts(self) -> dict[str, float]:
        """Return the percentiles by name [ms]; NaN where nothing was measured."""
        measured = self._times[:max(1, min(self._n, N_STAGED))]
        found = np.percentile(measured, (50, 99), axis=0) / 1e6  # (2, number of stages)
        return {f'stage_{name}_p{p}_ms': float(found[i, k])
                for k, name in enumerate(self._names) for i, p in enumerate((50, 99))}
