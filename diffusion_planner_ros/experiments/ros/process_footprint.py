# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Memory, open handles and threads of a process, and whether they grow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

import numpy as np

BASELINE_TIME = 60.0  # [s] after which a process has loaded all that it needs
MAX_GROWTH = 5.0  # [MB]; a smaller growth counts as no leak


@dataclass(frozen=True)
class Footprint:
    """What a process holds at a moment."""

    time: float
    """Since the start of the measurement [s]."""
    memory: float
    """Resident [MB]."""
    n_handles: int
    """Open files and sockets."""
    n_threads: int


def footprint_of(pid: int, time: float) -> Footprint | None:
    """
    Look at a process.

    :param time: of the measurement [s].
    :return: ``None`` if it ended.
    """
    folder = Path('/proc') / str(pid)
    try:
        status = (folder / 'status').read_text()
        n_handles = sum(1 for _ in (folder / 'fd').iterdir())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # it ended; the handles of a zombie cannot be listed
    found = re.search(r'^VmRSS:\s+(\d+) kB', status, re.MULTILINE)
    threads = re.search(r'^Threads:\s+(\d+)', status, re.MULTILINE)
    if found is None or threads is None:
        return None
    return Footprint(time, int(found[1]) * 1024 / 1e6, n_handles, int(threads[1]))


def growth_of(footprints: Sequence[Footprint]) -> dict[str, Any]:
    """
    Compare the last footprint with the one after ``BASELINE_TIME``.

    A run that is shorter than that counts from its first quarter on.

    :param footprints: in the order of time, at least one.
    :return: memory [MB] then and at the end, growth [MB], slope of a straight line through it
        [MB/h], and handles and threads then and at the end.
    """
    last = footprints[-1]
    begin = BASELINE_TIME if last.time > BASELINE_TIME else last.time / 4
    counted = [f for f in footprints if f.time >= begin]
    first = counted[0]
    hours = np.array([f.time for f in counted]) / 3600
    slope = (np.polyfit(hours, [f.memory for f in counted], 1)[0] if len(counted) > 1
             else np.nan)
    return {'baseline_s': first.time, 'memory_baseline_mb': first.memory,
            'memory_end_mb': last.memory, 'memory_growth_mb': last.memory - first.memory,
            'memory_slope_mb_per_h': None if np.isnan(slope) else float(slope),
            'handles_first': first.n_handles, 'handles_last': last.n_handles,
            'threads_first': first.n_threads, 'threads_last': last.n_threads}


def leaks_of(name: str, growth: dict[str, Any]) -> list[str]:
    """
    Say what a process leaks, one line each.

    :param name: of the process.
    :param growth: from ``growth_of``.
    """
    leaks = []
    if growth['memory_growth_mb'] >= MAX_GROWTH:
        leaks.append(f'memory of the {name} grew by {growth["memory_growth_mb"]:.1f} MB, expected '
                     f'less than {MAX_GROWTH:g} MB')
    if growth['handles_last'] > growth['handles_first']:
        leaks.append(f'open handles of the {name} grew from {growth["handles_first"]} to '
                     f'{growth["handles_last"]}')
    return leaks
