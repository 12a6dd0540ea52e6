# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A small comparison from beginning to end, and its table."""

from dataclasses import replace
import os
import re

from copying_threads import CopyingThreads
from matplotlib.image import imread
import numpy as np
import pytest

from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.comparison import job_runner, training
from diffusion_planner_ros.experiments.comparison.cell import Cell
from diffusion_planner_ros.experiments.comparison.cell_model import DataSet
from diffusion_planner_ros.experiments.comparison.comparison_run import cells_of, run_comparison
from diffusion_planner_ros.experiments.comparison.comparison_table import (
    comparison_table,
    return_over_seeds,
)
from diffusion_planner_ros.experiments.comparison.contestants import (
    PlannerContestant,
    PolicyContestant,
)
from diffusion_planner_ros.experiments.comparison.evaluation import (
    COMPARED,
    DELAYED,
    Evaluation,
)
from diffusion_planner_ros.experiments.comparison.method import parse_methods
from diffusion_planner_ros.experiments.execution import Execution
from diffusion_planner_ros.experiments.plots.comparison_plot import draw_comparison
from diffusion_planner_ros.experiments.robustness.robustness_conditions import NOMINAL
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.sim.perturbation import UNPERTURBED

SMALL = 'width=16,depth=1,value_width=16,value_depth=1,batch_size=32,n_diffusion_steps=5'
PLANNED = f'walker:{SMALL}'
FEWER = f'{PLANNED},n_candidates=2'
TOO_LONG = f'{PLANNED},horizon=1000'
METHODS = ('behaviour', 'bc', PLANNED, FEWER, TOO_LONG)
EVALUATION = Evaluation(episodes=3, first_seed=2000, minutes=1.0)


def cells(dataset, evaluation=EVALUATION):
    return cells_of(parse_methods(METHODS), [DataSet.at(dataset, 'walker2d')], (0,),
                    minutes=0.005, evaluation=evaluation)


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    return tmp_path_factory.mktemp('compare')


@pytest.fixture(scope='module')
def facts(dataset, out):
    with pytest.MonkeyPatch.context() as patch:
        # That jobs have processes of their own is tested with the job runner.
        patch.setattr(job_runner, 'open_pool', CopyingThreads)
        patch.setattr(training, 'SHORTEST_MEASUREMENT', 0.1)
        return run_comparison(cells(dataset), out, n_processes=1)


def test_every_cell_is_measured_or_failed_with_the_reason(facts, dataset):
    by_method = {cell['method']: cell for cell in facts}
    assert list(by_method) == list(METHODS)
    assert {cell['data'] for cell in facts} == {dataset.name}
    assert 'expected at least 1000, the horizon' in by_method[TOO_LONG]['failed']
    for method in ('bc', PLANNED, FEWER):
        cell = by_method[method]
        assert list(cell['conditions']) == list(COMPARED)
        for summary in cell['conditions'].values():
            assert summary['seeds'] == [2000, 2001, 2002]
        assert 0 < cell['plan_p50_ms'] <= cell['plan_p99_ms']
        assert cell['n_updates'] >= 1
        assert cell['parameters'] > 0
    assert list(by_method['behaviour']['conditions']) == [NOMINAL]


def test_a_cell_s_returns_are_those_of_its_bundle(facts, out):
    cell = next(cell for cell in facts if cell['method'] == FEWER)
    bundle = Bundle.load(out / cell['folder'] / 'bundle')
    expected = [run_episode(seed, planner=Planner(bundle, PlannerConfig(
        n_candidates=2, seed=seed)))[0].episode_return for seed in (2000, 2001, 2002)]
    assert cell['conditions'][NOMINAL]['returns'] == expected
    assert cell['n_candidates'] == 2


def test_cells_that_only_plan_in_another_way_use_the_same_model(facts):
    folders = [cell['folder'] for cell in facts if cell['method'] in (PLANNED, FEWER)]
    assert folders[0] == folders[1]


def test_what_is_done_is_only_read(facts, dataset, out):
    files = {f: f.stat().st_mtime_ns for f in out.rglob('*') if f.suffix in ('.pt', '.json')}
    again = run_comparison([cell for cell in cells(dataset) if cell.method.label != TOO_LONG],
                           out, n_processes=1)
    assert again == [cell for cell in facts if cell['method'] != TOO_LONG]
    assert files == {f: f.stat().st_mtime_ns for f in files}


