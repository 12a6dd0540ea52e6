# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Late plans: the committed actions are kept, and consecutive plans meet."""

import shutil

import numpy as np
from numpy.testing import assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.errors import ConfigError, StateError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import Execution
from diffusion_planner_ros.planning.bundle import Bundle, DYNAMICS_FILE, read_facts, write_facts
from diffusion_planner_ros.planning.conditions import first_actions, held_state
from diffusion_planner_ros.planning.delay_compensation import (
    committed,
    plan_compensated,
    torque_step,
)
from diffusion_planner_ros.planning.planner import Plan, Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment

H, S, A = 8, 17, 6


@pytest.fixture
def planner(bundle):
    return Planner(bundle, PlannerConfig())


@pytest.fixture
def unforecasting(bundle_of, tmp_path):
    """Return a planner whose bundle has no dynamics model."""
    folder = shutil.copytree(bundle_of('mlp', 'x0'), tmp_path / 'bundle')
    (folder / DYNAMICS_FILE).unlink()
    write_facts(folder, {k: v for k, v in read_facts(folder).items() if k != 'sha256'})
    return Planner(Bundle.load(folder), PlannerConfig())


@pytest.fixture(scope='module')
def shipped():
    return Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())


@pytest.fixture
def state(recorded):
    return recorded.episodes[0].observations[5].copy()


def plan_of(actions):
    """Return a plan of one candidate with these actions (H, A)."""
    return Plan(np.concatenate([actions, np.zeros((H, S))], axis=1)[None], np.zeros(1),
                np.zeros((1, H), dtype=bool), A, scores=np.zeros(1))


def random_actions(n, seed=0):
    return np.random.default_rng(seed).uniform(-100.0, 100.0, (n, A))


def test_committed_actions_are_those_from_the_row_on():
    actions = random_actions(H)
    assert_array_equal(committed(plan_of(actions), 2, 3), actions[2:5])
    assert committed(plan_of(actions), H, 0).shape == (0, A)


@pytest.mark.parametrize('kind', ['planner', 'unforecasting'])
def test_a_goal_is_known_of_the_plan_that_begins_after_the_committed_actions(kind, state, request):
    planner = request.getfixturevalue(kind)
    goal = state + 0.01
    condition = held_state(goal, arrival=3, horizon=H, row_dim=A + S)
    for n in (0, 2):
        plan = plan_compensated(planner, state, random_actions(n), condition=condition)
        assert_array_equal(plan.actions[:n], random_actions(n))
        np.testing.assert_allclose(plan.states[n + 3:], np.tile(goal, (H - n - 3, 1)), atol=1e-5)
        assert not np.allclose(plan.states[n + 2], goal, atol=1e-5)


@pytest.mark.parametrize(('index', 'n'), [(6, 3), (H, 1), (0, H + 1), (-1, 2), (1, -1)])
def test_actions_beyond_the_plan_are_refused(index, n):
    with pytest.raises(ConfigError, match=f'committed rows are {index} to {index + n}, expected '
                                          f'them within 0 to {H}'):
        committed(plan_of(random_actions(H)), index, n)


def test_only_the_first_actions_are_held():
    actions = random_actions(3)
    condition = first_actions(actions, horizon=H, row_dim=A + S)
    assert_array_equal(condition.known[:3, :A], actions)
    assert condition.mask[:3, :A].all()
    assert condition.mask.sum() == actions.size


@pytest.mark.parametrize('n', [1, 2, H - 1])
@pytest.mark.parametrize('name', ['planner', 'unforecasting'])
def test_committed_actions_come_out_of_the_plan_unchanged(request, name, state, n):
    actions = random_actions(n)
    planner = request.getfixturevalue(name)
    plan = plan_compensated(planner, state, actions, step=4)
    n_candidates = planner.config.n_candidates
    assert plan.candidates.shape == (n_candidates, H, A + S)
    assert_array_equal(plan.candidates[:, :n, :A], np.broadcast_to(actions, (n_candidates, n, A)))
    assert np.abs(plan.states[0] - state).max() < 1e-4
    assert len(np.unique(plan.candidates[:, n, 0])) == n_candidates


def test_the_new_actions_depend_on_the_committed_ones(planner, state):
    first, second = (plan_compensated(planner, state, a, step=4).actions[2:]
                     for a in (random_actions(2), random_actions(2, seed=1)))
    assert np.abs(first - second).max() > 1e-3


def test_the_new_actions_are_planned_from_the_state_forecast(planner, state):
    actions = random_actions(2)
    compensated = plan_compensated(planner, state, actions, step=4)
    forecast = planner.bundle.forecast(state, actions)
    expected = planner.plan(forecast[1], step=4)
    assert_array_equal(compensated.candidates[:, 2:], expected.candidates[:, :H - 2])
    assert_array_equal(compensated.states[1], forecast[0])
    assert_array_equal(compensated.values, expected.values)


