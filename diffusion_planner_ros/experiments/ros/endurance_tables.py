# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The two tables of endurance: in real time beside busy processes, and on the bench."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..markdown import table
from .bench_run import BenchResult


def real_time_table(measured: Mapping[int, Mapping[str, Any]]) -> str:
    """
    Write what episodes in real time came to.

    :param measured: what ``evaluate_through_ros`` says, by the number of busy processes.
    """
    return table(
        ('busy processes', 'return', 'falls', 'latency p50 [ms]', 'p99 [ms]',
         'missed deadlines [%]', 'stops'),
        [(n_busy, _with_error(facts), f'{facts["falls"]} of {facts["episodes"]}',
          _milliseconds(facts['latency_p50_ms']), _milliseconds(facts['latency_p99_ms']),
          f'{100 * facts["missed_deadline_rate"]:.2f}', _causes(facts['stop_causes']))
         for n_busy, facts in measured.items()])


def bench_table(results: Sequence[BenchResult], seconds: float) -> str:
    """
    Write what runs on the bench came to, one line each, and a last one for all.

    :param seconds: that each of them was to walk.
    """
    rows = [(r.seed, f'{r.seconds:.1f} of {seconds:g}', 'yes' if r.fell else 'no',
             f'{r.distance:.1f}', _milliseconds(r.latency_p50_ms),
             _milliseconds(r.latency_p99_ms), _causes(r.stop_causes)) for r in results]
    slowest = max((r.latency_p99_ms for r in results if r.latency_p99_ms is not None),
                  default=None)
    every = ('all', f'{sum(r.seconds for r in results):.1f} of {seconds * len(results):g}',
             f'{sum(r.fell for r in results)} of {len(results)}',
             f'{sum(r.distance for r in results):.1f}', '',
             f'at most {_milliseconds(slowest)}',
             str(sum(sum(r.stop_causes.values()) for r in results)))
    return table(('seed', 'walked [s]', 'fell', 'distance [m]', 'latency p50 [ms]', 'p99 [ms]',
                  'stops'), [*rows, every])


def _with_error(facts: Mapping[str, Any]) -> str:
    stderr = facts['return_stderr']
    return f'{facts["return_mean"]:,.0f}' + (f' +- {stderr:,.0f}' if stderr is not None else '')


def _milliseconds(latency: float | None) -> str:
    return '-' if latency is None else f'{latency:.1f}'


def _causes(stops: Mapping[str, int]) -> str:
    return ', '.join(f'{n} {cause}' for cause, n in stops.items()) or '0'
