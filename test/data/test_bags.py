# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of ``ros2 bag``: what a robot did is read back, whatever happened to its messages."""

from dataclasses import replace
from itertools import pairwise
import os
import subprocess
import sys

from bag_writer import (
    DELAY,
    file_of,
    PERIOD,
    ros_type,
    Sent,
    START,
    Walk,
    WALL,
    write_bag,
)
from geometry_msgs.msg import PointStamped
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from std_msgs.msg import Empty, Float64MultiArray
from walker import Walker2D

from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.bags.bag_reader import read_bag
from diffusion_planner_ros.data.bags.bag_topics import COMMAND, JOINT_STATE
from diffusion_planner_ros.data.bags.bag_topics import ODOMETRY as ODOMETRY_TYPE
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.ros.hardware_bench import MeasuredRobot
from diffusion_planner_ros.nodes.common.conversions import (
    msg_from_joints,
    msg_from_reward,
    msg_from_torque,
    stamp_from_nanoseconds,
)
from diffusion_planner_ros.nodes.common.topics import COMMANDS, JOINT_STATES, ODOMETRY, REWARD
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.rollout import rollout

N = 120  # steps of the walk
LIMIT = 100.0  # [N m]
ROUNDING = 1e-12  # of states and actions that are read as they were measured


@pytest.fixture(scope='module')
def walk():
    """What the shipped model makes the simulated robot do."""
    planner = Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig(seed=0))
    robot = Walker2D()
    robot.reset(seed=0)
    qpos, qvel = [robot.qpos], [robot.qvel]

    def measure(step):
        qpos.append(robot.qpos)
        qvel.append(robot.qvel)
    episode = rollout(robot, lambda state, step: planner.plan(state).actions[0], n_steps=N,
                      on_step=measure)
    assert len(episode) == N
    return Walk(robot.joint_names, np.array(qpos), np.array(qvel), episode.observations,
                episode.actions * robot.torque_limit, episode.rewards, robot.actuated_joints)


def read(folder, robot, messages, storage='mcap', **config):
    return read_bag(write_bag(folder / 'bag', messages, storage), robot, BagConfig(**config))


def of_topic(messages, topic):
    return [s for s in messages if s.topic == topic]


def without(messages, topic, ks, walk):
    """Leave out the messages of a topic that are stamped with one of these states."""
    stamps = {walk.stamp(k) for k in ks}
    return [s for s in messages if s.topic != topic or stamp_of(s) not in stamps]


def stamp_of(sent):
    stamp = sent.msg.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def expect_part(episode, walk, first):
    """All of an episode must be what the robot did from a state on."""
    end = first + len(episode)
    assert_allclose(episode.observations, walk.states[first:end + 1], rtol=0, atol=ROUNDING)
    assert_allclose(episode.actions, walk.torques[first:end] / LIMIT, rtol=0, atol=ROUNDING)
    if episode.has_rewards:
        assert_array_equal(episode.rewards, walk.rewards[first:end])


def first_state(episode, walk):
    """Return which state of the walk an episode begins with."""
    return int(np.abs(walk.states - episode.observations[0]).sum(axis=1).argmin())


def expect_parts(recording, walk, firsts):
    assert [first_state(e, walk) for e in recording.episodes] == firsts
    for episode, first in zip(recording.episodes, firsts, strict=True):
        expect_part(episode, walk, first)


# Nothing is missing


@pytest.mark.parametrize('source', ['effort', 'commands'])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite'])
def test_what_the_bridge_and_the_planner_publish_is_read_as_it_was(tmp_path, robot, walk, storage,
                                                                   source):
    recording = read(tmp_path, robot, walk.sent(), storage, torque_source=source)
    episode, = recording.episodes
    expect_part(episode, walk, 0)
    assert (len(episode), episode.has_rewards, episode.terminated) == (N, True, False)
    assert recording.tally.dropped == {}
    assert recording.facts['topics']['joint_states'] == f'/joint_states, {N + 1} messages'
    assert recording.facts['stamps'] == f'20.000 to {20 + 0.008 * N:.3f} s (header)'
    assert recording.facts['states'] == 'as measured, 4 to 12 ms apart'
    assert (recording.facts['states_as_measured'], recording.facts['states_interpolated']) == (
        N + 1, 0)


