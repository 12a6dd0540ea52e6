# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Episodes of planners and a teacher under many conditions, and the table of what came of it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

from ...sim.perturbation_ranges import Robots
from ..closed_loop import EpisodeResult, summarize
from ..execution import Execution
from ..markdown import table
from ..progress import Progress, silent
from .episode_monitor import Alarm
from .robustness_columns import Column
from .robustness_conditions import Condition, NOMINAL

Summaries = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What ``_summary`` says, by condition and by the label of the column."""


def _walk_in_worker(seed: int, column: Column, robots: Robots, execution: Execution
                    ) -> tuple[EpisodeResult, Alarm | None]:
    return column.walk(seed, robots, execution)


def measure_robustness(columns: Mapping[str, Column], conditions: Mapping[str, Condition],
                       seeds: Sequence[int], *, pool: ProcessPoolExecutor,
                       progress: Progress = silent) -> Summaries:
    """
    Run one episode for every seed under every condition in every column.

    :param columns: who walks, by label.
    :param conditions: by their name.
    :param pool: worker processes.
    :param progress: is told of every episode.
    :raises ConfigError: before anything runs, for a condition that plans do not outlast.
    """
    for column in columns.values():
        for _, execution in conditions.values():
            column.check(execution)
    facts: dict[str, dict[str, dict[str, Any]]] = {}
    total = len(conditions) * len(columns) * len(seeds)
    with progress('walking', total, unit='episodes') as advance:
        for name, (robots, execution) in conditions.items():
            facts[name] = {}
            for label, column in columns.items():
                walked = []
                for result, alarm in pool.map(
                        partial(_walk_in_worker, column=column, robots=robots,
                                execution=execution), seeds):
                    walked.append((result, alarm))
                    advance(1, now=name, ret=f'{result.episode_return:.0f}')
                facts[name][label] = _summary(walked, column.robot)
    if NOMINAL in facts:
        for by_label in facts.values():
            for label, summary in by_label.items():
                nominal = facts[NOMINAL][label]['return_mean']
                summary['percent_of_nominal'] = 100.0 * summary['return_mean'] / nominal
    return facts


def _summary(walked: Sequence[tuple[EpisodeResult, Alarm | None]], robot: str) -> dict[str, Any]:
    """Return what episodes came to; ``alarms`` are those with a warning or a stop."""
    alarms = [alarm for _, alarm in walked]
    return summarize([result for result, _ in walked], robot) | (
        {} if None in alarms else {'alarms': sum(alarm != 'ok' for alarm in alarms),
                                   'monitor_stops': alarms.count('stop')})


def robustness_table(facts: Summaries) -> str:
    """Write the table in Markdown: two to four columns for everybody who walked."""
    head = ['condition']
    for label, summary in next(iter(facts.values())).items():
        head += [f'{label}: {title}' if title == 'return' else title for title in _cells(summary)]
    return table(head, ([name, *(cell for summary in by_label.values()
                                 for cell in _cells(summary).values())]
                        for name, by_label in facts.items()))


def _cells(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of one condition, by the title of their column."""
    stderr = summary['return_stderr']
    cells = {'return': f'{summary["return_mean"]:,.0f}'
             + (f' +- {stderr:,.0f}' if stderr is not None else '')}
    if 'percent_of_nominal' in summary:
        cells['% of nominal'] = f'{summary["percent_of_nominal"]:.1f}'
    cells['falls'] = f'{summary["falls"]} of {summary["episodes"]}'
    if 'alarms' in summary:
        cells['alarms (stops)'] = f'{summary["alarms"]} ({summary["monitor_stops"]})'
    return cells
