# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diagnose``: scores, imagined motion, and the command from end to end."""

import contextlib
import io
import json
import sys

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.errors import DatasetError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.diagnosis import diagnosis
from diffusion_planner_ros.experiments.diagnosis.imagination import (
    execute_whole_plans,
    imagine,
    positions_of,
)
from diffusion_planner_ros.experiments.diagnosis.out_of_distribution import (
    area_under_curve,
    nearest_distance,
    RecordedStates,
    score_episode,
)
from diffusion_planner_ros.experiments.execution import Execution
from diffusion_planner_ros.experiments.misalignment import watch_episode
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

PERIOD = 0.008  # [s]
A, S = 6, 17


@pytest.fixture
def planner(bundle):
    return Planner(bundle, PlannerConfig(n_candidates=2))


def test_the_nearest_distance_is_that_of_a_search_one_by_one():
    rng = np.random.default_rng(0)
    queries, reference = rng.standard_normal((600, S)), rng.standard_normal((300, S))
    reference[7] = queries[3]
    differences = queries[:, None] - reference
    expected = np.sqrt(np.square(differences).mean(axis=2)).min(axis=1)
    assert_allclose(nearest_distance(queries, reference), expected, atol=1e-6)
    assert nearest_distance(queries, reference)[3] == 0.0


@pytest.mark.parametrize(('scores', 'area'), [
    ([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([1, 1, 1, 1], 0.5), ([1, 3, 2, 4], 0.75),
    ([1, 2, np.nan, 4], 1.0)])
def test_the_area_is_the_share_of_pairs_in_the_right_order(scores, area):
    is_positive = np.array([False, False, True, True])
    assert area_under_curve(np.array(scores, dtype=float), is_positive) == area


def test_without_a_fall_there_is_no_area():
    assert np.isnan(area_under_curve(np.ones(3), np.zeros(3, dtype=bool)))


def test_scores_are_of_what_is_known_in_their_control_period(planner, recorded):
    bundle = planner.bundle
    watched = watch_episode(0, planner=planner)
    assert watched.result.fell
    drawn = RecordedStates.draw(recorded.episodes, bundle, np.random.default_rng(0))
    scores = score_episode(watched, bundle, drawn)
    n, states = watched.result.steps, watched.episode.observations
    assert all(score.shape == (n,) for score in scores.by_name.values())
    assert_allclose(scores.time_to_fall, PERIOD * np.arange(n, 0, -1))
    std = bundle.normalizer.std[A:]
    assert np.isnan(scores.surprise[0])
    clip = bundle.robot.state_clip
    difference = (np.clip(watched.plans[4, 1, A:], -clip, clip) - states[5]) / std
    assert scores.surprise[5] == pytest.approx(np.sqrt(np.mean(np.square(difference))))
    plan = watched.plans[2]
    steps = [bundle.forecast(row[A:], row[None, :A])[0] for row in plan[:-1]]
    difference = (np.array(steps) - np.clip(plan[1:, A:], -clip, clip)) / std
    # The dynamics model's own states are clipped in a forecast, and not where steps are compared.
    assert scores.inconsistency[2] == pytest.approx(np.sqrt(np.mean(np.square(difference))),
                                                    rel=0.05)
    alone = score_episode(watched, bundle, None)
    assert set(alone.by_name) == {'surprise', 'inconsistency'}


def test_recorded_states_are_compared_with_those_of_other_episodes(planner, recorded):
    rng = np.random.default_rng(0)
    drawn = RecordedStates.draw(recorded.episodes, planner.bundle, rng)
    n = sum(map(len, recorded.episodes))
    assert len(drawn.reference) + len(drawn.held_out) == n
    assert nearest_distance(drawn.held_out, drawn.reference).min() > 0.0
    with pytest.raises(DatasetError, match='1 episode, expected at least 2'):
        RecordedStates.draw(recorded.episodes[:1], planner.bundle, rng)


def test_imagined_plans_start_where_the_one_before_ends(planner, walker):
    horizon = planner.bundle.horizon
    states = imagine(planner, walker.state, 3)
    assert states.shape == (3 * (horizon - 1) + 1, S)
    plan = planner.plan(states[horizon - 1], step=horizon - 1)
    assert_array_equal(states[horizon:2 * horizon - 1], plan.states[1:])


def test_imposed_states_move_forwards_by_their_velocity(walker, robot):
    states = np.tile(walker.state, (11, 1))
    states[:, 8] = 2.0
    positions = positions_of(states, robot, walker.joint_names)
    assert_allclose(positions[:, 0], 2.0 * PERIOD * np.arange(11))
    assert_array_equal(positions[:, 1:], states[:, :8])


def test_whole_plans_are_executed_as_an_evaluation_executes_them(planner):
    n_execute = planner.bundle.horizon - 1
    _, trace = run_episode(4, planner=planner, execution=Execution(n_execute=n_execute))
    positions = execute_whole_plans(planner, 4, 1000)
    assert_array_equal(positions[:, 1:], trace.episode.observations[:, :8])


def run_here(*words):
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setattr(sys, 'argv', ['diffusion_planner', 'diagnose', *map(str, words)])
        cli.main()
    return output.getvalue()


def test_the_command_reports_and_draws(bundle, dataset, no_processes, tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosis, 'MOTION_SECONDS', 0.1)
    report = json.loads(run_here(
        '--bundle', bundle.path, '--data', dataset, '--episodes', 2, '--first-seed', 3,
        '--processes', 1, '--planner.n-candidates', 2, '--out', tmp_path / 'found', '--json'))
    assert (report['episodes'], report['seeds'], report['falls']) == (2, [3, 4], 2)
    found = report['misalignment']
    assert set(found) == {
        'plans, visited states', 'dynamics model, visited states', 'plans, recorded states',
        'dynamics model, recorded states', 'recorded actions, recorded states'}
    assert found['recorded actions, recorded states']['mean'] < 1e-5
    assert 0.01 < found['plans, visited states']['mean'] < 5.0
    assert len(found['plans, visited states']['per_step']) == 7
    assert len(report['misalignment_per_entry']) == S
    assert set(report['distance_to_data']) == {'recorded', 'visited', 'planned'}
    assert report['imagination']['seed'] == 3
    written = {p.name for p in (tmp_path / 'found').iterdir()}
    assert written >= {'misalignment.png', 'series.png', 'series_recorded.png', 'ood.png'}
    assert {p.rsplit('/', 1)[1] for p in report['files']} == written


def test_the_command_needs_neither_data_nor_video(bundle, no_processes, tmp_path):
    out = tmp_path / 'found'
    text = run_here('--bundle', bundle.path, '--episodes', 1, '--processes', 1, '--no-video',
                    '--planner.n-candidates', 2, '--out', out)
    assert 'plans, visited states' in text
    assert 'recorded states' not in text
    assert {p.name for p in out.iterdir()} == {
        'misalignment.png', 'series.png', 'ood.png', 'summary.json', 'episode.npz', 'report.html'}


def test_no_episodes_are_refused():
    with pytest.raises(SystemExit, match='episodes is 0, expected at least 1'):
        run_here('--episodes', 0)