@pytest.mark.parametrize('time', ['received', 'clock'])
def test_time_may_be_that_of_the_recorder_or_of_the_simulation(tmp_path, robot, walk, time):
    messages = walk.sent()
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward'):
            sent.msg.header.stamp = stamp_from_nanoseconds(0)
    recording = read(tmp_path, robot, messages, time=time)
    # The clock comes after the first state, of which nobody knows when it was.
    expect_parts(recording, walk, [1 if time == 'clock' else 0])
    assert recording.episodes[0].has_rewards
    assert recording.tally.dropped == ({'late joiner': 1} if time == 'clock' else {})


def test_the_robot_may_have_a_namespace_and_topics_other_names(tmp_path, robot, walk):
    for sent in (messages := walk.sent()):
        sent.topic = f'/robot1{sent.topic}'
    recording = read(tmp_path, robot, messages, namespace='robot1')
    expect_parts(recording, walk, [0])
    config = BagConfig(joint_states='/robot1/joint_states', reward='/robot1/reward')
    assert len(read_bag(tmp_path / 'bag', robot, config).episodes[0]) == N


def test_default_topics_and_types_are_those_of_the_nodes():
    config = BagConfig()
    assert (config.joint_states, config.commands, config.odometry, config.reward) == tuple(
        topic.path for topic in (JOINT_STATES, COMMANDS, ODOMETRY, REWARD))
    types = [ros_type(topic.type()) for topic in (JOINT_STATES, REWARD, COMMANDS, ODOMETRY)]
    assert types == [JOINT_STATE, JOINT_STATE, COMMAND, ODOMETRY_TYPE]


@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_compressed_recordings_are_read(tmp_path, robot, walk, mode, monkeypatch):
    monkeypatch.setattr(Writer, '__enter__', lambda self: (
        self.set_compression(mode, CompressionFormat.ZSTD), self.open(), self)[-1])
    expect_parts(read(tmp_path, robot, walk.sent(), 'sqlite'), walk, [0])


