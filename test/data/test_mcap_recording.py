# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of all topics as MCAP: rosbags, which did not write them, reads what happened."""

from contextlib import contextmanager
from dataclasses import replace
import re
import resource
import sys
import time

from bag_writer import made_up_walk
import numpy as np
from numpy.testing import assert_array_equal
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from ros_processes import environment, observer, running, spin_until, TIME_LIMIT
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.commands.learn.import_recording import import_recording
from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.bags.bag_reader import read_bag
from diffusion_planner_ros.data.bags.cut_mcap import mcap_messages
from diffusion_planner_ros.data.executed_plans import read_log
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.ros.ros_session import session, SessionConfig
from diffusion_planner_ros.messages.joint_states import JointReader
from diffusion_planner_ros.messages.stamps import nanoseconds_from_stamp
from diffusion_planner_ros.nodes.common.conversions import (
    msg_from_reward,
    stamp_from_nanoseconds,
)
from diffusion_planner_ros.nodes.common.topics import (
    CLOCK,
    COMMANDS,
    DIAGNOSTICS,
    JOINT_STATES,
    MARKERS,
    MCAP_RECORDER,
    PLAN,
    REWARD,
)
from diffusion_planner_ros.nodes.mcap_recorder_node import McapRecorderConfig
from diffusion_planner_ros.nodes.recording.loss_counter import LossCounter
from diffusion_planner_ros.nodes.recording.message_definition import message_definition
from diffusion_planner_ros.planning.planner_config import PlannerConfig

ALWAYS = (CLOCK, JOINT_STATES, COMMANDS, PLAN, REWARD, MARKERS, DIAGNOSTICS)
LOST = re.compile(r'(\d+) messages did not get here in time')
KEPT = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'run.mcap'


class Recording:
    """A whole file as rosbags reads it, by nothing but what the file says about its types."""

    def __init__(self, file):
        store = get_typestore(Stores.EMPTY)
        self.topics, self.messages, self.times, self.offered = {}, {}, [], {}
        with Reader(file) as reader:
            for connection in reader.connections:
                self.topics[connection.topic] = connection.msgtype
                self.offered[connection.topic] = connection.ext.offered_qos_profiles
                store.register({name: kind for name, kind in get_types_from_msg(
                    connection.msgdef.data, connection.msgtype).items()
                                if name not in store.fielddefs})
            for connection, received, data in reader.messages():
                self.times.append(received)
                self.messages.setdefault(connection.topic, []).append(
                    (received, store.deserialize_cdr(data, connection.msgtype)))


def states_of(messages, robot):
    """Return the states (n, S) of joint states, those that come again once, by their stamps."""
    reader = JointReader(robot, set())
    states = {nanoseconds_from_stamp(msg.header.stamp): reader.read(msg).state
              for _, msg in messages}
    clip = robot.state_clip
    return np.clip([states[stamp] for stamp in sorted(states)], -clip, clip)


def check_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a.observations, b.observations)
        assert_array_equal(a.actions, b.actions)
        assert_array_equal(a.rewards, b.rewards)
        assert a.terminated == b.terminated


