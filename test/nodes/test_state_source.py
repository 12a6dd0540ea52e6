# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0

import time

from hardware_driver import driver_process
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from ros_processes import spin_for, spin_until
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from diffusion_planner_ros.errors import ConfigError, NotFiniteError, StateError
from diffusion_planner_ros.experiments.ros.hardware_bench import MeasuredRobot
from diffusion_planner_ros.messages.odometry import AXES, OdometryHistory, pose_and_rates
from diffusion_planner_ros.messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds
from diffusion_planner_ros.nodes.common.parameters import declare
from diffusion_planner_ros.nodes.common.topics import COMMANDS, JOINT_STATES, ODOMETRY
from diffusion_planner_ros.nodes.state.down_sampler import DownSampler
from diffusion_planner_ros.nodes.state.state_source import StateConfig, StateSource
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robot import QUANTITIES, Robot
from diffusion_planner_ros.settings import settings_of
from diffusion_planner_ros.share import share_file

ROBOT = Robot.load('walker2d')
BASE = ('rootx=x', 'rootz=z', 'rooty=pitch')
PERIOD = round(ROBOT.control_period * NANOSECONDS)
MILLISECOND = 1_000_000  # [ns]
POSITIONS = [k for k, e in enumerate(ROBOT.state) if e.quantity == 'position']
VELOCITIES = [k for k, e in enumerate(ROBOT.state) if e.quantity == 'velocity']
HINGES = [e.joint for e in ROBOT.action]
N_WALK = 1200  # physics steps: 1.2 s of a walk that begins at rest


def state_of(position, velocity):
    """Return the state of Walker2D's joints, velocities not clipped."""
    return np.concatenate([position[1:], velocity])


class Driver:
    """Publishes what a test tells it, and collects what a state source makes of it."""

    def __init__(self, node, **config):
        self.node = node
        self.states, self.refused, self.restarts = [], [], []
        self.source = StateSource(node, ROBOT, StateConfig(**config), self.states.append,
                                  self.refused.append, self.restarts.append)
        self._publishers = {JointState: node.create_publisher(JointState, JOINT_STATES.path, 10)}
        if config.get('odometry_joints'):
            self._publishers[Odometry] = node.create_publisher(Odometry, ODOMETRY.path, 10)
        # One each: the source of the test before may still be there, and hear in its place.
        spin_until(node, lambda: all(p.get_subscription_count() == 1
                                     for p in self._publishers.values()), 'discovery')
        self.time = time.time_ns()

    def publish(self, *messages):
        for msg in messages:
            self._publishers[type(msg)].publish(msg)

    def hear(self, msg):
        """Hand a message to the source as the executor does, at once."""
        if isinstance(msg, JointState):
            self.source.on_joint_states(msg, {'source_timestamp': 1})
        else:
            self.source.on_odometry(msg)

    def joint_states(self, stamp=None, **changes):
        names = [e.joint for e in ROBOT.state if e.quantity == 'velocity']
        msg = JointState(**{'name': names, 'position': [0.1] * len(names),
                            'velocity': [0.2] * len(names), **changes})
        msg.header.stamp = stamp_from_nanoseconds(self.time if stamp is None else stamp)
        return msg

    def odometry(self, stamp=None):
        msg = Odometry()
        msg.pose.pose.orientation.w = 1.0
        msg.header.stamp = stamp_from_nanoseconds(self.time if stamp is None else stamp)
        return msg

    def state_after(self, *messages):
        """Publish and return the state that is passed on."""
        n = len(self.states)
        self.publish(*messages)
        spin_until(self.node, lambda: len(self.states) > n or self.refused, 'a state')
        assert not self.refused
        return self.states[-1]

    def refusal_of(self, *messages):
        """Publish and return why nothing is passed on."""
        n = len(self.states)
        self.refused.clear()
        self.publish(*messages)
        spin_until(self.node, lambda: self.refused, 'a refusal')
        assert len(self.states) == n
        return self.refused[-1]


@pytest.fixture
def node(kept):
    with kept.observer() as node:
        yield node