def test_no_ros_is_needed(tmp_path, walk):
    folder = write_bag(tmp_path / 'bag', walk.sent())
    program = f"""
import sys
for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'nav_msgs', 'builtin_interfaces'):
    sys.modules[name] = None  # as if it were not installed
from pathlib import Path
from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.import_run import read_recording
from diffusion_planner_ros.robot import Robot
print(len(read_recording(Path({str(folder)!r}), Robot.load('walker2d'), BagConfig()).episodes[0]))
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                          check=False, env=os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)})
    assert (done.stdout, done.returncode) == (f'{N}\n', 0), done.stderr


# Joints


def test_joints_may_come_in_any_order_and_among_others(tmp_path, robot, walk):
    rng = np.random.default_rng(0)
    messages = walk.sent()
    for k, sent in enumerate(of_topic(messages, '/joint_states')):
        msg = walk.joint_states(k, names=rng.permutation(walk.names).tolist())
        sent.msg = type(msg)(header=msg.header, name=['gripper', *msg.name],
                             position=[9.0, *msg.position], velocity=[np.nan, *msg.velocity],
                             effort=[np.nan, *msg.effort])
    expect_parts(read(tmp_path, robot, messages), walk, [0])


def test_joints_of_another_driver_on_the_topic_are_counted_and_ignored(tmp_path, robot, walk):
    gripper = [Sent(s.received + 1, s.topic, msg_from_joints(
        ['gripper'], np.ones(1), np.zeros(1), np.zeros(1), stamp_of(s) + 1))
        for s in of_topic(walk.sent(), '/joint_states')[::3]]
    recording = read(tmp_path, robot, walk.sent() + gripper)
    expect_parts(recording, walk, [0])
    assert recording.tally.dropped == {'other joints': len(gripper)}


def test_joints_that_come_late_begin_the_episode(tmp_path, robot, walk):
    messages = walk.sent()
    for k, sent in enumerate(of_topic(messages, '/joint_states')[:10]):
        sent.msg = walk.joint_states(k, names=walk.names[:-1])
    recording = read(tmp_path, robot, messages)
    expect_parts(recording, walk, [10])
    assert recording.tally.dropped == {'late joiner': 10, 'reward without a state': 9}


def test_a_joint_that_is_missing_or_not_finite_for_a_while_splits_the_episode(tmp_path, robot,
                                                                              walk):
    messages = walk.sent()
    states = of_topic(messages, '/joint_states')
    states[30].msg = walk.joint_states(30, names=walk.names[:-1])
    states[60].msg.velocity[2] = float('nan')
    recording = read(tmp_path, robot, messages)
    expect_parts(recording, walk, [0, 31, 61])
    dropped = recording.tally.dropped
    assert (dropped['joints missing'], dropped['not finite']) == (1, 1)
    assert recording.tally.cuts == {'gap': 2, 'end of the recording': 1}


# Torques and rewards


def test_commands_that_come_late_begin_the_episode(tmp_path, robot, walk):
    messages = walk.sent()
    late = of_topic(messages, '/effort_controller/commands')[:20]
    recording = read(tmp_path, robot, [s for s in messages if s not in late],
                     torque_source='commands')
    expect_parts(recording, walk, [20])
    assert recording.tally.dropped == {'late joiner': 20}


def test_a_torque_that_nobody_measured_splits_the_episode(tmp_path, robot, walk):
    messages = walk.sent()
    of_topic(messages, '/joint_states')[50].msg.effort = []
    recording = read(tmp_path, robot, messages)
    expect_parts(recording, walk, [0, 50])
    assert recording.tally.dropped == {'no torque': 1}
    assert recording.tally.cuts == {'no torque': 1, 'end of the recording': 1}


def test_commands_that_a_controller_ignores_are_counted_and_ignored(tmp_path, robot, walk):
    wrong = [Sent(s.received + 1, s.topic, msg_from_torque(torque, 0))
             for s in of_topic(walk.sent(), '/effort_controller/commands')[:2]
             for torque in (np.zeros(5), np.full(6, np.nan))]
    recording = read(tmp_path, robot, walk.sent() + wrong, torque_source='commands')
    expect_parts(recording, walk, [0])
    assert recording.tally.dropped == {'number of commands': 2, 'not finite': 2}


def test_commands_that_say_what_they_answer_are_put_behind_it_and_before_later_ones(
        tmp_path, robot, walk):
    messages, rng = walk.sent(), np.random.default_rng(0)
    commands = rng.permutation(of_topic(messages, '/effort_controller/commands'))
    for sent in commands[:30]:
        sent.received -= 2 * DELAY  # recorded before the state
    for sent in commands[30:40]:
        sent.received += 3 * PERIOD  # recorded behind commands that answer later states
    recording = read(tmp_path, robot, messages, torque_source='commands')
    expect_parts(recording, walk, [0])
    assert recording.tally.dropped == {}


def test_commands_may_answer_states_of_another_clock(tmp_path, robot, walk):
    """What they answer is not known then; they count in the order of the recording."""
    messages = walk.sent()
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward'):
            sent.msg.header.stamp = stamp_from_nanoseconds(stamp_of(sent) + WALL)
    expect_parts(read(tmp_path, robot, messages, torque_source='commands'), walk, [0])


def test_a_fall_ends_the_episode(tmp_path, robot, walk):
    messages = walk.sent()
    of_topic(messages, '/reward')[39].msg = msg_from_reward(walk.rewards[39], True,
                                                            walk.stamp(40))
    recording = read(tmp_path, robot, messages)
    expect_parts(recording, walk, [0, 41])
    assert [(len(e), e.terminated) for e in recording.episodes] == [(40, True), (N - 41, False)]
    assert recording.tally.cuts == {'fall': 1, 'end of the recording': 1}


def test_without_rewards_there_are_states_and_actions(tmp_path, robot, walk):
    messages = [s for s in walk.sent() if s.topic != '/reward']
    episode, = read(tmp_path, robot, messages).episodes
    expect_part(episode, walk, 0)
    assert np.isnan(episode.rewards).all()


# Time


def test_stamps_may_jitter_by_half_a_period_between_neighbours(tmp_path, robot, walk):
    rng = np.random.default_rng(0)
    shifts = rng.integers(-PERIOD // 4, PERIOD // 4, N + 1).tolist()
    messages = walk.sent()
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward'):
            stamp = stamp_of(sent)
            k = (stamp - START) // PERIOD
            sent.msg.header.stamp = stamp_from_nanoseconds(stamp + shifts[k])
    expect_parts(read(tmp_path, robot, messages), walk, [0])


def test_a_clock_that_is_a_little_fast_is_followed(tmp_path, robot, walk):
    messages = walk.sent()
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward'):
            sent.msg.header.stamp = stamp_from_nanoseconds(round(1.03 * stamp_of(sent)))
    expect_parts(read(tmp_path, robot, messages), walk, [0])


def test_a_lost_state_splits_the_episode(tmp_path, robot, walk):
    lost = [17, 50, 51, 100]
    recording = read(tmp_path, robot, without(walk.sent(), '/joint_states', lost, walk))
    expect_parts(recording, walk, [0, 18, 52, 101])
    assert recording.tally.cuts == {'gap': 3, 'end of the recording': 1}
    assert recording.tally.dropped == {'reward without a state': 4}


def test_a_wider_gap_interpolates_the_lost_state_and_no_other(tmp_path, robot, walk):
    messages = [s for s in walk.sent() if s.topic != '/reward']
    recording = read(tmp_path, robot, without(messages, '/joint_states', [17, 50, 51], walk),
                     max_gap=2.5)
    first, second = recording.episodes
    expect_part(second, walk, 52)
    states, torques = walk.states[:50].copy(), walk.torques[:49].copy()
    velocity = (walk.qvel[16] + walk.qvel[18]) / 2
    states[17] = [*(states[16, :8] + states[18, :8]) / 2, *np.clip(velocity, -10, 10)]
    torques[16] = torques[17]  # the effort of the state that followed
    assert_allclose(first.observations, states, atol=ROUNDING)
    assert_allclose(first.actions, torques / LIMIT, atol=ROUNDING)
    assert recording.facts['states_interpolated'] == 1


def test_states_that_come_out_of_order_are_put_in_order(tmp_path, robot, walk):
    messages = walk.sent()
    rng = np.random.default_rng(0)
    for sent in rng.permutation(of_topic(messages, '/joint_states'))[:20]:
        sent.received += 3 * PERIOD
    for source in ('effort', 'commands'):
        recording = read(tmp_path / source, robot, messages, torque_source=source)
        expect_parts(recording, walk, [0])
        assert recording.facts['put_in_order'] > 10
        assert recording.tally.dropped == {}


def test_a_state_that_comes_much_too_late_is_lost(tmp_path, robot, walk):
    messages = walk.sent()
    of_topic(messages, '/joint_states')[30].received += 20 * PERIOD
    recording = read(tmp_path, robot, messages)
    expect_parts(recording, walk, [0, 31])
    assert recording.tally.dropped == {'out of order': 1, 'reward without a state': 1}


def test_states_that_are_published_again_count_once(tmp_path, robot, walk):
    again = [Sent(s.received + 1, s.topic, s.msg)
             for s in of_topic(walk.sent(), '/joint_states')[10:20]]
    recording = read(tmp_path, robot, walk.sent() + again)
    expect_parts(recording, walk, [0])
    assert recording.tally.dropped == {'repeated': 10}


def test_a_clock_that_is_set_back_begins_an_episode(tmp_path, robot, walk):
    """The second half has the stamps of the first; its rewards are not mixed with those."""
    messages = walk.sent()
    half = N // 2
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward') and stamp_of(sent) >= walk.stamp(half):
            sent.msg.header.stamp = stamp_from_nanoseconds(stamp_of(sent) - half * PERIOD)
    recording = read(tmp_path, robot, messages)
    expect_parts(recording, walk, [0, half])
    assert all(e.has_rewards for e in recording.episodes)
    assert recording.tally.cuts == {'clock jump': 1, 'end of the recording': 1}
    assert recording.tally.dropped == {}


def test_a_clock_that_leaps_forward_begins_an_episode(tmp_path, robot, walk):
    """As the bridge's own does from one episode to the next."""
    messages = walk.sent()
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward') and stamp_of(sent) >= walk.stamp(50):
            sent.msg.header.stamp = stamp_from_nanoseconds(stamp_of(sent) + 20_000_000_000)
    expect_parts(read(tmp_path, robot, messages), walk, [0, 50])


