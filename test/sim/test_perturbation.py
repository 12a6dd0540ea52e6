# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Changed robots: each setting does what physics says, at random only where that is asked for."""

import itertools

import mujoco
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.robots.task import Task
from diffusion_planner_ros.sim.mjcf import mjcf_path
from diffusion_planner_ros.sim.perturbation import Perturbation

N_STEPS = 50
MJCF = mjcf_path(Task.load('walker2d'))
FRAME_SKIP = 4
# With MuJoCo 3.2.5 the last bits differ, with 4.0.0 none does.
LAST_BITS = {'rtol': 0.0, 'atol': 1e-10 if mujoco.__version__ < '4' else 0.0}
PERIOD = 0.008  # [s]
# Where MuJoCo's compiler is told the same in the MJCF file.
SAME_IN_MJCF = {
    'mass': (Perturbation(mass=1.2), [('density="1000"', 'density="1200"')]),
    'friction': (Perturbation(friction=3.0), [('damping=".1"', 'damping=".3"')]),
    'ground_friction': (Perturbation(ground_friction=0.5), [
        ('friction=".7 .1 .1"', 'friction=".35 .1 .1"'), ('friction="0.9"', 'friction="0.45"'),
        ('friction="1.9"', 'friction="0.95"')])}


def random_torques(n=N_STEPS):
    return 50.0 * np.random.default_rng(0).uniform(-1.0, 1.0, (n, 6))


def states_of(walker, seed=0, torques=None):
    """Return the states of an episode, the first one included."""
    torques = random_torques() if torques is None else torques
    return np.array([walker.reset(seed), *(walker.step(torque)[0] for torque in torques)])


def states_of_model(model, seed=0):
    """Return the same from MuJoCo itself."""
    walker = Walker2D()
    walker.reset(seed)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = walker.qpos, walker.qvel
    states = []
    for torque in [None, *random_torques()]:
        if torque is not None:
            data.ctrl[:] = torque / 100.0
            mujoco.mj_step(model, data, FRAME_SKIP)
        states.append(np.concatenate([data.qpos[1:], np.clip(data.qvel, -10.0, 10.0)]))
    return np.array(states)


def disturbances(perturbation, seed=0, n=1000):
    stream = perturbation.disturbances(seed, control_period=PERIOD, n_torques=6,
                                       is_velocity=np.arange(17) >= 8)
    return list(itertools.islice(stream, n))


def pushes(perturbation, seed=0, n=1000):
    """Return the control periods of pushes and their impulses forwards [N s]."""
    found = {k: impulse for k, (impulse, *_) in enumerate(disturbances(perturbation, seed, n))
             if impulse is not None}
    assert all(impulse[1:].tolist() == [0.0, 0.0] for impulse in found.values())
    return list(found), [impulse[0] for impulse in found.values()]


@pytest.mark.parametrize('name', SAME_IN_MJCF)
def test_a_changed_model_is_the_one_that_mujoco_compiles(name):
    perturbation, words = SAME_IN_MJCF[name]
    text = MJCF.read_text()
    for old, new in words:
        assert old in text
        text = text.replace(old, new)
    expected, changed = mujoco.MjModel.from_xml_string(text), Walker2D(perturbation).model
    for entry in ('body_mass', 'body_inertia', 'body_subtreemass', 'body_invweight0',
                  'dof_invweight0', 'dof_M0', 'dof_damping', 'geom_friction'):
        assert_allclose(getattr(changed, entry), getattr(expected, entry), rtol=1e-9,
                        err_msg=entry)
    # With contacts: the robot stands on its feet at the start.
    assert_allclose(states_of(Walker2D(perturbation)), states_of_model(expected), atol=1e-6)


def test_without_a_change_the_states_are_mujocos_to_the_last_bit():
    model = mujoco.MjModel.from_xml_path(str(MJCF))
    assert_allclose(states_of(Walker2D(Perturbation())), states_of_model(model), **LAST_BITS)


