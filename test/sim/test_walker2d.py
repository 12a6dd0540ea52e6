"""Walker2D against Gymnasium's Walker2d-v5, number by number."""

import gymnasium
import mujoco
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.sim.walker2d import normalized_score, Walker2D

GEAR = 100.0  # [N m] of every joint of Gymnasium's walker
SEEDS = (0, 1, 7, 12345)
N_RANDOM_ACTIONS = 1000


@pytest.fixture
def reference():
    env = gymnasium.make('Walker2d-v5')
    yield env
    env.close()


def random_torques(n, seed=0):
    return GEAR * np.random.default_rng(seed).uniform(-1.0, 1.0, (n, 6))


@pytest.mark.parametrize('seed', SEEDS)
def test_reset_gives_the_state_of_gymnasium_for_the_same_seed(reference, seed):
    walker = Walker2D()
    observation = walker.reset(seed)
    expected, _ = reference.reset(seed=seed)
    assert_array_equal(observation, expected)
    assert_array_equal(walker.qpos, reference.unwrapped.data.qpos)
    assert_array_equal(walker.qvel, reference.unwrapped.data.qvel)


def test_reset_forgets_the_episode_before(reference):
    walker = Walker2D()
    walker.reset(0)
    for torque in random_torques(10):
        walker.step(torque)
    walker.reset(3)
    reference.reset(seed=3)
    torque = random_torques(1, seed=1)[0]
    observation, reward, _ = walker.step(torque)
    expected, expected_reward, *_ = reference.step(torque / GEAR)
    assert_allclose(observation, expected, atol=1e-9)
    assert_allclose(reward, expected_reward, atol=1e-9)


def test_random_actions_give_the_states_rewards_and_falls_of_gymnasium(reference):
    walker = Walker2D()
    seed, n_falls = 100, 0
    walker.reset(seed)
    reference.reset(seed=seed)
    for torque in random_torques(N_RANDOM_ACTIONS):
        observation, reward, fell = walker.step(torque)
        expected, expected_reward, expected_fell, truncated, _ = reference.step(torque / GEAR)
        assert not truncated
        assert fell == expected_fell
        assert_allclose(observation, expected, rtol=0, atol=1e-9)
        assert_allclose(walker.qpos, reference.unwrapped.data.qpos, rtol=0, atol=1e-9)
        assert_allclose(walker.qvel, reference.unwrapped.data.qvel, rtol=0, atol=1e-9)
        assert_allclose(reward, expected_reward, rtol=0, atol=1e-9)
        if fell:
            n_falls += 1
            seed += 1
            walker.reset(seed)
            reference.reset(seed=seed)
    assert n_falls > 10  # otherwise nothing was seen of a fall


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


@pytest.mark.parametrize(('height', 'pitch', 'is_healthy'), [
    (1.25, 0.0, True), (0.79, 0.0, False), (2.01, 0.0, False), (1.25, 1.01, False),
    (1.25, -1.01, False), (0.81, 0.99, True)])
def test_health_is_that_of_gymnasium(reference, height, pitch, is_healthy):
    walker = Walker2D()
    reference.reset(seed=0)
    for data in (walker.data, reference.unwrapped.data):
        data.qpos[1:3] = height, pitch
    assert walker.is_healthy is is_healthy
    assert reference.unwrapped.is_healthy == is_healthy


def test_a_copy_of_the_state_is_handed_out():
    walker = Walker2D()
    walker.reset(0)
    before = walker.qpos
    walker.step(np.zeros(6))
    assert not np.array_equal(before, walker.qpos)


def test_normalized_score_is_that_of_d4rl():
    # D4RL's infos.py: walker2d is 0 at a random policy's return and 100 at its expert's.
    assert_allclose([normalized_score(1.629008), normalized_score(4592.3)], [0.0, 100.0])


def test_the_description_of_the_robot_fits_the_simulation(robot):
    walker = Walker2D()
    assert [e.joint for e in robot.action] == walker.actuated_joints
    assert_array_equal(robot.torque_limit, walker.torque_limit)
    assert robot.control_period == walker.control_period
    positions = [e.joint for e in robot.state if e.quantity == 'position']
    velocities = [e.joint for e in robot.state if e.quantity == 'velocity']
    assert positions == walker.joint_names[1:]
    assert velocities == walker.joint_names
    assert_array_equal(robot.state_clip, [np.inf] * 8 + [10.0] * 9)


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