@pytest.mark.parametrize('mark', [Empty(), PointStamped()])
def test_a_topic_of_any_type_may_begin_episodes(tmp_path, robot, walk, mark):
    marks = [Sent(WALL + walk.stamp(k) - DELAY, '/trial', mark) for k in (40, 41, 90)]
    recording = read(tmp_path, robot, walk.sent() + marks, episode_topic='trial')
    expect_parts(recording, walk, [0, 41, 90])
    assert recording.tally.cuts == {'episode topic': 2, 'end of the recording': 1}
    assert recording.tally.dropped['alone'] == 1


@pytest.mark.parametrize('period', [2_000_000, 3_000_000, 10_000_000])
def test_states_at_another_rate_are_interpolated_and_torques_averaged(tmp_path, robot, walk,
                                                                      period):
    """Positions move evenly, and a torque acts for 20 ms each: both are known at any time."""
    times = np.arange(0, 400_000_000, period)
    rise = np.linspace(0.1, 0.9, 9)

    def torque(begin, end):  # mean of k N m from 20 k to 20 (k + 1) ms
        fine = np.linspace(begin, end, 2001)
        return np.mean(fine[1:] // 20e6)
    messages = [Sent(WALL + int(t), '/joint_states', msg_from_joints(
        walk.names, rise * t / 1e9, rise, np.full(9, torque(t - period, t)), START + int(t)))
        for t in times]
    recording = read(tmp_path, robot, messages)
    episode, = recording.episodes
    grid = np.arange(0, times[-1] + 1, PERIOD)
    assert_allclose(episode.observations[:, :8], rise[1:] * grid[:, None] / 1e9, atol=1e-12)
    assert_allclose(episode.observations[:, 8:], np.tile(rise, (len(grid), 1)), atol=1e-12)
    expected = [torque(a, b) / LIMIT for a, b in pairwise(grid)]
    # A sample tells the mean since the one before, so that within it a jump is smeared.
    assert_allclose(episode.actions[:, 0], expected, atol=0.01 * period / PERIOD + 1e-4)
    assert_allclose(episode.actions[:, 0].sum(), np.sum(expected), atol=0.011)
    assert 'interpolated' in recording.facts['states']


def test_an_angle_is_interpolated_the_shorter_way_round(tmp_path, robot, walk):
    angle = np.linspace(0, 6, 41)  # of rooty, as odometry tells it
    messages = []
    for k, a in enumerate(angle):
        position = np.zeros(9)
        position[walk.names.index('rooty')] = np.remainder(a + np.pi, 2 * np.pi) - np.pi
        messages.append(Sent(WALL + k * 6_000_000, '/joint_states', msg_from_joints(
            walk.names, position, np.zeros(9), np.zeros(9), START + k * 6_000_000)))
    episode, = read(tmp_path, robot, messages).episodes
    turned = np.unwrap(episode.observations[:, 1])
    assert_allclose(turned, np.linspace(0, 6, 31), atol=1e-9)


# A robot as its drivers present it


def test_hardware_at_1_khz_with_a_base_from_odometry(tmp_path, robot):
    """Hinges only, a gripper without velocity, no efforts; the base at 200 Hz, 20 ms late."""
    bench, rng = MeasuredRobot(), np.random.default_rng(0)
    messages, states, torques = [], [], []
    for step in range(400):
        stamp = START + step * 1_000_000
        messages.append(Sent(WALL + stamp, '/joint_states', bench.joint_states(stamp)))
        if step % 5 == 0 and step >= 20:
            messages.append(Sent(WALL + stamp + 20_000_000, '/odometry', bench.odometry(stamp)))
        if step % 8 == 0:
            states.append(bench.environment.state)
            torques.append(rng.uniform(-5, 5, 6))
            messages.append(Sent(WALL + stamp + 1000, '/effort_controller/commands',
                                 msg_from_torque(torques[-1], -1)))
        bench.step(torques[-1])
    recording = read(tmp_path, robot, messages, torque_source='commands', odometry_joints=(
        'rootx=x', 'rootz=z', 'rooty=pitch'), max_odometry_gap=0.5)
    episode, = recording.episodes
    # The first state that is near enough to an odometry, which begins at 20 ms, is that of 16 ms.
    n = len(episode)
    assert_allclose(episode.observations[:, 2:8], np.array(states)[2:3 + n, 2:8], atol=1e-9)
    assert_allclose(episode.observations[:, 11:], np.array(states)[2:3 + n, 11:], atol=1e-9)
    base = [0, 1, 8, 9, 10]  # between two odometries it is interpolated
    error = np.abs(episode.observations[:, base] - np.array(states)[2:3 + n][:, base])
    assert error[:, :2].max() < 2e-3  # [m, rad]
    assert error[:, 2:].max() < 0.3  # [m/s, rad/s] where the torque jumps
    assert_allclose(episode.actions, np.array(torques)[2:2 + n] / LIMIT, atol=1e-9)
    assert recording.tally.dropped['late joiner'] == 16
    assert n == 400 // 8 - 2 - 1


def test_a_joint_of_the_odometry_that_the_robot_lacks_is_named(tmp_path, robot, walk):
    with pytest.raises(ConfigError, match="odometry_joints names 'base', expected joints of"):
        read(tmp_path, robot, walk.sent(), odometry_joints=('base=x',))


# A file that was cut off


def cut(file, share):
    content = file.read_bytes()
    file.write_bytes(content[:round(share * len(content))])


@pytest.mark.parametrize('share', [0.97, 0.7, 0.31])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite'])
def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path, robot, walk, storage, share):
    folder = write_bag(tmp_path / 'bag', walk.sent(), storage)
    cut(file_of(folder), share)
    recording = read_bag(folder, robot, BagConfig())
    expect_parts(recording, walk, [0])
    n = len(recording.episodes[0])
    assert share - 0.25 < n / N < share + 0.1
    assert 'read as far as it goes' in recording.facts['damage']
    assert recording.facts['topics']['joint_states'].startswith('/joint_states, ')


