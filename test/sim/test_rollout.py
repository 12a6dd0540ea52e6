# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The loop that steps robots: what it records is what the robots did, one or many at once."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.sim.behaviour.behaviour_data import run_policy
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment
from diffusion_planner_ros.sim.perturbation import Perturbation
from diffusion_planner_ros.sim.rollout import rollout, rollout_together

SEEDS = (3, 4, 5)
GAIN = np.random.default_rng(0).normal(0.0, 40.0, (17, 6))


def react(state, step):
    """A controller that depends on all it is told: state [SI] and control period."""
    return np.clip(state @ GAIN + step, -100.0, 100.0)


def react_together(states, robots, step):
    return np.stack([react(state, step) for state, _ in zip(states, robots, strict=True)])


def walker_at(seed):
    walker = Walker2D()
    walker.reset(seed)
    return walker


def test_an_episode_is_what_a_robot_measured_and_did():
    walker, steps = walker_at(3), []
    episode = rollout(walker_at(3), react, on_step=steps.append)
    state = walker.state
    for k in range(len(episode)):
        assert_array_equal(episode.observations[k], state)
        torque = react(state, k)
        assert_array_equal(episode.actions[k], torque / 100.0)
        state, reward, fell = walker.step(torque)
        assert reward == episode.rewards[k]
        assert fell == (k == len(episode) - 1)
    assert_array_equal(episode.observations[-1], state)
    assert episode.terminated
    assert steps == list(range(len(episode)))


def test_robots_side_by_side_do_what_each_does_alone():
    robots = []

    def control(states, numbers, step):
        robots.append(numbers.tolist())
        return react_together(states, numbers, step)

    together = rollout_together([walker_at(seed) for seed in SEEDS], control)
    for episode, seed in zip(together, SEEDS, strict=True):
        alone = rollout(walker_at(seed), react)
        assert_array_equal(episode.observations, alone.observations)
        assert_array_equal(episode.rewards, alone.rewards)
    for i, episode in enumerate(together):  # who has fallen is not asked for
        assert sum(i in numbers for numbers in robots) == len(episode)


def test_time_is_over_after_the_steps_that_were_asked_for_or_the_limit_of_the_environment(
        monkeypatch):
    episode = rollout(walker_at(0), react, n_steps=4)
    assert (len(episode), len(episode.observations), episode.terminated) == (4, 5, False)
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 6)
    assert len(rollout(walker_at(0), react)) == 6


def test_a_restored_robot_goes_on_as_before_and_a_pending_push_is_part_of_it():
    walker = walker_at(1)
    rollout(walker, react, n_steps=5)
    walker.push(np.array([3.0, 0.0, 0.0]))
    snapshot, other = walker.snapshot(), Walker2D()
    expected = rollout(walker, react, n_steps=5)
    for again in (walker, other):
        again.restore(snapshot)
        assert_array_equal(rollout(again, react, n_steps=5).observations, expected.observations)


def test_a_placed_robot_is_in_that_state_at_the_origin_and_forgets_pushes():
    walker, state = walker_at(0), rollout(walker_at(2), react, n_steps=3).observations[-1]
    walker.push(np.array([50.0, 0.0, 0.0]))
    walker.place(state)
    assert_array_equal(walker.state, state)
    assert walker.position == 0.0
    other = Walker2D()
    other.place(state)
    assert_array_equal(walker.step(np.zeros(6))[0], other.step(np.zeros(6))[0])


class Constant:
    """Always chooses the same, with the deviation 0.5."""

    def __init__(self, action):
        self.action = np.asarray(action)

    def distribution(self, states):
        return np.tile(self.action, (len(states), 1)), np.full((len(states), 6), 0.5)


def test_behaviour_data_hold_the_policys_own_action_beside_the_executed_one():
    chosen = np.array([0.2, -0.3, 0.0, 1.4, -2.0, 0.9])
    quiet, loud = run_policy('walker2d', Constant(chosen), seeds=(0, 1),
                             noise_share=np.array([0.0, 1.0]), rng=np.random.default_rng(0))
    own = np.clip(chosen, -1.0, 1.0)
    for episode in (quiet, loud):
        assert_array_equal(episode.policy_actions, np.tile(own, (len(episode), 1)))
    assert_allclose(quiet.actions, quiet.policy_actions, atol=1e-15)
    noise = (loud.actions - own)[:, :3]  # those within the limits
    assert noise.std() == pytest.approx(0.5, rel=4 / np.sqrt(2 * noise.size))


def test_an_environment_is_made_by_the_name_of_its_robot(robot):
    walker = make_environment(robot.name, Perturbation(mass=1.2))
    assert walker.model.body_mass.sum() == pytest.approx(1.2 * Walker2D().model.body_mass.sum())
    with pytest.raises(RobotError, match=r"no robot 'r2d2': expected one of .*walker2d"):
        make_environment('r2d2')
