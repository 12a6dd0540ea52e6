# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots that ship against those of Gymnasium, number by number; what pushes and torques do."""

import gymnasium
import mujoco
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import normalized_score, Walker2D

from diffusion_planner_ros.robots.task import Task
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.sim.mjcf import quiet_compiler

ROBOTS = ('walker2d', 'hopper', 'half_cheetah')
SEEDS = (0, 1, 7, 12345)
N_RANDOM_ACTIONS = 1000
N_BITS = 10  # of an action: few enough that torque and back gives the same number


class Both:
    """A robot of ours and Gymnasium's, which do the same."""

    def __init__(self, robot):
        self.ours = make_environment(robot)
        with quiet_compiler():
            self.theirs = gymnasium.make(Task.load(robot).gymnasium)
        self.data = self.theirs.unwrapped.data

    def reset(self, seed):
        observation = self.ours.reset(seed)
        expected, _ = self.theirs.reset(seed=seed)
        assert_array_equal(observation, expected)
        self.check_joints()

    def step(self, action):
        """Take a step; return whether both fell, and whether time is over there."""
        observation, reward, fell = self.ours.step(action * self.ours.torque_limit)
        expected, expected_reward, expected_fell, truncated, _ = self.theirs.step(action)
        assert_array_equal(observation, expected)
        assert reward == expected_reward
        assert fell == expected_fell
        self.check_joints()
        return fell, truncated

    def check_joints(self):
        assert_array_equal(self.ours.qpos, self.data.qpos)
        assert_array_equal(self.ours.qvel, self.data.qvel)


@pytest.fixture(params=ROBOTS)
def both(request):
    both = Both(request.param)
    yield both
    both.theirs.close()


def random_actions(robot, n=N_RANDOM_ACTIONS, seed=0):
    scale = 2**N_BITS
    return np.random.default_rng(seed).integers(
        -scale, scale + 1, (n, robot.robot.action_dim)) / scale


@pytest.mark.parametrize('seed', SEEDS)
def test_reset_gives_the_state_of_gymnasium_for_the_same_seed(both, seed):
    both.reset(seed)


def test_random_actions_give_the_states_rewards_and_falls_of_gymnasium_to_the_last_bit(both):
    seed, n_falls = 100, 0
    both.reset(seed)
    for k, action in enumerate(random_actions(both.ours)):
        fell, truncated = both.step(action)
        assert truncated == (not n_falls and k == both.ours.max_episode_steps - 1)
        if fell:
            n_falls, seed = n_falls + 1, seed + 1
            both.reset(seed)
    # Otherwise nothing was seen of a fall, or of a whole episode.
    assert n_falls > 10 if both.ours.task.has_falls else n_falls == 0


def test_reset_forgets_the_episode_before(both):
    both.reset(0)
    for action in random_actions(both.ours, 10):
        both.step(action)
    both.reset(3)
    both.step(random_actions(both.ours, 1, seed=1)[0])


def test_states_far_from_where_the_robot_stands_are_healthy_where_gymnasium_says_so(both):
    rng, found = np.random.default_rng(0), set()
    both.reset(0)
    for _ in range(300):
        qpos, qvel = (rng.normal(0.0, scale, len(both.ours.joint_names)) for scale in (0.5, 40.0))
        qpos[1] += 1.3
        for data in (both.ours.data, both.data):
            data.qpos[:], data.qvel[:] = qpos, qvel
        expected = getattr(both.theirs.unwrapped, 'is_healthy', True)
        assert both.ours.is_healthy == expected
        found.add(both.ours.is_healthy)
    assert found == ({True, False} if both.ours.task.has_falls else {True})


@pytest.mark.parametrize('name', ROBOTS)
def test_the_time_limit_and_the_control_period_are_those_of_gymnasium(name):
    robot, spec = make_environment(name), gymnasium.spec(Task.load(name).gymnasium)
    assert robot.max_episode_steps == spec.max_episode_steps
    with quiet_compiler():
        assert robot.control_period == robot.robot.control_period == spec.make().unwrapped.dt


def test_a_torque_arrives_at_its_joint_in_newton_metres():
    walker = Walker2D()
    walker.reset(0)
    torque = np.array([10.0, -20.0, 30.0, -40.0, 50.0, -60.0])
    walker.step(torque)
    # The first three degrees of freedom are the base, which nothing drives.
    assert_allclose(walker.data.qfrc_actuator, [0.0, 0.0, 0.0, *torque], rtol=1e-12)
    assert walker.actuated_joints == walker.joint_names[3:]


def test_a_velocity_beyond_ten_is_clipped_in_the_observation_only():
    walker = Walker2D()
    walker.reset(0)
    walker.data.qvel[:2] = 12.0, -13.0
    assert_array_equal(walker.state[8:10], [10.0, -10.0])
    assert_array_equal(walker.qvel[:2], [12.0, -13.0])


def test_a_copy_of_the_state_is_handed_out():
    walker = Walker2D()
    walker.reset(0)
    before = walker.qpos
    walker.step(np.zeros(6))
    assert not np.array_equal(before, walker.qpos)


def test_normalized_score_is_that_of_d4rl():
    # D4RL's infos.py: walker2d is 0 at a random policy's return and 100 at its expert's.
    assert_allclose([normalized_score(1.629008), normalized_score(4592.3)], [0.0, 100.0])


def momentum_after_a_period(impulse):
    """Return the robot's momentum [N s] after a control period of free fall."""
    walker = Walker2D()
    walker.reset(0)
    walker.data.qpos[1] += 10.0  # away from the ground
    walker.push(np.array(impulse))
    walker.step(np.zeros(6))
    mujoco.mj_subtreeVel(walker.model, walker.data)
    return walker.model.body_subtreemass[0] * walker.data.subtree_linvel[0], walker


@pytest.mark.parametrize('impulse', [(5.0, 0.0, 0.0), (-3.0, 0.0, 2.0)])
def test_a_push_changes_the_momentum_by_its_impulse(impulse):
    fallen, _ = momentum_after_a_period((0.0, 0.0, 0.0))
    pushed, walker = momentum_after_a_period(impulse)
    assert_allclose(pushed - fallen, impulse, atol=1e-3)
    assert not walker.data.xfrc_applied.any()


def test_a_push_across_the_plane_moves_nothing_out_of_it():
    fallen, _ = momentum_after_a_period((0.0, 0.0, 0.0))
    pushed, _ = momentum_after_a_period((0.0, 5.0, 0.0))
    assert_allclose(pushed, fallen, atol=1e-9)


def test_a_reset_forgets_a_push():
    walker, other = Walker2D(), Walker2D()
    walker.push(np.array([5.0, 0.0, 0.0]))
    walker.reset(0)
    other.reset(0)
    assert_array_equal(walker.step(np.zeros(6))[0], other.step(np.zeros(6))[0])
