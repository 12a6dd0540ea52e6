# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw a soak: memory and latency over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ..ros.process_footprint import Footprint


def draw_soak(footprints: Mapping[str, Sequence[Footprint]],
              latencies: Sequence[tuple[float, float, float]], file: Path) -> None:
    """
    Draw the resident memory of every process and the latency of the plans.

    :param footprints: of every process by its name, in the order of time.
    :param latencies: time [s], median and 99th percentile of the minute before [ms].
    :param file: PNG to write.
    """
    matplotlib.use('Agg')
    figure = Figure(figsize=(8, 5), layout='constrained')
    memory, latency = figure.subplots(2, 1, sharex=True)
    for name, seen in footprints.items():
        memory.plot([f.time / 60 for f in seen], [f.memory for f in seen], label=name)
    memory.set(ylabel='resident memory [MB]')
    memory.legend()
    if latencies:
        times, p50, p99 = zip(*latencies, strict=True)
        latency.plot([t / 60 for t in times], p50, label='median')
        latency.plot([t / 60 for t in times], p99, label='99th percentile')
        latency.legend()
    latency.set(xlabel='time [min]', ylabel='latency of the last minute [ms]')
    figure.savefig(file, dpi=100)
