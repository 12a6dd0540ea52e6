# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``gaits``: a mirrored gait is a gait, and of two gaits a model keeps both or neither."""

import json

from mass import follow, ROBOT
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.commands.figures import gaits as command
from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import ConfigError, RobotError
from diffusion_planner_ros.experiments.figures import two_gaits
from diffusion_planner_ros.experiments.figures.gaussian_trajectories import learn_gaussian
from diffusion_planner_ros.experiments.figures.mirrored_policy import (
    mirrored_orders,
    mirrored_policy,
)
from diffusion_planner_ros.experiments.figures.two_gaits import (
    DIFFUSION,
    gait_of,
    GAUSSIAN,
    GAUSSIAN_MEAN,
    RECORDED,
)
from diffusion_planner_ros.normalizer import Normalizer
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.behaviour.gaussian_policy import GaussianPolicy
from diffusion_planner_ros.sim.rollout import rollout


@pytest.fixture(scope='module')
def teacher():
    return GaussianPolicy.load(share_file('models/walker2d-teacher.npz'))


def walk(walker, policy, n_steps):
    def act(state, step):
        mean, _ = policy.distribution(state[None])
        return 100.0 * np.clip(mean[0], -1.0, 1.0)
    return rollout(walker, act, n_steps=n_steps)


def test_left_and_right_change_places_and_the_torso_stays(robot):
    state, action = mirrored_orders(robot)
    assert_array_equal(state[state], range(17))
    assert_array_equal(action, [3, 4, 5, 0, 1, 2])
    names = [f'{e.joint} {e.quantity}' for e in robot.state]
    assert names[state[robot.state_index('leg_joint', 'velocity')]] == 'leg_left_joint velocity'
    assert names[state[robot.state_index('rooty', 'position')]] == 'rooty position'


def test_the_mirror_image_of_a_walk_is_a_walk_with_the_mirrored_policy(robot, teacher):
    walker = Walker2D()
    walker.reset(seed=3)
    episode = walk(walker, teacher, 150)
    order, _ = mirrored_orders(robot)
    walker.place(episode.observations[0, order])
    mirrored = walk(walker, mirrored_policy(teacher, robot), 150)
    assert not mirrored.terminated
    assert_allclose(mirrored.observations[:, order], episode.observations, atol=1e-6)
    assert_allclose(mirrored.rewards, episode.rewards, atol=1e-6)


def test_a_robot_without_legs_has_no_mirror_image():
    with pytest.raises(RobotError, match=r"robot 'mass' has no joint \*_left_joint, expected"):
        mirrored_orders(ROBOT)


def test_a_gait_is_where_a_trajectory_is_between_two_means():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 40, 8, 3))
    second += [5.0, 0.0, -2.0]
    std = np.array([2.0, 1.0, 1.0])
    one, other = first.mean(axis=0), second.mean(axis=0)
    between = one + 0.75 * (other - one)
    found = gait_of(np.stack([one, other, between]), first, second, std)
    assert_allclose(found, [-1.0, 1.0, 0.5])


def test_the_mean_of_a_gaussian_is_between_two_ways():
    rng, episodes = np.random.default_rng(0), []
    for force in (-1.0, 1.0) * 50:
        states = follow(rng.normal(0.0, 0.01, 2), [force] * 8)
        episodes.append(Episode(states, np.full((8, 1), force), np.zeros(8), False))
    windows = Windows.cut(episodes, ROBOT, 8, discount=0.9, fall_penalty=0.0)
    gaussian = learn_gaussian(windows, ROBOT, Normalizer.fit(windows.rows), n_updates=300, seed=0)
    mean, std = gaussian.distribution(np.zeros(2))
    assert mean.shape == std.shape == (8, 3)
    assert_allclose(mean[:, 0], 0.0, atol=0.2)
    assert_allclose(std[:, 0], 1.0, atol=0.2)


@pytest.mark.slow
def test_a_diffusion_model_keeps_two_gaits_and_a_gaussian_neither(
        tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(two_gaits, 'N_STEPS', 16)
    command.gaits(n_episodes=24, n_updates=1200, out=tmp_path)
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith('| from standing | trajectories | first gait | between | second gait |')
    assert [row.split(' | ')[0] for row in rows] == [
        f'| {name}' for name in (RECORDED, DIFFUSION, GAUSSIAN, GAUSSIAN_MEAN)]
    assert {p.name for p in tmp_path.iterdir()} == {'gaits.json', 'gaits.png'}
    facts = json.loads((tmp_path / 'gaits.json').read_text())
    found = facts['trajectories']
    assert found[RECORDED] == {'number': 48, 'first_gait': 0.5, 'between': 0.0,
                               'second_gait': 0.5}
    assert found[DIFFUSION]['between'] < 0.2
    assert min(found[DIFFUSION]['first_gait'], found[DIFFUSION]['second_gait']) > 0.2
    assert found[GAUSSIAN]['between'] > 0.8
    assert found[GAUSSIAN_MEAN]['between'] == 1.0
    legs = {name: walks['leg_difference_rad'] for name, walks in facts['walks'].items()}
    assert legs[GAUSSIAN_MEAN] < 0.5 * legs[RECORDED]
    assert 0.7 * legs[RECORDED] < legs[DIFFUSION] < 1.3 * legs[RECORDED]


@pytest.mark.parametrize('change', [{'n_episodes': 0}, {'n_updates': 0}])
def test_numbers_that_make_no_sense_are_refused(tmp_path, change):
    name, = change
    with pytest.raises(ConfigError, match=f'{name} is 0, expected at least 1'):
        command.gaits(out=tmp_path, **change)
