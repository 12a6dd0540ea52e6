# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``overestimation``: returns that plans predict, and those that were achieved."""

from concurrent.futures import ThreadPoolExecutor
import json

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.commands.figures.overestimation import overestimation
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.figures.predicted_returns import (
    EVERY,
    measure_returns,
    predict_returns,
    returns_facts,
)
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment

DISCOUNT, FALL_PENALTY = 0.99, 100.0  # of the tiny model's training
FEW = PlannerConfig(n_candidates=3)


@pytest.fixture
def planner(bundle):
    return Planner(bundle, FEW)


def test_every_tenth_plan_is_compared_with_the_discounted_return_that_followed(planner):
    found = predict_returns(2, planner=planner)
    result, trace = run_episode(2, planner=planner)
    assert found.result == result
    assert result.fell
    steps = range(0, result.steps, EVERY)
    assert len(steps) >= 2
    for i, k in enumerate(steps):
        rewards = trace.episode.rewards[k:]
        powers = DISCOUNT ** np.arange(len(rewards) + 1)
        assert found.achieved[i] == pytest.approx(
            powers[:-1] @ rewards - powers[-1] * FALL_PENALTY)
        plan = planner.plan(trace.episode.observations[k], step=k)
        assert found.predicted[i] == pytest.approx(plan.value)
        assert found.candidates[i] == pytest.approx(plan.values.mean())
    assert_allclose(found.error, found.predicted - found.achieved)


def test_returns_that_the_end_of_an_episode_cuts_do_not_count(planner, monkeypatch):
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 2 * EVERY)
    assert len(predict_returns(2, planner=planner).predicted) == 0
    # After 10 more periods, 0.1 % of a return would be left, after none all of it.
    monkeypatch.setitem(planner.bundle.facts['training'], 'discount', 0.5)
    found = predict_returns(2, planner=planner)
    assert not found.result.fell
    assert len(found.predicted) == 2
    monkeypatch.setitem(planner.bundle.facts['training'], 'discount', 0.7)
    assert len(predict_returns(2, planner=planner).predicted) == 1


def test_episodes_that_cut_all_returns_are_refused(bundle, monkeypatch):
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 10)
    with ThreadPoolExecutor(1) as pool, pytest.raises(
            ModelError, match=r'discount is 0\.99: of 1 episodes, robots undisturbed, none is '
            'long enough that 99% of a return lie within it'):
        measure_returns(bundle, FEW, [0], pool=pool)


def test_a_bundle_that_does_not_say_its_discount_is_refused(planner, monkeypatch):
    monkeypatch.delitem(planner.bundle.facts['training'], 'discount')
    with pytest.raises(ModelError, match=r"model\.yaml: training has no 'discount'"):
        predict_returns(0, planner=planner)


def test_an_error_is_the_mean_over_plans_and_its_standard_error_is_over_episodes(planner):
    episodes = [predict_returns(seed, planner=planner) for seed in (0, 1, 2)]
    facts = returns_facts({'some': episodes, 'one': episodes[:1]})
    errors = np.concatenate([e.error for e in episodes])
    assert facts['some']['overestimation'] == pytest.approx(errors.mean())
    means = [e.error.mean() for e in episodes]
    assert facts['some']['overestimation_stderr'] == pytest.approx(np.std(means, ddof=1) / 3**0.5)
    assert facts['one']['overestimation_stderr'] is None
    assert facts['some']['falls'] == 3
    assert facts['some']['chosen_above_mean_candidate'] > 0.0


def test_the_command_writes_numbers_and_a_picture(bundle, no_processes, tmp_path, capsys):
    out = tmp_path / 'new' / 'figures'
    overestimation(FEW, bundle=bundle.path, episodes=2, first_seed=3, processes=1, out=out)
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith('| robots | episodes (falls) | plans | predicted | achieved |')
    assert [row.split(' | ')[1] for row in rows] == ['2 (2)', '2 (2)']
    assert {p.name for p in out.iterdir()} == {'overestimation.json', 'overestimation.png'}
    assert (out / 'overestimation.png').read_bytes().startswith(b'\x89PNG')
    facts = json.loads((out / 'overestimation.json').read_text())
    assert (facts['bundle_hash'], facts['first_seed']) == (bundle.hash, 3)
    planners = [Planner(bundle, PlannerConfig(n_candidates=3, seed=seed)) for seed in (3, 4)]
    expected = [predict_returns(p.config.seed, planner=p) for p in planners]
    assert facts['robots']['undisturbed'] == pytest.approx(
        returns_facts({'undisturbed': expected})['undisturbed'])


def test_what_makes_no_sense_is_refused_before_anything_runs(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='is a file, expected a folder or a new name'):
        overestimation(FEW, out=tmp_path / 'file')
    with pytest.raises(ConfigError, match='episodes is 0, expected at least 1'):
        overestimation(FEW, episodes=0, out=tmp_path)
