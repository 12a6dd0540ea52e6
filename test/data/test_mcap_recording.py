"""Recordings of all topics as MCAP: rosbags, which did not write them, reads what happened."""

import os
from pathlib import Path
import resource
import signal
import sys
import time

from bag_writer import made_up_walk
from lifecycle import Health
import numpy as np
from numpy.testing import assert_array_equal
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_processes import environment, observer, running, spin_for, spin_until, TIME_LIMIT
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.bags.bag_reader import read_bag
from diffusion_planner_ros.data.bags.cut_mcap import mcap_messages
from diffusion_planner_ros.data.executed_plans import read_log
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
    NAVIGATION_RESULT,
    PLAN,
    REWARD,
)
from diffusion_planner_ros.nodes.mcap_recorder_node import McapRecorderConfig
from diffusion_planner_ros.nodes.recording.loss_counter import LossCounter
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robot import Robot

ALWAYS = (CLOCK, JOINT_STATES, COMMANDS, PLAN, REWARD, MARKERS, DIAGNOSTICS)
BEGIN = 5_000_000_000  # [ns] of simulated time
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
    return np.array([states[stamp] for stamp in sorted(states)])


def check_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a.observations, b.observations)
        assert_array_equal(a.actions, b.actions)
        assert_array_equal(a.rewards, b.rewards)
        assert a.terminated == b.terminated


def test_a_run_in_lockstep_is_there_whole_for_others(bundle, file, tmp_path, monkeypatch):
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
    for topic in (PLAN, REWARD, COMMANDS):
        assert len(recording.messages[f'/{topic.path}']) >= n_steps
    states = states_of(recording.messages['/joint_states'], bundle.robot)
    assert_array_equal(states, np.concatenate([e.observations for e in logged]))
    # At simulated time: when a clock was recorded is what it says.
    assert all(received == nanoseconds_from_stamp(msg.clock)
               for received, msg in recording.messages['/clock'])
    assert recording.times == sorted(recording.times)
    assert {qos.reliability for qos in recording.offered['/joint_states']} == {
        QosReliability.RELIABLE}

    for source in (file, log):
        monkeypatch.setattr(sys, 'argv', ['diffusion_planner', 'import', str(source), '--out',
                                          str(tmp_path / source.stem / 'same-v0')])
        cli.main()
    found, expected = (cli_data(tmp_path / source.stem, bundle.robot) for source in (file, log))
    check_equal(found, expected)
    commanded = read_bag(file, bundle.robot, BagConfig(torque_source='commands'))
    check_equal(commanded.episodes, read_bag(file, bundle.robot, BagConfig()).episodes)


def cli_data(folder, robot):
    from diffusion_planner_ros.data.formats import read_episodes
    return read_episodes(folder / 'same-v0', robot)