def test_a_run_in_lockstep_is_there_whole_for_others(bundle, file, tmp_path, monkeypatch, capfd):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    log = tmp_path / 'log.hdf5'
    config = SessionConfig(bundle=bundle.path, planner=PlannerConfig(), lockstep=True,
                           real_time_factor=1.0, first_seed=3, log=log, mcap=file)
    with session(config, record=False) as nodes:
        for seed in (3, 4):
            if seed != 3:
                nodes.reset(seed)
            nodes.finish_episode(seed, lambda facts: None)
    logged = read_log(log, bundle.robot)
    recording = Recording(file)
    expected = {f'/{topic.path.removeprefix("/")}': topic.ros_type.replace('/', '/msg/')
                for topic in ALWAYS}
    assert recording.topics == expected
    n_steps = sum(map(len, logged))
    lost = LOST.search(capfd.readouterr().err)  # on a busy machine, and then it says so
    n_lost = int(lost[1]) if lost else 0
    for topic in (PLAN, REWARD, COMMANDS):
        assert len(recording.messages[f'/{topic.path}']) + n_lost >= n_steps
    if n_lost:
        pytest.skip(f'this machine is so busy that {n_lost} messages got lost, as the node says')
    states = states_of(recording.messages['/joint_states'], bundle.robot)
    assert_array_equal(states, np.concatenate([e.observations for e in logged]))
    # At simulated time: when a clock was recorded is what it says.
    assert all(received == nanoseconds_from_stamp(msg.clock)
               for received, msg in recording.messages['/clock'])
    assert recording.times == sorted(recording.times)
    assert {qos.reliability for qos in recording.offered['/joint_states']} == {
        QosReliability.RELIABLE}

    monkeypatch.setenv('MINARI_DATASETS_PATH', '')  # writing sets it
    for source in (file, log):
        import_recording(BagConfig(), (source,), out=tmp_path / source.stem / 'same-v0')
    check_equal(*(read_episodes(tmp_path / source.stem / 'same-v0', bundle.robot)
                  for source in (file, log)))
    # The publisher of commands is made when the planner is activated: nobody waits until the
    # recorder knows of it, and commands before that are not recorded.
    commanded = read_bag(file, bundle.robot, BagConfig(torque_source='commands')).episodes
    whole = read_bag(file, bundle.robot, BagConfig()).episodes
    n_missed = len(whole[0]) - len(commanded[0])
    assert 0 <= n_missed < 20
    first = replace(whole[0], **{name: getattr(whole[0], name)[n_missed:]
                                 for name in ('observations', 'actions', 'rewards')})
    check_equal(commanded, [first, *whole[1:]])


class Driver:
    """Plays a simulated robot that a recorder listens to."""

    def __init__(self, node, walk):
        self._node, self.walk = node, walk
        self._publishers = {
            name: node.create_publisher(kind, name, qos) for name, kind, qos in (
                ('/joint_states', JointState, 10), ('/reward', JointState, 10),
                ('/clock', Clock, 10), ('/planner/navigate/result', String, KEPT))}

    def begin(self):
        """Publish for a while: to be connected takes some time on both sides."""
        self._publishers['/planner/navigate/result'].publish(String(data='kept'))
        spin_until(self._node, lambda: all(
            p.get_subscription_count() for p in self._publishers.values()), 'the recorder')
        for _ in range(10):
            self.show(0)
            time.sleep(0.05)

    def show(self, k):
        """Publish a state; its clock comes after it, as in the simulator."""
        stamp, publishers = self.walk.stamp(k), self._publishers
        publishers['/joint_states'].publish(self.walk.joint_states(k))
        if k:
            publishers['/reward'].publish(msg_from_reward(self.walk.rewards[k - 1], False, stamp))
        publishers['/clock'].publish(Clock(clock=stamp_from_nanoseconds(stamp)))
        time.sleep(0.002)

    def go(self, file):
        """Publish the rest of the walk, and wait until it is in the file."""
        for k in range(len(self.walk) + 1):
            self.show(k)
        end = serialize_message(Clock(clock=stamp_from_nanoseconds(self.walk.stamp(k))))
        spin_until(self._node, lambda: any(m.data == end for m in mcap_messages(file)), 'writing')


@contextmanager
def driven(tmp_path, file, **settings):
    with (running('mcap_recorder', tmp_path, file=str(file), **settings) as process,
          observer() as node):
        driver = Driver(node, made_up_walk())
        driver.begin()
        yield driver, process


def test_what_was_recorded_survives_a_kill(tmp_path, file, robot):
    with driven(tmp_path, file, use_sim_time=True) as (driver, recorder):
        driver.go(file)
        recorder.process.kill()
        recorder.process.wait()
    walk = driver.walk
    read = read_bag(file, robot, BagConfig())
    assert 'read as far as it goes' in read.facts['damage']
    (episode,) = read.episodes
    assert_array_equal(episode.observations, walk.states)
    assert_array_equal(episode.rewards, walk.rewards)
    # At simulated time; what came before the first clock is there, at its time.
    times = {}
    for message in mcap_messages(file):
        times.setdefault(message.topic, []).append(message.received)
    assert times['/planner/navigate/result'] == [walk.stamp(0)]
    assert {*times['/clock']} == {walk.stamp(k) for k in range(len(walk) + 1)}
    assert times['/reward'] == [walk.stamp(k) for k in range(len(walk))]