def test_a_heavier_robot_gains_less_speed_from_the_same_push():
    def gained(mass):
        velocities = []
        for impulse in (0.0, 5.0):
            walker = Walker2D(Perturbation(mass=mass))
            walker.reset(0)
            walker.data.qpos[1] += 10.0  # away from the ground
            walker.push(np.array([impulse, 0.0, 0.0]))
            walker.step(np.zeros(6))
            mujoco.mj_subtreeVel(walker.model, walker.data)
            velocities.append(walker.data.subtree_linvel[0, 0])
        return velocities[1] - velocities[0], walker.model.body_subtreemass[0]

    (fast, light), (slow, heavy) = gained(1.0), gained(1.2)
    assert_allclose(heavy, 1.2 * light)
    assert_allclose([fast * light, slow * heavy], 5.0, rtol=1e-3)


def test_joint_friction_brakes_in_proportion_to_speed():
    walker = Walker2D(Perturbation(friction=3.0))
    walker.reset(0)
    walker.data.qvel[:] = np.arange(9.0)
    mujoco.mj_forward(walker.model, walker.data)
    assert_allclose(walker.data.qfrc_passive, [0.0] * 3 + [-0.3 * v for v in range(3, 9)])


def test_pushes_come_once_per_period_at_a_random_time_from_both_sides():
    period = round(0.4 / PERIOD)
    first = set()
    for seed in range(20):
        times, impulses = pushes(Perturbation(push=3.0, push_period=0.4), seed)
        assert np.diff(times).tolist() == [period] * (len(times) - 1)
        assert set(impulses) == {-3.0, 3.0}
        first.add(times[0])
    assert len(first) > 10
    assert min(first) >= 0
    assert max(first) < period


def test_a_push_in_an_episode_changes_the_momentum_by_its_impulse():
    perturbation = Perturbation(push=4.0, push_period=0.2)
    (at, *_), (impulse, *_) = pushes(perturbation, seed=3)

    def momentum(perturbation):
        walker = Walker2D(perturbation)
        walker.reset(3)
        walker.data.qpos[1] += 10.0  # away from the ground
        for _ in range(at + 1):
            walker.step(np.zeros(6))
        mujoco.mj_subtreeVel(walker.model, walker.data)
        return walker.model.body_subtreemass[0] * walker.data.subtree_linvel[0]

    assert_allclose(momentum(perturbation) - momentum(Perturbation()), [impulse, 0.0, 0.0],
                    atol=1e-3)


def test_a_stronger_push_comes_at_the_same_time_from_the_same_side_with_the_same_noise():
    weak = disturbances(Perturbation(push=1.0, torque_noise=2.0))
    strong = disturbances(Perturbation(push=5.0, torque_noise=2.0))
    for (a, noise_a, _), (b, noise_b, _) in zip(weak, strong, strict=True):
        assert (a is None) == (b is None)
        assert a is None or b[0] == 5.0 * a[0]
        assert_array_equal(noise_a, noise_b)


def test_torque_noise_has_the_deviation_that_was_asked_for():
    noise = np.array([
        d.torque_noise for d in disturbances(Perturbation(torque_noise=7.0), n=5000)])
    n = noise.size
    assert noise.shape == (5000, 6)
    # Four standard errors.
    assert abs(noise.mean()) < 4 * 7.0 / np.sqrt(n)
    assert noise.std() == pytest.approx(7.0, rel=4 / np.sqrt(2 * n))
    neighbours = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(n)


def test_torque_noise_arrives_at_the_joints_within_the_limit():
    walker = Walker2D(Perturbation(torque_noise=40.0))
    walker.reset(5)
    asked = np.array([99.0, -99.0, 0.0, 0.0, 0.0, 0.0])
    expected = disturbances(Perturbation(torque_noise=40.0), seed=5, n=20)
    for _, noise, _ in expected:
        walker.step(asked)
        assert_allclose(walker.data.qfrc_actuator[3:], np.clip(asked + noise, -100.0, 100.0))


