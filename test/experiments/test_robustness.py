# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The verb ``robustness``: rows of the table are the episodes that they say they are."""

from dataclasses import replace
import json
from pathlib import Path
import re

import numpy as np
from paths import SOURCE
import pytest
from walker import Walker2D

from diffusion_planner_ros.commands.measure.robustness import robustness
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import Execution, REPLANNED
from diffusion_planner_ros.experiments.robustness.episode_monitor import EpisodeMonitor
from diffusion_planner_ros.experiments.robustness.robustness_conditions import CONDITIONS, select
from diffusion_planner_ros.experiments.robustness.robustness_run import robustness_table
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.sim.behaviour.gaussian_policy import GaussianPolicy
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment
from diffusion_planner_ros.sim.perturbation import Perturbation, UNPERTURBED

SHIPPED = SOURCE / 'models' / 'walker2d'
ROWS = {'mass +20 %', 'delay 1, not compensated'}
ONLY = ('mass +20', 'not compensated')
ONE_CANDIDATE = PlannerConfig(n_candidates=1)


def summary(**changes):
    return {'return_mean': 1234.5, 'return_stderr': 67.8, 'falls': 3, 'episodes': 20,
            'fall_rate': 0.15, **changes}


@pytest.fixture
def short(no_processes, monkeypatch):
    """A planner of the shipped bundle, in episodes of 100 control periods."""
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 100)
    return Planner(Bundle.load(SHIPPED), PlannerConfig())


def test_all_conditions_differ_and_the_first_is_nominal():
    assert next(iter(CONDITIONS.items())) == ('nominal', (UNPERTURBED, REPLANNED))
    assert len(set(CONDITIONS.values())) == len(CONDITIONS)


def test_conditions_are_chosen_by_a_part_of_their_name():
    assert set(select(ONLY)) == ROWS
    assert select(None) == CONDITIONS


def test_every_row_reports_the_episodes_of_its_condition_and_bundle(short, tmp_path, capsys):
    out = tmp_path / 'found'
    robustness(ONE_CANDIDATE, bundles=(f'a={SHIPPED}', str(SHIPPED)), teacher='none', only=ONLY,
               episodes=1, first_seed=8, processes=1, out=out, json=True)
    report = json.loads(capsys.readouterr().out)
    assert set(report['conditions']) == ROWS
    bundle = Bundle.load(SHIPPED)
    for name, by_label in report['conditions'].items():
        perturbation, execution = CONDITIONS[name]
        expected, _ = run_episode(8, planner=Planner(bundle, replace(ONE_CANDIDATE, seed=8)),
                                  execution=execution, perturbation=perturbation)
        assert set(by_label) == {'a', str(SHIPPED)}
        assert all(facts['returns'] == [expected.episode_return] for facts in by_label.values())
        assert all('percent_of_nominal' not in facts for facts in by_label.values())
    assert report['columns']['a'] == {'path': str(SHIPPED), 'hash': bundle.hash}
    assert (out / 'robustness.png').read_bytes().startswith(b'\x89PNG')
    assert report == json.loads((out / 'summary.json').read_text())
    assert {p.name for p in out.iterdir()} == {'robustness.png', 'summary.json', 'report.html'}


def test_without_json_a_table_in_markdown_is_printed(short, tmp_path, capsys):
    robustness(ONE_CANDIDATE, teacher='none', only=('mass +20',), episodes=1, processes=1,
               out=tmp_path)
    head, rule, row = capsys.readouterr().out.splitlines()
    assert (head, rule) == ('| condition | shipped: return | falls | alarms (stops) |',
                            '| --- | --- | --- | --- |')
    assert re.fullmatch(r'\| mass \+20 % \| [\d,]+ \| [01] of 1 \| [01] \([01]\) \|', row)


def test_the_table_has_the_columns_that_there_are_figures_for():
    watched = {'percent_of_nominal': 87.65, 'alarms': 4, 'monitor_stops': 1}
    text = robustness_table(
        {'nominal': {'before': summary(**watched), 'after': summary(return_stderr=None)}})
    assert text.splitlines() == [
        '| condition | before: return | % of nominal | falls | alarms (stops) | after: return '
        '| falls |',
        '| --- | --- | --- | --- | --- | --- | --- |',
        '| nominal | 1,234 +- 68 | 87.7 | 3 of 20 | 4 (1) | 1,234 | 3 of 20 |']


