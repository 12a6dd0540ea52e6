# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a study of alignments came to: figures per variant, and their table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..markdown import table
from ..standard_error import standard_error

HEAD = ('variant', 'return before', 'after', 'change %', 'falls before', 'after',
        'misalignment before', 'after', 'ratio', 'denoised states', 'environment steps', 'minutes')


def mean_and_stderr(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean and standard error; that of a single value is None."""
    return {'mean': float(np.mean(values)), 'stderr': standard_error(values)}


def compare(before: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Compare the runs of one variant, which differ in their seeds, with the model before.

    :param before: evaluation of that model, planned with as the variant plans.
    :param runs: ``evaluation``, ``evaluation_denoised``, ``environment_steps``, ``updates`` and
        ``minutes`` of each run.
    """
    after = [run['evaluation'] for run in runs]
    returned = mean_and_stderr([e['return_mean'] for e in after])
    misalignment = mean_and_stderr([e['misalignment']['mean'] for e in after])
    denoised = mean_and_stderr([
        run['evaluation_denoised']['misalignment']['mean'] for run in runs])
    gained = returned['mean'] - before['return_mean']
    return {
        'before': before, 'return': returned,
        'change_percent': 100 * gained / abs(before['return_mean']),
        'falls': sum(e['falls'] for e in after),
        'episodes': sum(e['episodes'] for e in after),
        'misalignment': misalignment,
        'misalignment_denoised': denoised,
        'misalignment_ratio': misalignment['mean'] / before['misalignment']['mean'],
        **{name: float(np.mean([run[name] for run in runs]))
           for name in ('environment_steps', 'updates', 'minutes')}}


def study_table(variants: Mapping[str, Mapping[str, Any]]) -> str:
    """
    Write a study as a table in Markdown.

    :param variants: what ``compare`` says of each; errors are those over the alignments, before
        them those over the episodes.
    """
    return table(HEAD, [_row(name, facts) for name, facts in variants.items()])


def _row(name: str, facts: Mapping[str, Any]) -> list[str]:
    before = facts['before']
    returned = {'mean': before['return_mean'], 'stderr': before['return_stderr']}
    return [
        name, _with_error(returned, ',.0f'), _with_error(facts['return'], ',.0f'),
        f'{facts["change_percent"]:+.0f}', f'{before["falls"]} of {before["episodes"]}',
        f'{facts["falls"]} of {facts["episodes"]}',
        _with_error(before['misalignment'], '.3f'), _with_error(facts['misalignment'], '.3f'),
        f'{facts["misalignment_ratio"]:.2f}', _with_error(facts['misalignment_denoised'], '.3f'),
        f'{facts["environment_steps"]:,.0f}', f'{facts["minutes"]:.0f}']


def _with_error(facts: Mapping[str, float | None], style: str) -> str:
    text = format(facts['mean'], style)
    return text if facts['stderr'] is None else f'{text} +- {format(facts["stderr"], style)}'
