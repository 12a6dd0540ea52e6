# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``compounding``: errors of whole trajectories and of steps, row by row."""

from dataclasses import replace
import json

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.commands.figures.compounding import compounding
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments.diagnosis.imagination import imagine, imagine_actions
from diffusion_planner_ros.experiments.diagnosis.recorded_windows import draw_windows, plan_from
from diffusion_planner_ros.experiments.figures.errors_by_row import (
    DENOISED,
    errors_of_plans,
    measure_row_errors,
    PLANNED_ACTIONS,
    RECORDED_ACTIONS,
    row_facts,
    RowErrors,
    STEPWISE,
)
from diffusion_planner_ros.experiments.misalignment import execute, Misalignment
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

H, A, S = 8, 6, 17
FEW = PlannerConfig(n_candidates=2)


@pytest.fixture
def planner(bundle):
    return Planner(bundle, FEW)


@pytest.fixture
def drawn(recorded, robot):
    return draw_windows(recorded.episodes, robot, H, n_windows=4, rng=np.random.default_rng(0))


def test_errors_are_of_the_sequences_that_have_not_fallen():
    executed = np.zeros((4, 3, 2))
    planned = executed + np.array([1.0, 2.0, 3.0, 4.0])[:, None, None]
    executed[3, 1:] = np.nan
    executed[:, 2] = np.nan
    errors = RowErrors(Misalignment(planned, executed))
    assert_allclose(errors.rms, [7.5**0.5, (14 / 3)**0.5, np.nan])
    assert_allclose(errors.quartiles.T, [[1.75, 2.5, 3.25], [1.5, 2.0, 2.5], [np.nan] * 3])


def test_one_plan_is_executed_and_forecast_as_a_diagnosis_does(planner, drawn):
    found = errors_of_plans(drawn[:1], planner, 1)
    branch, = plan_from(drawn[:1], planner)
    std = planner.bundle.normalizer.std[A:]
    for name, states in ((DENOISED, branch.plan.states[1:]), (STEPWISE, branch.forecast)):
        clip = planner.bundle.robot.state_clip
        difference = (np.clip(states, -clip, clip) - branch.executed) / std
        assert_allclose(found[name].rms, np.sqrt(np.square(difference).mean(axis=1)), rtol=1e-6)


def test_plans_follow_each_other_and_all_their_actions_are_executed(planner, walker):
    states, actions = imagine_actions(planner, walker.state, 3)
    assert_allclose(states, imagine(planner, walker.state, 3))
    assert actions.shape == (3 * (H - 1), A)
    second = planner.plan(states[H - 1], step=H - 1)
    assert_allclose(actions[H - 1:2 * (H - 1)], second.actions[:-1])
    window = np.concatenate([np.zeros((H, A)), np.tile(walker.state, (H, 1))], axis=1)
    found = errors_of_plans(window[None], planner, 3)
    executed = execute(walker, actions)
    assert found[DENOISED].found.executed.shape == (1, 3 * (H - 1), S)
    normalize = planner.bundle.normalizer.normalize_state
    assert_allclose(found[DENOISED].found.executed[0], normalize(executed), atol=1e-6)


def test_recorded_actions_are_given_to_a_model_that_learned_with_conditions(
        planner, drawn, monkeypatch):
    assert set(measure_row_errors(drawn, planner, 1)) == {PLANNED_ACTIONS}
    monkeypatch.setitem(planner.bundle.facts['training'], 'condition_share', 0.3)
    found = measure_row_errors(drawn, planner, 1)[RECORDED_ACTIONS]
    # These recordings are of this very robot.
    normalizer = planner.bundle.normalizer
    assert_allclose(found[STEPWISE].found.executed,
                    normalizer.normalize_state(drawn[:, 1:, A:]), atol=1e-4)
    forecast = planner.bundle.forecast(drawn[2, 0, A:], drawn[2, :-1, :A])
    assert_allclose(found[STEPWISE].found.planned[2], normalizer.normalize_state(forecast),
                    atol=1e-6)
    assert np.isfinite(found[DENOISED].rms).all()


def test_a_bundle_without_dynamics_model_is_refused(bundle, drawn):
    planner = Planner(replace(bundle, _dynamics=None), FEW)
    with pytest.raises(ModelError, match=r'dynamics\.onnx: no such file in this bundle'):
        measure_row_errors(drawn, planner, 1)


@pytest.mark.parametrize(('window', 'states'), [('actions', 'denoised'), ('joint', 'forecast')])
def test_states_of_the_dynamics_model_are_not_compared_with_themselves(
        bundle, drawn, window, states):
    planner = Planner(replace(bundle, window=window), replace(FEW, states=states))
    with pytest.raises(ConfigError, match="planned states are the dynamics model's own"):
        measure_row_errors(drawn, planner, 1)


def test_what_has_fallen_is_counted(planner, drawn):
    facts = row_facts({PLANNED_ACTIONS: errors_of_plans(drawn, planner, 20)})[PLANNED_ACTIONS]
    assert facts['trajectories'] == 4
    assert facts['fallen'] == sorted(facts['fallen'])
    assert facts['fallen'][0] == 0
    assert facts['fallen'][-1] == 4  # the tiny model cannot walk
    errors = facts['errors'][DENOISED]
    assert errors['rms'][-1] is errors['p50'][-1] is None
    assert errors['p25'][0] <= errors['p50'][0] <= errors['p75'][0]


def test_the_command_writes_numbers_and_a_picture(bundle, dataset, tmp_path, capsys):
    compounding((dataset,), FEW, bundle=bundle.path, n_windows=5, n_plans=2, out=tmp_path)
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith(f'| actions | periods ahead | fallen | {DENOISED}: median |')
    assert [row.split(' | ')[1] for row in rows] == ['1', '7', '14']
    assert {p.name for p in tmp_path.iterdir()} == {'compounding.json', 'compounding.png'}
    facts = json.loads((tmp_path / 'compounding.json').read_text())
    assert (facts['bundle_hash'], facts['horizon'], facts['n_plans']) == (bundle.hash, H, 2)
    errors = facts['actions'][PLANNED_ACTIONS]['errors']
    assert set(errors) == {DENOISED, STEPWISE}
    assert len(errors[STEPWISE]['rms']) == 2 * (H - 1)


@pytest.mark.parametrize('change', [{'n_windows': 0}, {'n_plans': 0}])
def test_numbers_that_make_no_sense_are_refused(dataset, tmp_path, change):
    name, = change
    with pytest.raises(ConfigError, match=f'{name} is 0, expected at least 1'):
        compounding((dataset,), FEW, out=tmp_path, **change)
