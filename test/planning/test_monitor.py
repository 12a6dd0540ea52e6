# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The monitor: quiet while the robot walks as planned, not when its state is wrong."""

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from sensor_faults import (
    FAULT_AT,
    flipped,
    FOOT,
    frozen,
    LEG,
    levels,
    noisy,
    PITCH,
    swapped,
    THIGH,
    THIGH_LEFT,
    too_large,
    unchanged,
)

from diffusion_planner_ros.errors import ConfigError, StateError
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import MonitorConfig, PredictionMonitor
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.settings import settings_of
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.perturbation_ranges import DRAWN

S = 17


def normal(bundle):
    return bundle.calibrations['forecast']


@pytest.fixture(scope='module')
def shipped():
    return Bundle.load(share_file('models/walker2d'))


@pytest.fixture
def make_monitor(shipped):
    def make(**settings):
        return PredictionMonitor(shipped, MonitorConfig(**settings))
    return make


@pytest.fixture
def state(shipped):
    return shipped.normalizer.mean[-S:].copy()


def test_nominal_walking_never_warns(shipped):
    found = levels(shipped, unchanged, n_steps=1000)
    assert len(found) == 1000
    assert set(found) == {'ok'}


@pytest.mark.parametrize('fault', [
    swapped(THIGH, LEG), swapped(LEG, FOOT), swapped(THIGH, THIGH_LEFT), flipped(THIGH),
    flipped(LEG), frozen, noisy, too_large])
def test_a_wrong_state_stops_the_robot_before_it_has_fallen(shipped, fault):
    found = levels(shipped, fault)
    assert set(found[:FAULT_AT]) == {'ok'}
    assert 'stop' in found[FAULT_AT:]


@pytest.mark.parametrize('fault', [
    swapped(THIGH, LEG), swapped(LEG, FOOT), swapped(THIGH, THIGH_LEFT), flipped(PITCH),
    flipped(LEG), noisy])
def test_a_measurement_that_jumps_stops_the_robot_at_once(shipped, fault):
    found = levels(shipped, fault)
    assert set(found[:FAULT_AT]) == {'ok'}
    assert 'stop' in found[FAULT_AT:FAULT_AT + 3]


@pytest.mark.parametrize('seed', range(6000, 6004))
def test_no_alarm_while_a_robot_drawn_at_random_walks(shipped, seed):
    assert set(levels(shipped, unchanged, robot=DRAWN.draw(seed))) == {'ok'}


@pytest.mark.parametrize(('jump', 'level'), [(2.9, 'ok'), (3.1, 'stop')])
def test_a_jump_is_the_error_of_one_entry_over_the_largest_of_that_entry(
        make_monitor, shipped, state, jump, level):
    predicted = state.copy()
    predicted[PITCH] += jump * normal(shipped).largest[PITCH] * shipped.normalizer.std[PITCH - S]
    surprise = make_monitor(ood_warn=0.0, ood_stop=0.0).compare(predicted, state)
    assert_allclose(surprise.jump, jump)
    assert (surprise.level, surprise.cause) == (level, 'jump' if level == 'stop' else '')


def test_the_error_is_the_rms_over_the_entries_in_standard_deviations(make_monitor, shipped,
                                                                      state):
    predicted = state.copy()
    predicted[0] += 3.0 * shipped.normalizer.std[-S]
    assert_allclose(make_monitor().compare(predicted, state).error, 3.0 / np.sqrt(S))


def test_velocities_are_clipped_before_they_are_compared(make_monitor, state):
    state[8] = 10.0
    fast = state.copy()
    fast[8] = 14.0
    surprise = make_monitor().compare(state, fast)
    assert surprise.error == 0.0
    assert surprise.deviation > 0.0


@pytest.mark.parametrize('percentile', [0, 37, 99, 100])
def test_the_percentile_is_that_of_the_training_data(make_monitor, shipped, state, percentile):
    predicted = state.copy()
    error = normal(shipped).errors[percentile]
    predicted[0] += error * shipped.normalizer.std[-S] * np.sqrt(S)
    surprise = make_monitor().compare(predicted, state)
    assert_allclose(surprise.percentile, percentile, atol=1e-6)
    assert_allclose(surprise.score, error / normal(shipped).scale)


def test_the_score_is_the_median_over_the_window(make_monitor, shipped, state):
    monitor = make_monitor(ood_window=3)
    unit = shipped.normalizer.std[-S:] * normal(shipped).errors[99]
    scores = [monitor.compare(state + e * unit, state).score for e in (1, 0, 0, 9, 2, 3, 3)]
    assert_allclose(scores, [1.0, 0.5, 0.0, 0.0, 2.0, 3.0, 3.0], atol=1e-9)


def test_the_dynamics_model_predicts_and_without_one_the_plan(shipped, state):
    plan = Planner(shipped, PlannerConfig()).plan(state)
    assert_array_equal(PredictionMonitor(shipped).predict(plan),
                       shipped.forecast(state, plan.actions[:1])[0])
    without = replace(shipped, _dynamics=None)
    monitor = PredictionMonitor(without)
    assert_array_equal(monitor.predict(plan), plan.states[1])
    assert monitor.calibration is shipped.calibrations['denoised']


