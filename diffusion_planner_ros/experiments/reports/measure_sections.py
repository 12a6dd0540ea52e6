# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parts of a page that long measurements have: compare, benchmark, endure and soak."""

from collections.abc import Mapping, Sequence
from typing import Any

from .charts import interval_chart, line_chart, Series
from .html_text import NONE, section, table, text_of, with_error
from .report_files import ReportFiles

NAN = float('nan')


def measure_sections(files: ReportFiles) -> str:
    """Return the sections of the verb that ran; none of others."""
    make = {'compare': _compare, 'benchmark': _benchmark, 'endure': _endure,
            'soak': _soak}.get(files.run['verb'])
    return '' if make is None else make(files)


def _compare(files: ReportFiles) -> str:
    # Only here: it imports the simulation, which other pages do without.
    from ..comparison.comparison_table import by_data_and_method, COLUMNS, return_over_seeds
    from ..comparison.evaluation import COMPARED

    parts = ''
    for data, by_method in by_data_and_method(files.facts['cells']).items():
        series = []
        for condition in COMPARED:
            found = {method: return_over_seeds(of_seeds, condition) or (NAN, None)
                     for method, of_seeds in by_method.items()}
            series.append((condition, [mean for mean, _ in found.values()],
                           [error for _, error in found.values()],
                           [f'{method}, {condition}: {with_error(*value)}'
                            for method, value in found.items()]))
        failed = [(method, cell['seed'], cell['failed']) for method, of_seeds in by_method.items()
                  for cell in of_seeds if 'failed' in cell]
        parts += section(data, _charts(interval_chart(
            f'Mean return and standard error, {data}', 'return', list(by_method), series)) + table(
            ('method', *COLUMNS), [(method, *(column(of_seeds) for column in COLUMNS.values()))
                                   for method, of_seeds in by_method.items()])
            + (table(('method', 'seed', 'failed, because'), failed) if failed else ''),
            'Errors are over seeds of the training, or over episodes where there is one seed.')
    return parts


def _benchmark(files: ReportFiles) -> str:
    facts = files.facts
    cells = facts['cells']
    names = [name for name, value in cells[0].items() if isinstance(value, Mapping)
             and 'p50_ms' in value]
    ratios = list(cells[0]['ratios'])
    candidates = list(dict.fromkeys(cell['candidates'] for cell in cells))
    chart = line_chart('How long a plan takes: median', 'candidates', 'time of a plan [ms]', [
        Series(_way(names[0], *way), candidates,
               [cell[names[0]]['p50_ms'] for cell in cells if _way_of(cell) == way])
        for way in dict.fromkeys(map(_way_of, cells))]) if len(candidates) > 1 else ''
    rows = [(cell['candidates'], cell['steps'], cell['guided'],
             *(_pair(cell[name]) for name in names), *(cell['ratios'][name] for name in ratios))
            for cell in cells]
    stages = facts.get('stages_p50_ms', {})
    parts = section('Planning', _charts(chart) + table(
        ('candidates', 'steps', 'guided', *(f'{name}: p50 / p99 [ms]' for name in names),
         *(f'{name} / {names[0]}' for name in ratios)), rows), 'In one process, in turn.')
    parts += section('Stages of one plan', table(
        ('what', 'median'), list(stages.items())) if stages else '')
    parts += section('Plans for several robots', table(
        ('robots', 'in one batch: p50 / p99 [ms]', 'one after the other: p50 / p99 [ms]'),
        [(row['robots'], _pair(row['batch']), _pair(row['one_by_one'])) for row in facts['robots']]
    ) if facts.get('robots') else '')
    way = facts.get('state_to_torque', {})
    parts += section('From a state to its torque', table(
        ('figure', 'value'), [(name.replace('_', ' '), value) for name, value in way.items()])
        if way else '', 'Through ROS, in real time.')
    walked = facts.get('robots_through_ros')
    return parts + section('Robots that walk with one planner', _rows_table(walked)
                           if walked else '')


def _endure(files: ReportFiles) -> str:
    measured, bench = files.facts['real_time'], files.facts['bench']
    rows = [(n_busy, with_error(found['return_mean'], found['return_stderr']),
             f'{found["falls"]} of {found["episodes"]}', found['latency_p50_ms'],
             found['latency_p99_ms'], 100 * found['missed_deadline_rate'],
             _causes(found['stop_causes'])) for n_busy, found in measured.items()]
    parts = section('In real time', table(
        ('busy processes', 'return', 'falls', 'latency p50 [ms]', 'p99 [ms]',
         'missed deadlines [%]', 'stops'), rows) if rows else '')
    runs = [(run['seed'], run['seconds'], run['fell'], run['distance'], run['latency_p50_ms'],
             run['latency_p99_ms'], _causes(run['stop_causes'])) for run in bench]
    return parts + section('On the bench that plays hardware', table(
        ('seed', 'walked [s]', 'fell', 'distance [m]', 'latency p50 [ms]', 'p99 [ms]', 'stops'),
        runs, marked=[k for k, run in enumerate(bench) if run['fell']]) if runs else '',
        f'Each was to walk for {text_of(files.facts["seconds"])} s.')


def _soak(files: ReportFiles) -> str:
    facts, course = files.facts, files.course
    memory = [Series(name, [at / 60 for at, _ in seen], [size for _, size in seen])
              for name, seen in course['memory_mb'].items()]
    charts = line_chart('Memory', 'time [min]', 'resident memory [MB]', memory)
    if latencies := course['latency_ms']:
        charts += line_chart('Latency of the last minute', 'time [min]', 'latency [ms]', [
            Series(name, [row[0] / 60 for row in latencies], [row[k] for row in latencies])
            for k, name in ((1, 'median'), (2, '99th percentile'))])
    happened = {name: facts[name] for name in ('pushes', 'resets', 'pauses', 'falls', 'stops')}
    return section('Course', _charts(charts)) + section('What happened', table(
        ('what', 'how often'), list(happened.items()))) + section(
        'Failures', table(('failure',), [(text,) for text in facts['failures']])
        if facts['failures'] else '')


def _charts(charts: str) -> str:
    return f'<div class="charts">{charts}</div>' if charts else ''


def _way_of(cell: Mapping[str, Any]) -> tuple[int, bool]:
    return cell['steps'], cell['guided']


def _way(name: str, steps: int, guided: bool) -> str:
    return f'{name}, {steps} step{"s" if steps > 1 else ""}{", guided" if guided else ""}'


def _pair(times: Mapping[str, float]) -> str:
    return f'{times["p50_ms"]:.2f} / {times["p99_ms"]:.2f}'


def _rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    return table([name.replace('_', ' ') for name in rows[0]], [list(r.values()) for r in rows])


def _causes(stops: Mapping[str, int]) -> str:
    return ', '.join(f'{n} {cause}' for cause, n in stops.items()) or NONE
