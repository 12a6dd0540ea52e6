# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Data scaled by their limits: what a model learns from, and what bounds its plans."""


import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.learning.trainer import train, Trainer
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import PredictionMonitor
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

A = 6
FREE = {'clip_denoised': 100.0, 'n_candidates': 64}


@pytest.fixture(scope='module')
def limited(config_of, robot, windows, dataset, tmp_path_factory):
    """A bundle whose data were scaled by their limits, calibrated on them."""
    folder = tmp_path_factory.mktemp('limited')
    trainer = Trainer(config_of(scaling='limits', n_updates=20), robot, windows)
    facts = {'data': [], 'best_policy_return': None}
    checkpoint = train(trainer, folder, facts, on_update=lambda n_done, losses: None)
    export(checkpoint, folder / 'bundle', data=(dataset,))
    return Bundle.load(folder / 'bundle')


@pytest.fixture
def state(recorded):
    return recorded.episodes[0].observations[5].copy()


def test_the_data_go_from_minus_one_to_one(limited, windows):
    rows = limited.normalizer.normalize(windows.rows)
    assert_allclose(rows.min(axis=0), -1.0)
    assert_allclose(rows.max(axis=0), 1.0)
    assert limited.facts['training']['scaling'] == 'limits'


def test_returns_are_scaled_by_their_deviation_all_the_same(limited, windows):
    assert_allclose(limited.value_normalizer.std, windows.values.std())


@pytest.mark.parametrize('is_compiled', [True, False])
def test_plans_are_within_the_limits_of_the_data(limited, state, is_compiled):
    bundle = limited if is_compiled else limited.without_plan()
    found = bundle.normalizer.normalize(Planner(bundle, PlannerConfig(**FREE)).plan(state)
                                        .candidates)
    found[:, 0, A:] = 0.0  # the measured state is what it is
    assert np.abs(found).max() <= 1.0 + 1e-5


def test_plans_of_data_scaled_by_deviations_go_beyond_one(bundle, state):
    plan = Planner(bundle, PlannerConfig(**FREE)).plan(state)
    assert np.abs(bundle.normalizer.normalize(plan.candidates)).max() > 1.0
    assert np.isinf(bundle.largest_entry)


def test_forecast_states_are_within_the_limits_of_the_data(limited, state):
    plan = Planner(limited, PlannerConfig(states='forecast', **FREE)).plan(state)
    assert np.abs(limited.normalizer.normalize(plan.candidates)[:, 1:, A:]).max() <= 1.0 + 1e-5


def test_the_monitor_counts_standard_deviations_of_the_data_all_the_same(limited, windows):
    states = windows.rows[:, A:]
    outside = states.mean(axis=0)
    outside[0] = states[:, 0].max() + 3.0 * states[:, 0].std()
    surprise = PredictionMonitor(limited).compare(None, outside)
    assert surprise.deviation == pytest.approx(3.0)