def test_a_reset_forgets(make_monitor, shipped, state):
    monitor = make_monitor()
    monitor.compare(state + shipped.normalizer.std[-S:], state)
    monitor.reset()
    surprise = monitor.compare(state, state)
    assert (surprise.score, surprise.n_equal) == (0.0, 0)


@pytest.mark.parametrize(('score', 'level'), [(0.9, 'ok'), (1.1, 'warn'), (2.1, 'stop')])
def test_levels_follow_the_thresholds(make_monitor, shipped, state, score, level):
    monitor = make_monitor(ood_warn=1.0, ood_stop=2.0, max_jump=0.0)
    predicted = state + score * shipped.normalizer.std[-S:] * normal(shipped).errors[99]
    assert monitor.compare(predicted, state).level == level


def test_zero_switches_a_threshold_off(make_monitor, shipped, state):
    monitor = make_monitor(ood_warn=0.0, ood_stop=0.0, max_jump=0.0, max_state_deviation=0.0,
                           max_equal_states=0)
    for _ in range(20):
        state[0] = 1e5
        assert monitor.compare(state + shipped.normalizer.std[-S:], state).level == 'ok'


def test_thresholds_can_change_while_running(make_monitor, shipped, state):
    monitor = make_monitor(max_jump=0.0)
    predicted = state + 2.1 * shipped.normalizer.std[-S:] * normal(shipped).errors[99]
    assert monitor.compare(predicted, state).level == 'warn'
    monitor.configure(MonitorConfig(ood_warn=2.2, max_jump=0.0))
    assert monitor.compare(predicted, state).level == 'ok'


@pytest.mark.parametrize('number', [1e5, -1e5, 1e300])
def test_a_huge_finite_state_is_caught_at_once_and_without_a_prediction(
        make_monitor, state, number):
    state[LEG] = number
    surprise = make_monitor().compare(None, state)
    assert np.isnan(surprise.error)
    assert np.isnan(surprise.percentile)
    assert np.isnan(surprise.score)
    assert surprise.deviation > 1e4
    assert surprise.level == 'stop'
    assert make_monitor().compare(np.zeros(S), state).level == 'stop'


def test_standing_still_as_predicted_is_no_frozen_state(make_monitor, state):
    monitor = make_monitor()
    assert {monitor.compare(state, state).level for _ in range(20)} == {'ok'}


@pytest.mark.parametrize('which', [0, 1])
@pytest.mark.parametrize('wrong', [np.zeros(S - 1), np.full(S, np.nan), np.full(S, np.inf)])
def test_a_state_that_is_none_is_refused(make_monitor, state, which, wrong):
    states = [state, state]
    states[which] = wrong
    with pytest.raises(StateError, match=f"{('predicted', 'arrived')[which]} state is"):
        make_monitor().compare(*states)


def test_states_given_are_not_kept(make_monitor, shipped, state):
    monitor = make_monitor()
    arrived = state.copy()
    for i in range(10):
        arrived[0] = state[0] + 1e-9 * i  # the same array, as a reader of messages may fill it
        predicted = arrived + 0.1 * shipped.normalizer.std[-S:]
        assert monitor.compare(predicted, arrived).n_equal == 0


def test_a_bundle_without_calibration_switches_the_monitor_off(bundle):
    monitor = PredictionMonitor(bundle)
    surprise = monitor.compare(np.zeros(S), np.full(S, 1e5))
    assert not monitor.is_calibrated
    assert surprise.error > 0.0
    assert np.isnan([surprise.percentile, surprise.score, surprise.deviation]).all()
    assert surprise.level == 'ok'


@pytest.mark.parametrize('states', ['denoised', 'forecast'])
def test_the_shipped_bundle_is_calibrated_for_the_settings_it_runs_with(shipped, states):
    assert PredictionMonitor(shipped).is_calibrated
    assert shipped.calibrations[states].differences(PlannerConfig(states=states).decisive) == []
    assert shipped.facts['prediction_error'][states]['n_windows'] == 10_000


def test_other_settings_than_were_measured_are_named(shipped):
    other = PlannerConfig(n_candidates=4, seed=3)
    assert shipped.calibrations['denoised'].differences(other.decisive) == [
        'n_candidates is 4, measured with 8']


def test_a_warning_above_the_stop_is_refused():
    with pytest.raises(ConfigError, match=r'ood_warn is 2\.0, expected at most ood_stop, which '
                                          r'is 1\.5'):
        MonitorConfig(ood_warn=2.0, ood_stop=1.5)
    assert replace(MonitorConfig(), ood_warn=2.0, ood_stop=0.0).ood_warn == 2.0


@pytest.mark.parametrize('setting', list(settings_of(MonitorConfig)), ids=lambda k: k.name)
def test_a_threshold_outside_its_range_is_refused(setting):
    for value in (setting.low - 1, setting.high + 1, float('nan')):
        with pytest.raises(ConfigError, match=f'^{setting.name} is .*, expected '):
            MonitorConfig(**{setting.name: value})