def test_another_evaluation_measures_anew_with_the_same_models(facts, dataset, out):
    cell: Cell = next(c for c in cells(dataset) if c.method.label == PLANNED)
    other = replace(cell, evaluation=Evaluation(episodes=1, first_seed=7, minutes=1.0))
    assert cell.read(out) is not None
    assert other.read(out) is None
    assert other.model.is_done(out)
    assert other.measure(out)['conditions'][NOMINAL]['seeds'] == [7]
    cell.measure(out)  # for the other tests


class Slow:
    """A contestant whose episodes take longer than the limit."""

    def __init__(self, contestant):
        self.contestant = contestant

    def walk(self, seed, robots, execution):
        begin = os.times().user
        while os.times().user - begin < 0.05:
            pass
        return self.contestant.walk(seed, robots, execution)


class Still:
    """A policy that does nothing."""

    def distribution(self, states):
        return np.zeros((len(states), 6)), np.zeros((len(states), 6))


def test_one_episode_is_run_however_little_time_there_is():
    evaluation = Evaluation(episodes=5, first_seed=0, minutes=1e-6)
    found = evaluation.measure(Slow(PolicyContestant(Still(), 'walker2d')), 'walker2d')
    assert [s['episodes'] for s in found['conditions'].values()] == [1] * len(COMPARED)


def test_a_plan_too_short_for_a_delay_is_executed_late_as_a_policy_is(bundle_of):
    contestant = PlannerContestant(bundle_of('mlp', 'x0'), PlannerConfig(n_candidates=1))
    horizon = Bundle.load(contestant.bundle).horizon
    late, _ = contestant.walk(3, UNPERTURBED, Execution(delay=horizon))
    prompt, _ = contestant.walk(3, UNPERTURBED, Execution())
    assert late.episode_return != prompt.episode_return
    # Until the first action arrives, nothing is done.
    still, _ = PolicyContestant(Still(), 'walker2d').walk(3, UNPERTURBED, Execution())
    forever, _ = contestant.walk(3, UNPERTURBED, Execution(delay=1000))
    assert forever.episode_return == still.episode_return


def measured(method, seed, returns, **more):
    """Return a cell with the same returns under every condition."""
    summary = {'return_mean': float(np.mean(returns)), 'return_stderr': 10.0,
               'normalized_score': 50.0, 'fall_rate': 0.25, 'episodes': len(returns)}
    return {'method': method, 'data': 'tiny', 'seed': seed,
            'conditions': dict.fromkeys(COMPARED, summary), 'training_minutes': 20.0,
            'n_updates': 1000 + seed, 'parameters': 5000, 'plan_p50_ms': 1.0, 'plan_p99_ms': 2.0,
            'n_candidates': None, 'n_denoise_steps': None, **more}


FAILED = {'method': 'b', 'data': 'tiny', 'seed': 1, 'failed': 'the reason'}


def test_with_several_seeds_mean_and_error_are_over_the_seeds():
    seeds = [measured('a', 0, [100, 300]), measured('a', 1, [400]), FAILED]
    assert return_over_seeds(seeds, NOMINAL) == (300.0, pytest.approx(100.0))
    assert return_over_seeds(seeds[:1], DELAYED) == (200.0, 10.0)
    assert return_over_seeds([FAILED], NOMINAL) is None


def test_the_table_has_a_row_for_every_method_and_says_what_failed():
    text = comparison_table([measured('a', 0, [100, 300]), measured('a', 1, [400]),
                             measured('b', 0, [1000]), FAILED, {**FAILED, 'method': 'c'}])
    rows = {row.split(' | ')[0].strip('| '): row.split(' | ')[1:]
            for row in text.splitlines() if row.startswith('| ')}
    head = rows['method']
    a, b, c = (dict(zip(head, rows[name], strict=True)) for name in 'abc')
    assert (a['return'], a['falls [%]'], a['updates']) == ('300 +- 100', '25', '1,000')
    assert (b['return'], b['seeds |']) == ('1,000 +- 10', '1 of 2 |')
    assert (c['return'], c['score']) == ('failed', '-')
    assert '`b`, seed 1, failed: the reason' in text
    assert re.search(r'^\*\*tiny\*\*$', text, re.MULTILINE)


def test_the_table_of_a_comparison_says_what_the_data_returned(facts):
    text = comparison_table(facts)
    assert text.count('\n| ') == 2 + len(METHODS)  # head and line
    assert 'the best policy in them returns 12 without noise' in text


def test_the_picture_has_a_panel_for_every_data_set(facts, tmp_path):
    one, two = tmp_path / 'one.png', tmp_path / 'two.png'
    draw_comparison(facts, 'one', one)
    draw_comparison([*facts, measured('bc', 0, [10])], 'two', two)
    assert imread(two).shape[1] - imread(one).shape[1] > 400  # 4 inches
