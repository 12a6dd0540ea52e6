# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Parts of a page that one verb alone has: conditions, alignments, misalignment."""

from collections.abc import Mapping, Sequence
from typing import Any

from .charts import interval_chart, line_chart, Series
from .html_text import section, table, text_of, with_error
from .report_files import ReportFiles

GUARD = (('return_mean', "return of the guard's episodes"),
         ('misalignment', 'misalignment [standard deviations]'))


def verb_charts(files: ReportFiles) -> str:
    """Return the sections for what the facts of a run hold."""
    facts, course = files.facts, files.course
    return ''.join((
        _conditions(facts.get('conditions', {})),
        _models(facts), _guards({'': [course['guards']]} if course.get('guards') else {}),
        _guards({name: [run['guards'] for run in variant['runs'].values()]
                 for name, variant in facts.get('variants', {}).items()}),
        _variants(facts.get('variants', {})), _misalignment(facts), _losses(facts)))


def _conditions(conditions: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return figure and table of robustness; of every condition what each column came to."""
    if not conditions:
        return ''
    labels = list(next(iter(conditions.values())))
    series = [(label, [by_label[label]['return_mean'] for by_label in conditions.values()],
               [by_label[label]['return_stderr'] for by_label in conditions.values()],
               [f'{label}, {name}: {_return_of(by_label[label])}, {_falls_of(by_label[label])} '
                'fell' for name, by_label in conditions.items()]) for label in labels]
    cells = {name: [(f'{label}: {title}', text) for label in labels
                    for title, text in _cells(by_label[label]).items()]
             for name, by_label in conditions.items()}
    head = ['condition', *(title for title, _ in next(iter(cells.values())))]
    rows = [(name, *(text for _, text in row)) for name, row in cells.items()]
    return section('Conditions', '<div class="charts">' + interval_chart(
        'Mean return and standard error', 'return', list(conditions), series) + '</div>'
        + table(head, rows), 'An alarm is a warning of the monitor, in brackets those that stop '
        'the robot.')


def _models(facts: Mapping[str, Any]) -> str:
    """Return what the guard says of the models before, best and last of an alignment."""
    found = {name: facts[name] for name in ('before', 'best', 'last')
             if isinstance(facts.get(name), Mapping)}
    return section('Models', table(
        ('model', 'return', 'falls', 'misalignment', 'steps learned from'),
        [(name, with_error(guard['return_mean'], guard['return_stderr']), guard['falls'],
          with_error(guard['misalignment'], guard['misalignment_stderr']), guard['n_steps'])
         for name, guard in found.items()]),
        'By the episodes of the guard, in which the best model was chosen.') if found else ''


def _guards(runs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> str:
    """Return how the guard's figures went over the steps; ``runs`` by the variant's name."""
    charts = ''
    for key, label in GUARD if runs else ():
        charts += line_chart(label[0].upper() + label[1:], 'steps that were learned from', label, [
            Series(f'{name} {i + 1}'.strip() if len(of_variant) > 1 else name or 'guard',
                   [guard['n_steps'] for guard in run], [guard[key] for guard in run])
            for name, of_variant in runs.items() for i, run in enumerate(of_variant)])
    return section('Course of the alignment', charts and f'<div class="charts">{charts}</div>',
                   'A guard evaluates the model on the same episodes again and again.')


def _variants(variants: Mapping[str, Mapping[str, Any]]) -> str:
    return section('Variants', table(
        ('variant', 'return before', 'after', 'change %', 'falls after', 'misalignment before',
         'after', 'minutes'),
        [(name, with_error(v['before']['return_mean'], v['before']['return_stderr']),
          with_error(v['return']['mean'], v['return']['stderr']), v['change_percent'],
          _falls_of(v),
          with_error(v['before']['misalignment']['mean'], v['before']['misalignment']['stderr']),
          with_error(v['misalignment']['mean'], v['misalignment']['stderr']), v['minutes'])
         for name, v in variants.items()])) if variants else ''


def _misalignment(facts: Mapping[str, Any]) -> str:
    """Return what ``diagnose`` measures: how far planned states are from executed ones."""
    measured = facts.get('misalignment')
    if not measured:
        return ''
    chart = line_chart(
        'Misalignment by the row of the plan', 'row of the plan',
        'root mean square [standard deviations]',
        [Series(name, range(1, len(found['per_step']) + 1), [
            float('nan') if value is None else value for value in found['per_step']])
         for name, found in measured.items()])
    return section(
        'Misalignment', f'<div class="charts">{chart}</div>' + table(
            ('what', 'plans', 'mean [standard deviations]'),
            [(name, found['plans'], with_error(found['mean'], found['stderr']))
             for name, found in measured.items()]),
        'How far planned states are from those that the planned actions give, open loop.')


def _losses(facts: Mapping[str, Any]) -> str:
    """Return what an alignment from logs came to."""
    losses = facts.get('losses_on_held_out')
    return section('Losses on episodes that were held out', table(
        ('loss', 'before', 'after'), [(name, value, losses['after'].get(name))
                                      for name, value in losses['before'].items()])
    ) if losses else ''


def _cells(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return what a column came to under a condition; a policy has no monitor."""
    alarms = ({'alarms (stops)': f'{summary["alarms"]} ({summary["monitor_stops"]})'}
              if 'alarms' in summary else {})
    return {'return': _return_of(summary), 'falls': _falls_of(summary), **alarms}


def _return_of(summary: Mapping[str, Any]) -> str:
    return with_error(summary['return_mean'], summary['return_stderr'])


def _falls_of(summary: Mapping[str, Any]) -> str:
    return f'{text_of(summary["falls"])} of {text_of(summary["episodes"])}'
