# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``torques``: inverse dynamics that is known, jumps that are known, two kinds of walks."""

from dataclasses import replace
import json

from mass import follow, PERIOD, ROBOT
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.commands.figures.torques import torques
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import ConfigError, DatasetError, ModelError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.figures.learned_inverse import learn_inverse
from diffusion_planner_ros.experiments.figures.torque_jumps import (
    check_joint,
    INVERSE,
    INVERSE_SAME_PLANS,
    jumps,
    PLANNED,
    RECORDED,
    walk_both,
)
from diffusion_planner_ros.normalizer import Normalizer
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

FEW = PlannerConfig(n_candidates=2)


def pushed(rng):
    """Push a mass of 1 kg at random: its force is the change of velocity by the period."""
    forces = rng.uniform(-1.0, 1.0, (30, 1))
    return Episode(follow(np.zeros(2), forces[:, 0]), forces, np.zeros(30), False)


@pytest.fixture(scope='module')
def inverse():
    rng = np.random.default_rng(0)
    episodes = [pushed(rng) for _ in range(50)]
    rows = np.concatenate([np.concatenate([e.actions, e.observations[:-1]], axis=1)
                           for e in episodes])
    return learn_inverse(episodes, ROBOT, Normalizer.fit(rows), n_updates=600, seed=0)


def test_the_force_that_pushed_a_mass_is_found(inverse):
    assert inverse.held_out_error < 0.05
    states = np.array([[0.3, -0.5], [0.0, 0.1]])
    forces = np.array([[0.8], [-0.4]])
    following = np.stack([follow(state, force)[1]
                          for state, force in zip(states, forces, strict=True)])
    assert_allclose(inverse.torques(states, following), forces, atol=0.1)


def test_no_torque_is_beyond_its_limit(inverse):
    found = inverse.torques(np.zeros((1, 2)), np.array([[0.5 * PERIOD, 0.5]]))
    assert_array_equal(found, [[1.0]])


def test_a_single_episode_is_refused():
    episode = pushed(np.random.default_rng(0))
    no_step = Episode(np.zeros((1, 2)), np.zeros((1, 1)), np.zeros(1), False)
    with pytest.raises(DatasetError, match='1 episodes of two states or more, expected at least'):
        learn_inverse([episode, no_step], ROBOT, Normalizer(np.zeros(3), np.ones(3)),
                      n_updates=1, seed=0)


def test_jumps_are_of_every_joint_from_one_period_to_the_next():
    assert_array_equal(jumps(np.array([[0.0, 5.0], [3.0, 1.0], [-1.0, 1.0]])), [3, 4, 4, 0])


def test_one_walk_is_that_of_the_plans_and_the_other_that_of_the_states(bundle, robot, recorded):
    planner = Planner(bundle, FEW)
    inverse = learn_inverse(recorded.episodes, robot, bundle.normalizer, n_updates=20,
                            seed=0)
    found = walk_both(1, planner=planner, inverse=inverse)
    result, trace = run_episode(1, planner=planner)
    assert found.planned == result
    assert_allclose(found.torques[PLANNED], trace.episode.actions * robot.torque_limit)
    assert len(found.torques[INVERSE_SAME_PLANS]) == result.steps
    plan = planner.plan(trace.episode.observations[4], step=4)
    expected = inverse.torques(plan.states[:1], plan.states[1:2])
    assert_allclose(found.torques[INVERSE_SAME_PLANS][4], expected[0])
    # Both walks start from the same state, then part.
    assert_allclose(found.torques[INVERSE][0], found.torques[INVERSE_SAME_PLANS][0])
    assert len(found.torques[INVERSE]) == found.inverse.steps
    assert found.inverse.episode_return != result.episode_return


def test_the_command_writes_numbers_and_a_picture(bundle, dataset, recorded, no_processes,
                                                  tmp_path, capsys):
    torques((dataset,), FEW, bundle=bundle.path, n_updates=100, episodes=2, processes=1,
            out=tmp_path)
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith('| torques | jump, 50 % [N m] | jump, 90 % [N m] | jump, 99 % [N m] |')
    assert [row.split(' | ')[0] for row in rows[:4]] == [
        f'| {name}' for name in (PLANNED, INVERSE_SAME_PLANS, INVERSE, RECORDED)]
    assert 'Inverse dynamics and recorded torques' in rows[-1]
    assert {p.name for p in tmp_path.iterdir()} == {'torques.json', 'torques.png'}
    facts = json.loads((tmp_path / 'torques.json').read_text())
    assert facts['bundle_hash'] == bundle.hash
    expected = np.concatenate([jumps(100.0 * e.actions) for e in recorded.episodes])
    assert facts['jumps_nm'][RECORDED]['p90'] == pytest.approx(np.percentile(expected, 90),
                                                               rel=1e-5)
    assert facts['episodes'][PLANNED]['seeds'] == facts['episodes'][INVERSE]['seeds'] == [0, 1]
    # Random actions: what is not learned is as large as they are.
    assert 5.0 < facts['inverse_dynamics_held_out_error_nm'] < 100.0


def test_a_model_that_plans_no_torques_is_refused(bundle):
    check_joint(bundle)
    with pytest.raises(ModelError, match=r"model\.yaml: window is 'states', expected 'joint'"):
        check_joint(replace(bundle, window='states'))


@pytest.mark.parametrize('change', [{'episodes': 0}, {'n_updates': 0}])
def test_numbers_that_make_no_sense_are_refused(dataset, tmp_path, change):
    name, = change
    with pytest.raises(ConfigError, match=f'{name} is 0, expected at least 1'):
        torques((dataset,), FEW, out=tmp_path, **change)