@pytest.fixture(scope='module')
def walk():
    """A real walk: every millisecond the bench's joint states, odometry and true state."""
    bench = MeasuredRobot(seed=3)
    planner = Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())
    moments = []
    for step in range(N_WALK):
        if step % 8 == 0:
            torque = planner.plan(bench.environment.state, step=step // 8).actions[0]
        stamp = step * MILLISECOND
        moments.append((bench.joint_states(stamp), bench.odometry(stamp),
                        state_of(bench.environment.qpos, bench.environment.qvel)))
        bench.step(torque)
    assert bench.environment.is_healthy and bench.environment.position > 0.5
    return moments


def moved(walk, seconds):
    """Return how far height or pitch of a walk moves at most in a time [m, rad]."""
    return seconds * max(np.abs(state[VELOCITIES][1:3]).max() for _, _, state in walk)


def turned(walk, seconds):
    """Return how far off height or pitch are at most if a velocity is held for a time [m, rad]."""
    velocities = np.array([state[VELOCITIES][1:3] for _, _, state in walk])
    n = round(seconds * 1000)  # a walk has a state in every millisecond
    return seconds * np.abs(velocities[n:] - velocities[:-n]).max()


def at(msg, stamp):
    msg.header.stamp = stamp_from_nanoseconds(stamp)
    return msg


# Joint states alone


def test_picks_its_joints_by_name_and_ignores_all_others(node):
    driver = Driver(node)
    names = [e.joint for e in ROBOT.state if e.quantity == 'velocity']
    numbers = dict(zip(names, np.random.default_rng(0).normal(size=(9, 2)), strict=True))
    for order in (names, names[::-1]):
        driver.time += PERIOD
        measured = driver.state_after(driver.joint_states(
            name=['gripper', *order, 'camera'],
            position=[np.nan, *(numbers[j][0] for j in order), 0.0],
            velocity=[np.nan, *(numbers[j][1] for j in order)]))
        expected = [numbers[e.joint][QUANTITIES.index(e.quantity)] for e in ROBOT.state]
        np.testing.assert_array_equal(measured.state, expected)
        assert measured.positions == {j: numbers[j][0] for j in names}
        assert measured.velocities == {j: numbers[j][1] for j in names}
        assert measured.stamp == driver.time
        assert abs(measured.sent - time.time_ns()) < 10 * NANOSECONDS


@pytest.mark.parametrize(('changes', 'kind', 'reason'), [
    ({'name': ['rootx', 'rootz']}, StateError, "joint 'rooty' is missing .* found rootx, rootz"),
    ({'velocity': [0.2] * 8}, StateError,
     "joint 'foot_left_joint' has no velocity: the joint states hold 8 of them for 9 joints"),
    ({'velocity': []}, StateError, "joint 'rootx' has no velocity"),
    ({'velocity': [0.2] * 4 + [np.nan] * 5}, NotFiniteError,
     r"joint 'leg_joint' has velocity nan, expected a finite number \[rad/s\]"),
    ({'position': [0.1, np.inf] + [0.1] * 7}, NotFiniteError, "joint 'rootz' has position inf"),
    ({'name': [*(e.joint for e in ROBOT.state[8:]), 'rootz']}, StateError,
     "joint 'rootz' is named 2 times"),
])
def test_refuses_numbers_that_it_cannot_use_by_joint_and_quantity(node, changes, kind, reason):
    driver = Driver(node)
    error = driver.refusal_of(driver.joint_states(**changes))
    assert type(error) is kind
    with pytest.raises(kind, match=reason):
        raise error
    driver.refused.clear()
    driver.state_after(driver.joint_states(driver.time + MILLISECOND))  # a good one at once


@pytest.mark.parametrize(('offset', 'reason'), [
    (-5.0, 'the joint states are 5.* s old, expected at most 0.1 s .*chrony'),
    (5.0, 'the joint states are [45].* s in the future, expected at most 0.1 s .*chrony'),
])
def test_refuses_stamps_of_another_clock(node, offset, reason):
    driver = Driver(node)
    error = driver.refusal_of(driver.joint_states(driver.time + round(offset * NANOSECONDS)))
    with pytest.raises(StateError, match=reason):
        raise error


def test_refuses_what_overtook_it_until_it_forgets(node):
    driver = Driver(node, max_state_age=10.0)
    driver.state_after(driver.joint_states())
    before = driver.joint_states(driver.time - 20 * MILLISECOND)
    assert '0.020 s older than the last ones' in str(driver.refusal_of(before))
    driver.refused.clear()
    driver.source.forget()
    driver.state_after(before)


def test_passes_a_repetition_on(node):
    driver = Driver(node, odometry_joints=BASE)
    first = driver.state_after(driver.joint_states(), driver.odometry())
    again = driver.state_after(driver.joint_states())
    assert again.stamp == first.stamp
    np.testing.assert_array_equal(again.state, first.state)


def test_a_destroyed_source_hears_nothing(node):
    driver = Driver(node)
    driver.source.destroy()
    spin_until(node, lambda: not node.count_subscribers(JOINT_STATES.path), 'no subscription')
    driver.publish(driver.joint_states())
    spin_for(node, 0.2)
    assert not driver.states and not driver.refused


# One state per control period


def accepted(stamps):
    down_sampler = DownSampler(PERIOD)
    taken = []
    for stamp in stamps:
        down_sampler.see(stamp)
        if down_sampler.is_due(stamp):
            down_sampler.accept(stamp)
            taken.append(stamp)
    return taken


@pytest.mark.parametrize('rate', [125, 124.9, 125.1, 100, 50])
def test_a_stream_at_the_control_rate_loses_no_state_whatever_its_jitter(rate):
    jitter = np.random.default_rng(0).uniform(-2, 2, 5000) * MILLISECOND
    stamps = (np.arange(5000) * NANOSECONDS / rate + jitter).astype(int).tolist()
    assert accepted(stamps) == stamps


@pytest.mark.parametrize('rate', [1000, 500, 250, 200])
def test_a_faster_stream_gives_the_control_rate_exactly(rate):
    jitter = np.random.default_rng(0).uniform(-0.2, 0.2, 20 * rate) * MILLISECOND
    stamps = (np.arange(20 * rate) * NANOSECONDS / rate + jitter).astype(int).tolist()
    taken = np.array(accepted(stamps)[10:])  # once it has seen how fast the stream is
    mean = (taken[-1] - taken[0]) / (len(taken) - 1)
    assert mean == pytest.approx(PERIOD, rel=1e-3)
    assert np.diff(taken).min() >= PERIOD - NANOSECONDS / rate - MILLISECOND


def test_after_a_gap_the_next_state_is_used_at_once():
    stamps = [k * MILLISECOND for k in (*range(200), *range(303, 500))]
    taken = accepted(stamps)
    assert 303 * MILLISECOND in taken
    assert taken[-1] - taken[-2] == PERIOD


# The base from odometry


def play(driver, walk, *, state_steps, odometry_steps, odometry_lag=0, jitter=0.0):
    """
    Let a source hear a walk without waiting; return the errors of its states, (n, S).

    :param odometry_lag: physics steps by which odometry comes later than joint states.
    :param jitter: longest time by which a message is late, uniform from zero [physics steps].
    """
    rng = np.random.default_rng(0)

    def arrivals(every, lag, kind):
        """Return when messages come, their kind and their step; none overtakes another."""
        steps = np.arange(0, len(walk), every)
        times = np.maximum.accumulate(steps + lag + rng.uniform(0.0, jitter, len(steps)))
        return [(time, kind, step) for time, step in zip(times, steps.tolist(), strict=True)]

    truth = {}
    for _, kind, step in sorted(arrivals(odometry_steps, odometry_lag, 'a: odometry')
                                + arrivals(state_steps, 0, 'b: joint states')):
        joints, odometry, state = walk[step]
        stamp = driver.time + step * MILLISECOND
        truth[stamp] = state
        driver.hear(at(odometry if kind.startswith('a') else joints, stamp))
    return np.array([m.state - truth[m.stamp] for m in driver.states])


def test_the_state_with_its_odometry_is_the_true_one_where_stamps_coincide(node, walk):
    driver = Driver(node, odometry_joints=BASE, max_odometry_gap=0.0, max_state_age=10.0)
    for step in range(0, N_WALK, 8):
        joints, odometry, truth = walk[step]
        stamp = driver.time + step * MILLISECOND
        measured = driver.state_after(at(odometry, stamp), at(joints, stamp))
        assert measured.stamp == stamp
        np.testing.assert_allclose(measured.state, truth, rtol=0, atol=1e-6)
        assert measured.positions['rooty'] == pytest.approx(truth[1], abs=1e-6)
        assert measured.velocities['rootx'] == pytest.approx(truth[8], abs=1e-6)


def test_between_odometries_the_state_is_interpolated(node, walk):
    driver = Driver(node, odometry_joints=BASE, max_odometry_gap=0.0025, max_state_age=10.0)
    errors = play(driver, walk, state_steps=8, odometry_steps=5)
    assert len(errors) > 0.9 * N_WALK / 8
    assert np.abs(errors[:, POSITIONS]).max() < turned(walk, 0.002)
    assert np.abs(errors[:, POSITIONS]).mean() < 3e-5
    assert np.abs(errors[:, VELOCITIES]).mean() < 0.02  # [m/s, rad/s]


def test_joint_states_wait_for_an_odometry_that_comes_later(node, walk):
    driver = Driver(node, odometry_joints=BASE, max_odometry_gap=0.001, max_state_age=10.0)
    errors = play(driver, walk, state_steps=1, odometry_steps=5, odometry_lag=6)
    assert not driver.refused
    assert np.abs(errors[:, POSITIONS]).max() < turned(walk, 0.002)
    spacing = np.diff([m.stamp for m in driver.states[5:]])
    assert spacing.mean() == pytest.approx(PERIOD, rel=0.1)


def test_jitter_loses_no_state(node, walk):
    driver = Driver(node, odometry_joints=BASE, max_state_age=10.0)
    errors = play(driver, walk, state_steps=1, odometry_steps=5, jitter=2.0)
    assert not driver.refused
    assert np.abs(errors[:, POSITIONS]).max() < moved(walk, 0.004)  # a pose may be 4 ms old
    spacing = np.diff([m.stamp for m in driver.states[5:]])
    assert spacing.mean() == pytest.approx(PERIOD, rel=0.01)


def test_refuses_joint_states_whose_odometry_never_comes_and_says_how_far_it_is(node):
    driver = Driver(node, odometry_joints=BASE)
    driver.hear(driver.joint_states())
    driver.hear(driver.joint_states(driver.time + 2 * PERIOD))
    assert not driver.states and not driver.refused  # they wait
    driver.hear(driver.joint_states(driver.time + 3 * PERIOD))
    assert str(driver.refused[-1]) == 'the joint states have no odometry: none has come'
    driver.hear(driver.odometry(driver.time + 9 * PERIOD))
    driver.hear(driver.joint_states(driver.time + 4 * PERIOD))
    driver.hear(driver.joint_states(driver.time + 7 * PERIOD))
    assert str(driver.refused[-1]) == (
        'the joint states have no odometry: the nearest is 0.040 s away, expected at most 0.004 s '
        '(max_odometry_gap)')
    assert not driver.states


def spoiled(msg, field, value):
    *path, last = field.split('.')
    owner = msg
    for name in path:
        owner = getattr(owner, name)
    setattr(owner, last, value)
    return msg


@pytest.mark.parametrize(('field', 'value', 'kind', 'reason'), [
    ('pose.pose.orientation.w', 0.0, StateError, 'has norm 0, expected 1; does its driver'),
    ('pose.pose.orientation.w', np.nan, NotFiniteError, 'has orientation .* w=nan'),
    ('pose.pose.position.z', np.nan, NotFiniteError, "gives joint 'rootz' position nan"),
    ('twist.twist.linear.x', np.inf, NotFiniteError, "gives joint 'rootx' velocity inf"),
    ('pose.pose.position.z', 1e300, NotFiniteError, r'position 1e\+300, .* at most 1e\+09'),
])
def test_refuses_an_odometry_that_it_cannot_use(node, field, value, kind, reason):
    driver = Driver(node, odometry_joints=BASE)
    error = driver.refusal_of(spoiled(driver.odometry(), field, value))
    assert type(error) is kind
    with pytest.raises(kind, match=reason):
        raise error


def test_ignores_what_the_layout_does_not_need_of_an_odometry(node):
    driver = Driver(node, odometry_joints=BASE)
    odometry = spoiled(driver.odometry(), 'pose.pose.position.x', np.nan)
    assert np.isfinite(driver.state_after(odometry, driver.joint_states()).state).all()


def test_euler_rates_are_the_derivatives_of_the_angles():
    rng = np.random.default_rng(0)
    dt = 1e-6
    for _ in range(20):
        q = rng.normal(size=4)
        q /= np.linalg.norm(q)
        linear, angular = rng.normal(size=(2, 3))
        # Exponential map of the body's angular velocity, in quaternions (w, x, y, z).
        speed = np.linalg.norm(angular)
        dq = np.array([np.cos(speed * dt / 2), *(np.sin(speed * dt / 2) * angular / speed)])
        w, v = q[0], q[1:]
        turned = np.array([w * dq[0] - v @ dq[1:],
                           *(w * dq[1:] + dq[0] * v + np.cross(v, dq[1:]))])
        # Rotation of the linear velocity: q v q*
        world = linear + 2 * np.cross(v, np.cross(v, linear) + w * linear)
        first, second = (pose_and_rates(odometry_of(p, linear, angular)) for p in (q, turned))
        step = np.remainder(second[3:6] - first[3:6] + np.pi, 2 * np.pi) - np.pi
        np.testing.assert_allclose(first[9:], step / dt, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(first[6:9], world, rtol=1e-12, atol=1e-12)


def odometry_of(quaternion, linear, angular):
    msg = Odometry()
    orientation, twist = msg.pose.pose.orientation, msg.twist.twist
    orientation.w, orientation.x, orientation.y, orientation.z = quaternion
    twist.linear.x, twist.linear.y, twist.linear.z = linear
    twist.angular.x, twist.angular.y, twist.angular.z = angular
    return msg


@pytest.mark.parametrize('pitch', [-3.0, -1.6, -0.5, 0.0, 1.0, 1.6, 2.5])
def test_pitch_goes_on_past_90_degrees(pitch):
    pose = pose_and_rates(odometry_of([np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0],
                                      [0.0] * 3, [0.0, 2.0, 0.0]))
    np.testing.assert_allclose(pose[3:6], [0.0, pitch, 0.0], atol=1e-12)
    np.testing.assert_allclose(pose[9:], [0.0, 2.0, 0.0], atol=1e-12)


def test_angles_are_interpolated_the_short_way_round():
    history = OdometryHistory(max_gap=10)
    yaw = AXES.index('yaw')
    for stamp, angle in ((0, np.pi - 0.1), (10, -np.pi + 0.3)):
        pose = np.zeros(12)
        pose[yaw] = angle
        history.add(stamp, pose)
    assert history.at(5)[yaw] == pytest.approx(np.pi + 0.1)


@pytest.mark.parametrize(('joints', 'reason'), [
    (('rootx',), "odometry_joints has 'rootx', expected joint=axis or joint=-axis"),
    (('rootx=forward',), "has 'rootx=forward', .* axes x, y, z, roll, pitch, yaw"),
    (('hip=x',), "names 'hip', expected joints of the state of 'walker2d': rootz, rooty"),
    (('rootx=x', 'rootx=z'), 'names a joint twice: rootx, rootx'),
    ('rootx=x', "odometry_joints is 'rootx=x', expected a list of texts"),
])
def test_refuses_odometry_joints_that_mean_nothing(node, joints, reason):
    with pytest.raises(ConfigError, match=reason):
        StateSource(node, ROBOT, StateConfig(odometry_joints=joints), print, print, print)


def test_settings_are_read_only_parameters(node):
    assert declare(node, StateConfig) == StateConfig()
    for setting in settings_of(StateConfig):
        assert setting.read_only
        assert node.describe_parameter(setting.name).read_only


# A driver in a process of its own, in wall time


def watch(node, n_states=0, max_state_age=0.1, **settings):
    """Run a driver whose robot falls; return its source's collector, and true states by stamp."""
    truth = []
    # Raw: this process has better things to do meanwhile.
    node.create_subscription(JointState, 'truth', truth.append, 100, raw=True)
    driver = Driver(node, odometry_joints=BASE, max_state_age=max_state_age)
    commands = node.create_publisher(Float64MultiArray, COMMANDS.path, 1)
    with driver_process(seed=1, **settings):
        spin_until(node, commands.get_subscription_count, 'the driver')
        spin_until(node, lambda: driver.states or driver.refused, 'joint states')
        commands.publish(Float64MultiArray(data=[0.0] * 6))
        spin_until(node, lambda: len(driver.states) >= n_states, 'states')
        spin_for(node, 0.2)
    messages = [deserialize_message(raw, JointState) for raw in truth]
    return driver, {nanoseconds_from_stamp(m.header.stamp): state_of(
        np.array(m.position), np.array(m.velocity)) for m in messages}


@pytest.mark.parametrize('skew', [-0.002, 0.002])
def test_a_driver_with_jitter_and_a_small_skew_gives_at_most_one_true_state_per_period(node, skew):
    # On a busy machine the states come late and some are lost; what comes has to be right.
    driver, truth = watch(node, 200, max_state_age=10.0, jitter=0.002, skew=skew)
    stamps = np.array([m.stamp for m in driver.states])
    assert np.diff(stamps).mean() > 0.9 * PERIOD
    errors = np.abs([m.state - truth[m.stamp] for m in driver.states if m.stamp in truth])
    assert np.ptp([m.state[0] for m in driver.states]) > 0.2  # [m], it fell
    hinges = [k for k, e in enumerate(ROBOT.state) if e.joint in HINGES]
    assert not errors[:, hinges].any()
    assert np.median(errors[:, POSITIONS]) < 1e-4  # [m, rad]
    assert errors[:, POSITIONS].max() < 8e-3  # a pose may be 4 ms old


def test_a_driver_whose_clock_is_5_s_ahead_is_refused_with_the_reason(node):
    driver, _ = watch(node, skew=5.0)
    assert not driver.states
    assert all('s in the future, expected at most 0.1 s' in str(e) for e in driver.refused)


def test_a_driver_whose_encoder_breaks_is_refused_by_name(node):
    driver, _ = watch(node, fault='encoder')
    assert not driver.states
    error = next(e for e in driver.refused if isinstance(e, NotFiniteError))
    assert "joint 'leg_joint' has velocity nan" in str(error)