def test_an_mcap_file_of_a_killed_recorder_is_read_to_its_last_message(tmp_path, robot, walk):
    """It has chunks, and neither an index, nor an end, nor metadata.yaml beside it."""
    folder = write_bag(tmp_path / 'bag', walk.sent(), chunk=50)
    file = file_of(folder)
    content = file.read_bytes()
    file.write_bytes(content[:content.rindex(b'serialized_metadata')])
    (folder / 'metadata.yaml').unlink()
    for path in (folder, file):
        recording = read_bag(path, robot, BagConfig())
        assert len(recording.episodes[0]) == N
        expect_parts(recording, walk, [0])


@pytest.mark.parametrize('share', [0.9, 0.5])
def test_of_a_compressed_chunk_that_was_cut_off_the_beginning_is_read(tmp_path, robot, walk, share,
                                                                      monkeypatch):
    monkeypatch.setattr(Writer, '__enter__', lambda self: (
        self.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD), self.open(),
        self)[-1])
    noise = Float64MultiArray(data=np.random.default_rng(0).normal(size=60_000).tolist())
    folder = write_bag(tmp_path / 'bag', [*walk.sent(), Sent(2 * WALL, '/noise', noise)])
    cut(file_of(folder), share)
    recording = read_bag(folder, robot, BagConfig())
    expect_parts(recording, walk, [0])
    assert len(recording.episodes[0]) == N