def test_without_simulated_time_messages_have_the_time_at_which_they_came(tmp_path, file):
    before = time.time_ns()
    with driven(tmp_path, file) as (driver, recorder):
        for k in range(1, len(driver.walk) + 1):
            driver.show(k)
        assert recorder.stop() == 0  # which costs nothing that was published before it
    recording = Recording(file)
    assert recording.topics['/planner/navigate/result'] == 'std_msgs/msg/String'
    (offered,) = recording.offered['/planner/navigate/result']
    assert (offered.reliability, offered.durability) == (
        QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL)
    assert recording.times == sorted(recording.times)
    assert before < recording.times[0] and recording.times[-1] < time.time_ns()
    rewards = [msg.position[0] for _, msg in recording.messages['/reward']]
    assert_array_equal(rewards[-len(driver.walk):], driver.walk.rewards)
    assert f'{file}: ' in recorder.output


def test_a_full_disk_ends_it_with_one_line_and_what_was_recorded_is_there(tmp_path, file, robot):
    with driven(tmp_path, file) as (driver, recorder):
        driver.go(file)
        limit = file.stat().st_size + 10
        resource.prlimit(recorder.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        n_lines = len(recorder.output.splitlines())
        driver.show(len(driver.walk))
        assert recorder.process.wait(TIME_LIMIT) == 1
    (line,) = recorder.output.splitlines()[n_lines:]
    assert line.startswith(f'McapRecorder: {file}: cannot be written (File too large), expected')
    (episode,) = read_bag(file, robot, BagConfig()).episodes
    assert_array_equal(episode.observations, driver.walk.states)


@pytest.mark.parametrize(('name', 'message'), [
    ('run.mcap', 'run.mcap: is there already, expected a new file; name another one or delete it'),
    ('nowhere/run.mcap', r'nowhere/run.mcap: cannot be written \(No such file or directory\), '),
    ('new.mcap', r'new.mcap: cannot be written without mcap; install it \(pip install mcap, or ')])
@pytest.mark.parametrize('verb', [('walk',), ('evaluate', '--through-ros')], ids=lambda v: v[0])
def test_a_file_that_cannot_be_recorded_ends_it_before_the_walk(verb, name, message, file,
                                                                monkeypatch, capfd):
    file.write_text('precious')
    if 'without' in message:
        monkeypatch.setitem(sys.modules, 'mcap.writer', None)
    monkeypatch.setattr(sys, 'argv', ['diffusion_planner', *verb, '--mcap',
                                      str(file.parent / name)])
    with pytest.raises(SystemExit, match=message) as ended:
        cli.main()
    assert len(str(ended.value).splitlines()) == 1
    assert capfd.readouterr().err == ''
    assert [f.name for f in file.parent.iterdir()] == ['run.mcap']
    assert file.read_text() == 'precious'


def test_an_evaluation_in_process_has_nothing_to_record(file, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['diffusion_planner', 'evaluate', '--mcap', str(file)])
    with pytest.raises(SystemExit, match='--mcap needs --through-ros: a ROS node'):
        cli.main()


def test_a_recorder_needs_a_file():
    with pytest.raises(ConfigError, match="file is '', expected the name of a file to write"):
        McapRecorderConfig()


def test_gaps_in_the_numbers_of_a_publisher_are_lost_messages():
    losses = LossCounter()
    for publisher, number in ((b'a', 7), (b'b', 1), (b'a', 8), (b'a', 11), (b'b', 2), (b'a', 10)):
        losses.see({'publication_sequence_number': number, 'publisher_gid': {'data': publisher}})
    assert losses.n_lost == 2
    losses.see({'publication_sequence_number': 100})  # of somebody
    assert losses.n_lost == 2


@pytest.mark.parametrize('topic', sorted({e.topic for e in MCAP_RECORDER.subscribed},
                                         key=lambda t: t.path), ids=lambda t: t.path)
def test_the_definition_of_a_type_is_whole(topic):
    name = topic.ros_type.replace('/', '/msg/')
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(message_definition(topic.type), name))
    known = get_typestore(Stores.ROS2_KILTED)
    assert store.hash_rihs01(name) == known.hash_rihs01(name)
