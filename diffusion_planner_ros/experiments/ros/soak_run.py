# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Disturb a walking robot for hours: pushes, resets, pauses and parameter changes."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import time
from typing import Any

import numpy as np

from .process_footprint import Footprint, footprint_of, growth_of
from .ros_session import Session

LOOK_PERIOD = 1.0  # [s]
LAST_LOOK = 1.5  # [s] in which the bridge publishes a report that counts everything
MINUTE = 60.0  # [s]

Draw = Callable[[np.random.Generator], Any]


def _push(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(-4.0, 4.0)), float(rng.uniform(-1.0, 1.0))


def _planner_change(rng: np.random.Generator) -> tuple[str, Any]:
    changes = (('n_candidates', int(rng.integers(2, 9))),
               ('n_denoise_steps', int(rng.integers(1, 5))),
               ('guidance_strength', float(rng.uniform(0.0, 1.0))))
    return changes[rng.integers(len(changes))]


# For each kind of event the shortest and longest time between two of them [s], and its value.
KINDS: dict[str, tuple[float, float, Draw]] = {
    'push': (2.0, 5.0, _push),  # forward and up [N s]
    'reset': (10.0, 20.0, lambda rng: int(rng.integers(2**31))),  # seed
    'pause': (10.0, 30.0, lambda rng: float(rng.uniform(0.1, 1.0))),  # [s]
    'planner': (3.0, 8.0, _planner_change),  # parameter and value
}


@dataclass(frozen=True)
class Event:
    """Something that happens to the robot."""

    time: float
    """Since the start [s]."""
    kind: str
    value: Any


def _events_of(kind: str, duration: float, rng: np.random.Generator) -> Iterator[Event]:
    shortest, longest, draw = KINDS[kind]
    moment = rng.uniform(0.0, longest)
    while moment < duration:
        yield Event(moment, kind, draw(rng))
        moment += rng.uniform(shortest, longest)


def schedule(seed: int, duration: float) -> list[Event]:
    """
    Draw what happens and when; the same seed gives the same events.

    :param duration: of the whole run [s].
    """
    rngs = np.random.default_rng(seed).spawn(len(KINDS))
    events = [event for kind, rng in zip(KINDS, rngs, strict=True)
              for event in _events_of(kind, duration, rng)]
    return sorted(events, key=lambda event: event.time)


class Soak:
    """A run of two nodes that is disturbed and watched."""

    def __init__(self, nodes: Session, on_look: Callable[['Soak'], None]) -> None:
        self._nodes = nodes
        self._on_look = on_look
        self._start = time.monotonic()
        self.counts: Counter[str] = Counter()
        """Events that happened, by kind."""
        self.footprints: dict[str, list[Footprint]] = {name: [] for name in nodes.processes}
        """Of every node, by name."""
        self.latencies: list[tuple[float, float, float]] = []
        """Time [s], median and 99th percentile [ms] of the minute before."""
        self._look()

    @property
    def elapsed(self) -> float:
        """Time since the start [s]."""
        return time.monotonic() - self._start

    @property
    def bridge(self) -> dict[str, str]:
        """Latest diagnostics of the bridge."""
        return self._nodes.bridge

    def run(self, events: Sequence[Event], duration: float) -> None:
        """
        Let every event happen at its time, and look at the nodes until the end.

        :param duration: when to end [s].
        :raises PlannerError: if a node ends or stops answering.
        """
        for event in events:
            self._watch_until(event.time)
            self._apply(event)
        self._watch_until(duration)
        self._nodes.pause(True)  # so that the bridge does not count the planner's end as a stop
        self._watch_until(self.elapsed + LAST_LOOK)
        self._look()

    def _apply(self, event: Event) -> None:
        self.counts[event.kind] += 1
        if event.kind == 'push':
            self._nodes.push(event.value)
        elif event.kind == 'reset':
            self._nodes.reset(event.value)
        elif event.kind == 'pause':
            self._nodes.pause(True)
            self._watch_until(self.elapsed + event.value)
            self._nodes.pause(False)
        else:
            self.counts['refused'] += not self._nodes.set_planner(*event.value)

    def _watch_until(self, moment: float) -> None:
        while self.elapsed < moment:
            self._nodes.turn()
            if self.elapsed >= self._next_look:
                self._look()

    def _look(self) -> None:
        now = self.elapsed
        self._next_look = now + LOOK_PERIOD
        for name, process in self._nodes.processes.items():
            if (footprint := footprint_of(process.pid, now)) is not None:
                self.footprints[name].append(footprint)
        p50, p99 = (float(self.bridge.get(f'latency_last_minute_{p}_ms', 'nan'))
                    for p in ('p50', 'p99'))
        if np.isfinite(p50):
            self.latencies.append((now, p50, p99))
        self._on_look(self)

    def summary(self) -> dict[str, Any]:
        """Return what was seen: growth of every process, latency, counts of what happened."""
        facts = self.bridge
        steps = int(facts['total_steps'])
        return {
            'seconds': self.footprints['bridge'][-1].time,
            **{name: growth_of(seen) for name, seen in self.footprints.items()},
            **latency_summary(self.latencies),
            'steps': steps,
            'missed_deadline_rate': int(facts['missed_deadlines']) / steps if steps else None,
            **{key: int(facts[key]) for key in ('falls', 'stops', 'refused_commands')},
            'pushes': self.counts['push'], 'pushes_felt': int(facts['pushes']),
            'resets': self.counts['reset'], 'pauses': self.counts['pause'],
            'planner_changes': {'accepted': self.counts['planner'] - self.counts['refused'],
                                'refused': self.counts['refused']}}


def latency_summary(latencies: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """
    Return the percentiles [ms] of every minute, and how they drifted.

    The drift is the median over the last third of the time minus that over the first third. In a
    run of less than three minutes these share measurements.

    :param latencies: time [s], median and 99th percentile [ms] of the minute before.
    """
    if not latencies:
        return {}
    table = np.array(latencies)  # (n, 3)
    times, end = table[:, 0], table[-1, 0]
    # The first report of every full minute, and the last one of what is left.
    n_full = int(end // MINUTE)
    rows = [int(np.searchsorted(times, MINUTE * (k + 1))) for k in range(n_full)]
    if n_full == 0 or end - MINUTE * n_full >= MINUTE / 2:
        rows.append(len(table) - 1)
    early, late = table[times <= end / 3], table[times >= end * 2 / 3]
    summary = {}
    for column, name in ((1, 'p50'), (2, 'p99')):
        summary[f'latency_{name}_ms_by_minute'] = table[rows, column].tolist()
        drift = np.median(late[:, column]) - np.median(early[:, column]) if len(early) else None
        summary[f'latency_{name}_drift_ms'] = None if drift is None else float(drift)
    return summary