def test_without_a_forward_model_the_plan_that_holds_the_actions_forecasts(unforecasting, state):
    actions = random_actions(2)
    compensated = plan_compensated(unforecasting, state, actions, step=4)
    condition = first_actions(actions, horizon=H, row_dim=A + S)
    forecast = unforecasting.plan(state, step=4, condition=condition
                                  ).candidates[:, :, A:].mean(axis=0)
    expected = unforecasting.plan(forecast[2], step=4)
    assert_array_equal(compensated.candidates[:, 2:], expected.candidates[:, :H - 2])
    assert_array_equal(compensated.states[1], forecast[1])
    assert_array_equal(compensated.values, expected.values)


@pytest.mark.parametrize('name', ['planner', 'unforecasting'])
@pytest.mark.parametrize('wrong', [np.full(S, np.nan), np.zeros(S - 1)])
def test_a_state_that_is_no_state_is_refused(request, name, wrong):
    with pytest.raises(StateError, match='expected'):
        plan_compensated(request.getfixturevalue(name), wrong, random_actions(2))


def test_without_committed_actions_it_is_a_plain_plan(planner, state):
    compensated = plan_compensated(planner, state, np.zeros((0, A)), step=4)
    assert_array_equal(compensated.candidates, planner.plan(state, step=4).candidates)


@pytest.mark.parametrize('shape', [(H, A), (2, A + 1), (A,), (1, 2, A)])
def test_committed_actions_of_another_shape_are_refused(planner, state, shape):
    with pytest.raises(ConfigError, match=r'committed actions have shape .*, expected \(n, 6\)'):
        plan_compensated(planner, state, np.zeros(shape))


def test_a_torque_step_is_that_between_actions_of_the_same_time():
    old, new = random_actions(H), random_actions(H, seed=1)
    new[2] = old[5] + 3.0
    assert torque_step(plan_of(new), plan_of(old), row=2, lag=3) == pytest.approx(3.0)


@pytest.mark.parametrize(('row', 'lag'), [(7, 1), (-1, 1), (0, H)])
def test_a_torque_step_beyond_a_plan_is_refused(row, lag):
    plan = plan_of(random_actions(H))
    with pytest.raises(ConfigError, match=r'row of a plan is .*, expected 0 to 7'):
        torque_step(plan, plan, row=row, lag=lag)


def test_an_episode_without_delay_executes_the_first_action_of_every_plan(planner):
    walker = Walker2D()
    state, fell, n, expected = walker.reset(3), False, 0, 0.0
    while not fell and n < walker.max_episode_steps:
        state, reward, fell = walker.step(planner.plan(state, step=n).actions[0])
        expected, n = expected + reward, n + 1
    for compensated in (True, False):
        execution = Execution(compensate=compensated)
        result, trace = run_episode(3, planner=planner, execution=execution)
        assert (result.episode_return, result.steps) == (expected, n)
        assert (len(trace.seconds), len(trace.torque_steps)) == (n, n - 1)


@pytest.mark.parametrize(('execution', 'message'), [
    (Execution(delay=H - 1), rf'delay is {H - 1}, expected 0 to {H - 2} \[control'),
    (Execution(n_execute=H + 1), f'n_execute is {H + 1}, expected 1 to {H}'),
    (Execution(n_execute=H - 1, delay=2), f'n_execute is {H - 1}, expected 1 to {H - 2}')])
def test_an_execution_that_a_plan_does_not_outlast_is_refused(planner, execution, message):
    with pytest.raises(ConfigError, match=message):
        run_episode(0, planner=planner, execution=execution)


def test_a_whole_plan_is_executed_before_the_next_one_is_made(planner):
    plans = []
    _, trace = run_episode(3, planner=planner, execution=Execution(n_execute=H),
                           on_plan=lambda walker, plan: plans.append(plan))
    actions = np.concatenate([plan.actions for plan in plans])[:len(trace.episode)]
    np.testing.assert_array_equal(trace.episode.actions, actions / 100.0)
    assert len(trace.seconds) == len(plans) == -(-len(trace.episode) // H)
    assert trace.torque_steps == []


def test_the_longest_delay_is_accepted(planner):
    _, trace = run_episode(0, planner=planner, execution=Execution(delay=H - 2))
    assert np.isfinite(trace.torque_steps).all()


@pytest.mark.parametrize('delay', [2, 3])
def test_late_plans_walk_on_and_jump_less_where_they_know_what_is_executed_before_them(
        shipped, monkeypatch, delay):
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 300)
    steps = {}
    for compensated in (True, False):
        execution = Execution(delay=delay, compensate=compensated)
        episodes = [run_episode(seed, planner=shipped, execution=execution) for seed in (0, 1)]
        assert not (compensated and any(result.fell for result, _ in episodes))
        steps[compensated] = np.concatenate([trace.torque_steps for _, trace in episodes])
    # A part of every step is the noise that another plan begins with.
    assert np.median(steps[True]) < 0.9 * np.median(steps[False])