def test_a_damaged_chunk_is_left_out(tmp_path, robot, walk, monkeypatch):
    monkeypatch.setattr(Writer, '__enter__', lambda self: (
        self.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD), self.open(),
        self)[-1])
    folder = write_bag(tmp_path / 'bag', walk.sent(), chunk=100)
    file = file_of(folder)
    content = bytearray(file.read_bytes())
    begin = content.index(b'\x28\xb5\x2f\xfd', len(content) // 2)  # of a Zstandard frame
    content[begin:begin + 4] = bytes(4)
    file.write_bytes(content)
    recording = read_bag(folder, robot, BagConfig())
    first, second = recording.episodes
    expect_part(first, walk, 0)
    expect_part(second, walk, first_state(second, walk))
    assert len(first) + len(second) > 0.6 * N
    assert recording.facts['damage']


def test_split_recordings_are_read_in_order(tmp_path, robot, walk):
    """The first ten of eleven files are whole, the last one was cut off."""
    messages = walk.sent()
    folder = tmp_path / 'bag'
    folder.mkdir()
    for number in range(11):
        begin, end = (round(len(messages) * (number + i) / 11) for i in range(2))
        part = write_bag(tmp_path / f'part{number}', messages[begin:end])
        file_of(part).rename(folder / f'bag_{number}.mcap')
    cut(folder / 'bag_10.mcap', 0.4)
    recording = read_bag(folder, robot, BagConfig())
    expect_parts(recording, walk, [0])
    assert 10 / 11 * N - 2 < len(recording.episodes[0]) < N


# All of it at once


def test_with_jitter_loss_and_disorder_every_step_that_is_kept_is_as_it_was(tmp_path, robot,
                                                                            walk):
    rng = np.random.default_rng(1)
    messages = [replace(s, msg=s.msg) for s in walk.sent()]
    shifts = rng.integers(-PERIOD // 8, PERIOD // 8, N + 1).tolist()
    kept, lost = [], set()
    for sent in messages:
        if sent.topic in ('/joint_states', '/reward'):
            k = (stamp_of(sent) - START) // PERIOD
            if rng.random() < 0.03:
                lost.add((sent.topic, k))
                continue
            sent.msg.header.stamp = stamp_from_nanoseconds(stamp_of(sent) + shifts[k])
            sent.received += int(rng.exponential(PERIOD / 2))
        kept.append(sent)
    recording = read(tmp_path, robot, kept)
    for episode in recording.episodes:
        expect_part(episode, walk, first_state(episode, walk))
    steps = {first_state(e, walk) + k for e in recording.episodes for k in range(len(e))}
    no_state = {k for topic, k in lost if topic == '/joint_states'}
    complete = {k for k in range(N) if not {k, k + 1} & no_state}
    assert len(lost) > 4
    assert steps == complete
