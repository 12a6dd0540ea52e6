# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The table of a comparison: one row for every method on a data set, over the seeds."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..markdown import table
from ..robustness.robustness_conditions import NOMINAL
from ..standard_error import standard_error
from .evaluation import DELAYED, HEAVY, LIGHT

Facts = dict[str, Any]
NONE = '-'


def by_data_and_method(cells: Sequence[Facts]) -> dict[str, dict[str, list[Facts]]]:
    """Group cells by data set and method, in the order in which they come."""
    groups: dict[str, dict[str, list[Facts]]] = {}
    for cell in cells:
        groups.setdefault(cell['data'], {}).setdefault(cell['method'], []).append(cell)
    return groups


def return_over_seeds(cells: Sequence[Facts], condition: str) -> tuple[float, float | None] | None:
    """
    Return mean and standard error of the return, None where nothing was measured.

    With several seeds both are over the seeds' means: what another training would come to. With
    one they are over its episodes.
    """
    measured = [cell['conditions'][condition] for cell in cells
                if condition in cell.get('conditions', {})]
    if not measured:
        return None
    means = [facts['return_mean'] for facts in measured]
    error = measured[0]['return_stderr'] if len(means) == 1 else standard_error(means)
    return float(np.mean(means)), error


def falls_over_seeds(cells: Sequence[Facts]) -> float | None:
    """Return the mean share of nominal episodes that ended in a fall, None without any."""
    shares = [cell['conditions'][NOMINAL]['fall_rate'] for cell in cells if 'failed' not in cell]
    return float(np.mean(shares)) if shares else None


def figures_of(cells: Sequence[Facts]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return nominal return and share of falls by data set and method, where measured."""
    figures: dict[str, dict[str, dict[str, float | None]]] = {}
    for data, by_method in by_data_and_method(cells).items():
        for method, of_seeds in by_method.items():
            if (found := return_over_seeds(of_seeds, NOMINAL)) is not None:
                figures.setdefault(data, {})[method] = {
                    'return': found[0], 'fall_rate': falls_over_seeds(of_seeds)}
    return figures


def comparison_table(cells: Sequence[Facts]) -> str:
    """Write a table in Markdown for every data set, and below it what failed."""
    parts = []
    for data, by_method in by_data_and_method(cells).items():
        rows = [[method, *(cell(of_seeds) for cell in COLUMNS.values())]
                for method, of_seeds in by_method.items()]
        parts.append('\n\n'.join([f'**{data}**', table(['method', *COLUMNS], rows),
                                  *_remarks(by_method)]))
    return '\n\n'.join(parts)


def _remarks(by_method: dict[str, list[Facts]]) -> Iterator[str]:
    for method, of_seeds in by_method.items():
        for cell in of_seeds:
            if 'failed' in cell:
                yield f'`{method}`, seed {cell["seed"]}, failed: {cell["failed"]}'
            facts = cell.get('conditions', {}).get(NOMINAL, {})
            if 'return_percentile_95' in facts:
                policy = facts['policy_return']
                yield (f'`{method}` is the data themselves: 95 % of their '
                       f'{facts["episodes"]:,} episodes return less than '
                       f'{facts["return_percentile_95"]:,.0f}' + (
                           '' if policy is None else
                           f'; the best policy in them returns {policy:,.0f} without noise') + '.')


def _return(condition: str) -> Callable[[Sequence[Facts]], str]:
    def cell(of_seeds: Sequence[Facts]) -> str:
        found = return_over_seeds(of_seeds, condition)
        if found is None:
            return 'failed' if all('failed' in cell for cell in of_seeds) else NONE
        mean, error = found
        return f'{mean:,.0f}' + ('' if error is None else f' +- {error:,.0f}')
    return cell


def _nominal(name: str, form: str, scale: float = 1.0) -> Callable[[Sequence[Facts]], str]:
    """Return the mean of a figure of the nominal condition as text."""
    return _mean(lambda cell: cell['conditions'][NOMINAL][name], form, scale)


def _figure(name: str, form: str) -> Callable[[Sequence[Facts]], str]:
    return _mean(lambda cell: cell.get(name), form)


def _mean(figure: Callable[[Facts], float | None], form: str, scale: float = 1.0
          ) -> Callable[[Sequence[Facts]], str]:
    def cell(of_seeds: Sequence[Facts]) -> str:
        figures = [figure(cell) for cell in of_seeds if 'failed' not in cell]
        known = [value for value in figures if value is not None]
        if not known or len(known) < len(figures):
            return NONE
        return format(scale * float(np.mean(known)), form)
    return cell


def _episodes(of_seeds: Sequence[Facts]) -> str:
    """Return how many episodes there were, and the fewest under another condition."""
    counts = [[facts['episodes'] for facts in cell['conditions'].values()]
              for cell in of_seeds if 'failed' not in cell]
    if not counts:
        return NONE
    nominal, fewest = min(c[0] for c in counts), min(map(min, counts))
    return f'{nominal}' + ('' if fewest == nominal else f' ({fewest})')


def _seeds(of_seeds: Sequence[Facts]) -> str:
    n_done = sum('failed' not in cell for cell in of_seeds)
    return f'{n_done}' + ('' if n_done == len(of_seeds) else f' of {len(of_seeds)}')


COLUMNS: dict[str, Callable[[Sequence[Facts]], str]] = {
    'return': _return(NOMINAL),
    'score': _nominal('normalized_score', '.1f'),
    'falls [%]': _nominal('fall_rate', '.0f', 100.0),
    'delay 1': _return(DELAYED),
    'mass -20 %': _return(LIGHT),
    'mass +20 %': _return(HEAVY),
    'training [min]': _figure('training_minutes', '.1f'),
    'updates': _figure('n_updates', ',.0f'),
    'parameters': _figure('parameters', ',.0f'),
    'plan p50 [ms]': _figure('plan_p50_ms', '.2f'),
    'plan p99 [ms]': _figure('plan_p99_ms', '.2f'),
    'candidates': _figure('n_candidates', '.0f'),
    'steps': _figure('n_denoise_steps', '.0f'),
    'episodes': _episodes,
    'seeds': _seeds,
}
"""What a row says of the cells of a method with all seeds, by the title of the column."""