@pytest.mark.parametrize('delay', [1, 3, 4, 6, 8])
def test_a_late_torque_acts_so_many_simulator_steps_later(delay):
    model = mujoco.MjModel.from_xml_path(str(MJCF))
    walker, data = Walker2D(Perturbation(torque_delay=delay)), mujoco.MjData(model)
    walker.reset(0)
    data.qpos[:], data.qvel[:] = walker.qpos, walker.qvel
    torques = random_torques(20)
    held = np.repeat(torques, FRAME_SKIP, axis=0)
    late = np.concatenate([np.zeros((delay, 6)), held])[:len(held)]
    for k, torque in enumerate(torques):
        for control in late[k * FRAME_SKIP:(k + 1) * FRAME_SKIP]:
            data.ctrl[:] = control / 100.0
            mujoco.mj_step(model, data)
        walker.step(torque)
        assert_allclose(walker.qpos, data.qpos, **LAST_BITS)


def test_a_snapshot_holds_the_torques_that_are_still_to_act():
    perturbation = Perturbation(torque_delay=6)
    walker, second = Walker2D(perturbation), Walker2D(perturbation)
    walker.reset(0)
    for torque in random_torques(20):
        walker.step(torque)
    second.restore(walker.snapshot())
    for torque in random_torques(5):
        assert_array_equal(walker.step(torque)[0], second.step(torque)[0])


def test_sensor_noise_is_on_what_is_measured_and_nowhere_else():
    noisy = Perturbation(position_noise=0.01, velocity_noise=0.3)
    walker, nominal = Walker2D(noisy), Walker2D()
    difference = states_of(walker, torques=np.zeros((60, 6))) - states_of(
        nominal, torques=np.zeros((60, 6)))
    assert_array_equal(walker.qpos, nominal.qpos)
    assert_array_equal(walker.state, walker.state)  # measured once
    is_clipped = np.abs(nominal.state[8:]) == 10.0
    for entries, std in ((difference[:, :8], 0.01), (difference[:, 8:][:, ~is_clipped], 0.3)):
        assert entries.std() == pytest.approx(std, rel=0.2)
        assert (entries != 0.0).any(axis=1).all()  # in the first state, too


def test_the_reward_counts_the_torque_that_was_asked_for():
    walker = Walker2D(Perturbation(torque_noise=40.0))
    walker.reset(0)
    before = walker.position
    _, reward, _ = walker.step(np.zeros(6))
    assert reward == pytest.approx(1.0 + (walker.position - before) / PERIOD)


@pytest.mark.parametrize('perturbation', [Perturbation(push=10.0, push_period=0.1),
                                          Perturbation(torque_noise=9.0)])
def test_what_is_random_follows_from_the_seed(perturbation):
    walker = Walker2D(perturbation)
    once = states_of(walker, seed=4)
    assert_array_equal(states_of(walker, seed=4), once)
    assert_array_equal(states_of(Walker2D(perturbation), seed=4), once)
    nominal = states_of(Walker2D(), seed=4)
    assert_array_equal(once[0], nominal[0])  # the initial state has a stream of its own
    assert not np.array_equal(once, nominal)
    other = states_of(Walker2D(perturbation), seed=5)
    assert not np.array_equal(other - states_of(Walker2D(), seed=5), once - nominal)


@pytest.mark.parametrize(('setting', 'value', 'expected'), [
    ('mass', 0.0, 'from 0.1 to 10'), ('push', -1.0, r'from 0 to 100 \[N s\]'),
    ('torque_noise', float('nan'), r'from 0 to 1000 \[N m\]'),
    ('friction', '1', 'a number'), ('push_period', 0.0, r'\[s\]')])
def test_a_setting_out_of_range_is_refused(setting, value, expected):
    with pytest.raises(ConfigError, match=f'{setting} is {value!r}, expected .*{expected}'):
        Perturbation(**{setting: value})