@pytest.mark.parametrize(('options', 'message'), [
    ({'only': ('wind',)}, "no condition is called 'wind', expected a part of one of: nominal; "),
    ({'bundles': ('=x',)}, "bundles has '=x', expected PATH or LABEL=PATH"),
    ({'bundles': ('x=',)}, "bundles has 'x=', expected PATH or LABEL=PATH"),
    ({'bundles': ('a=x', 'a=y')}, "bundles has 'a' twice"),
    ({'bundles': (f'teacher={SHIPPED}',), 'teacher': 'x.npz'}, "bundles has 'teacher'"),
    ({'episodes': 0}, 'episodes is 0, expected at least 1'),
    ({'out': Path(__file__)}, 'test_robustness.py: is a file, expected a folder')])
def test_a_wrong_option_is_refused_before_anything_runs(options, message):
    with pytest.raises(ConfigError, match=message):
        robustness(PlannerConfig(), **options)


@pytest.mark.parametrize(('n_states', 'message'), [
    (None, 'not a policy that collect wrote'), (16, 'from 16 states to 6 torques, expected 17')])
def test_a_teacher_that_does_not_fit_is_refused(tmp_path, n_states, message):
    file = tmp_path / 'teacher.npz'
    if n_states:
        GaussianPolicy(np.zeros(n_states), np.ones(n_states), (np.zeros((6, n_states)),),
                       (np.zeros(6),), np.ones(6)).save(file)
    with pytest.raises(ModelError, match=message):
        robustness(PlannerConfig(), teacher=str(file))


def test_a_bundle_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match='no such file'):
        robustness(PlannerConfig(), bundles=(f'{SHIPPED}', f'after={tmp_path / "none"}'))


@pytest.fixture
def teacher(tmp_path):
    """File of a policy that falls soon, in its own way."""
    rng = np.random.default_rng(0)
    weights = tuple(rng.normal(0.0, 0.2, shape) for shape in ((4, 17), (6, 4)))
    file = tmp_path / 'teacher.npz'
    GaussianPolicy(np.zeros(17), np.ones(17), weights, (np.zeros(4), np.zeros(6)),
                   np.ones(6)).save(file)
    return file


def return_late(policy, walker, seed, delay):
    """Execute every torque of a policy ``delay`` periods late; return the sum of rewards."""
    state, torques, total, fell = walker.reset(seed), [np.zeros(6)] * delay, 0.0, False
    while not fell:
        torques.append(100.0 * np.clip(policy.distribution(state[None])[0][0], -1.0, 1.0))
        state, reward, fell = walker.step(torques[-1 - delay])
        total += reward
    return total


def test_the_teacher_walks_under_the_same_conditions(short, teacher, tmp_path, capsys):
    robustness(ONE_CANDIDATE, teacher=str(teacher), only=('nominal', 'mass +20', 'drawn', *ONLY),
               episodes=2, first_seed=3, processes=1, out=tmp_path, json=True)
    report = json.loads(capsys.readouterr().out)
    policy = GaussianPolicy.load(teacher)
    for name, by_label in report['conditions'].items():
        robots, execution = CONDITIONS[name]
        found = by_label['teacher']
        assert found['returns'] == pytest.approx([
            return_late(policy, Walker2D(robots.draw(seed)), seed, execution.delay)
            for seed in (3, 4)])
        assert 'alarms' not in found
        assert 'alarms' in by_label['shipped']
        nominal = report['conditions']['nominal']['teacher']['return_mean']
        assert found['percent_of_nominal'] == pytest.approx(100 * found['return_mean'] / nominal)
    assert report['columns']['teacher']['path'] == str(teacher)


@pytest.mark.parametrize('execution', [REPLANNED, Execution(delay=1)])
def test_the_monitor_is_calm_while_the_robot_walks_as_planned(short, execution):
    monitor = EpisodeMonitor(short.bundle, execution=execution)
    run_episode(0, planner=short, execution=execution, on_plan=monitor.watch)
    assert monitor.alarm == 'ok'


@pytest.mark.parametrize(('perturbation', 'alarm'), [
    (Perturbation(push=40.0, push_period=0.2), 'warn'),  # no sensor is at fault
    (Perturbation(position_noise=0.3), 'stop')])
def test_the_monitor_sees_a_robot_that_arrives_elsewhere(short, perturbation, alarm):
    monitor = EpisodeMonitor(short.bundle, execution=REPLANNED)
    run_episode(0, planner=short, perturbation=perturbation, on_plan=monitor.watch)
    assert monitor.alarm == alarm


def test_without_calibration_there_is_no_alarm(short):
    bundle = replace(short.bundle, calibrations={})
    monitor = EpisodeMonitor(bundle, execution=REPLANNED)
    run_episode(0, planner=short, perturbation=Perturbation(push=40.0), on_plan=monitor.watch)
    assert monitor.alarm is None
