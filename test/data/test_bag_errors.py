# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Wrong recordings: each is refused with what was found, what was expected and what to do."""

import re

from bag_writer import file_of, made_up_walk, Sent, WALL, write_bag
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from std_msgs.msg import Float64, Float64MultiArray, String

from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.import_run import import_recordings
from diffusion_planner_ros.errors import ConfigError, DatasetError
from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds
from diffusion_planner_ros.robots.robot_folder import urdf_file
from diffusion_planner_ros.urdf_tree import Urdf

BASE = ('rootx=x', 'rootz=z', 'rooty=-pitch')
STATES, REWARD, COMMANDS = '/joint_states', '/reward', '/effort_controller/commands'


def stamped(messages, topic):
    return [s.msg for s in messages if s.topic == topic]


def change(topic, alter):
    """Return how to alter every message of a topic."""
    def altered(messages):
        for k, msg in enumerate(stamped(messages, topic)):
            alter(k, msg)
        return messages
    return altered


def leave_out(topic):
    return lambda messages: [s for s in messages if s.topic != topic]


def send_instead(topic, build):
    """Return how to replace the messages of a topic by those of another type."""
    def altered(messages):
        for sent in messages:
            if sent.topic == topic:
                sent.msg = build(sent.msg)
        return messages
    return altered


def add_odometry(alter):
    """Return how to add an odometry to all joint states."""
    def altered(messages):
        for sent in [s for s in messages if s.topic == STATES]:
            odometry = Odometry()
            odometry.header.stamp = sent.msg.header.stamp
            odometry.pose.pose.orientation.w = 1.0
            alter(odometry)
            messages.append(Sent(sent.received, '/odometry', odometry))
        return messages
    return altered


def wall_stamp(k, msg):
    seconds = WALL // 1_000_000_000
    msg.header.stamp.sec += seconds


def no_stamp(k, msg):
    msg.header.stamp = stamp_from_nanoseconds(0)


def in_degrees(k, msg):
    msg.position = np.degrees(msg.position).tolist()


def in_newton_millimetres(k, msg):
    msg.effort = (1000 * np.array(msg.effort)).tolist()


def rename(k, msg):
    msg.name[3] = 'hip_joint'


def name_twice(k, msg):
    for numbers in (msg.name, msg.position, msg.velocity, msg.effort):
        numbers.append(numbers[4])


def nan(k, msg):
    msg.velocity[5] = float('nan')


def no_effort(k, msg):
    msg.effort = []


def no_position(k, msg):
    msg.position = msg.position[:4]


def every_third(messages):
    times = {s.received for s in messages if s.topic == STATES}
    kept = set(sorted(times)[::3])
    return [s for s in messages if s.topic != STATES or s.received in kept]


def from_two_clocks(messages):
    return [*messages, *(Sent(s.received + 1, s.topic, wall_copy(s.msg)) for s in messages
                         if s.topic == STATES)]


def wall_copy(msg):
    copy = type(msg)(name=msg.name, position=msg.position, velocity=msg.velocity,
                     effort=msg.effort)
    copy.header.stamp.sec = WALL // 1_000_000_000 + msg.header.stamp.sec
    copy.header.stamp.nanosec = msg.header.stamp.nanosec
    return copy


# what is wrong: settings, how messages are altered, what the error must say
WRONG = {
    'no joint states': ({}, leave_out(STATES), (
        "no topic '/joint_states', found /clock", 'expected one of type sensor_msgs/msg/JointSt',
        'name it with --joint-states TOPIC')),
    'another type': ({}, send_instead(STATES, lambda msg: String()), (
        "topic '/joint_states' is of type std_msgs/msg/String", 'expected sensor_msgs/msg/Joint',
        '--joint-states')),
    'a topic that is not there': ({'reward': 'score'}, lambda messages: messages, (
        "no topic '/score'", 'found /clock (rosgraph_msgs/msg/Clock)', '--reward /reward')),
    'rewards of another type': ({}, send_instead(REWARD, lambda msg: Float64()), (
        "topic '/reward' is of type std_msgs/msg/Float64", 'expected sensor_msgs/msg/JointState',
        'leave rewards out with --reward ""')),
    'a joint is missing': ({}, change(STATES, rename), (
        "joint 'thigh_joint' is missing in the joint states, found rootx, rootz, rooty, hip_joi",
        'name the joints in the YAML file of --robot as the driver does')),
    'a joint comes twice': ({}, change(STATES, name_twice), (
        "joint 'leg_joint' is named 2 times", 'expected once', 'let one driver alone')),
    'positions are missing': ({}, change(STATES, no_position), (
        'joints missing 41', "joint 'leg_joint' has no position: the joint states hold 4 of")),
    'not finite': ({}, change(STATES, nan), (
        'not finite 41', "joint 'foot_joint' has velocity nan, expected a finite number [rad/s]",
        'look at the sensor')),
    'no efforts': ({}, change(STATES, no_effort), (
        'no torque 40', "joint 'thigh_joint' has no finite effort, expected one [N m]",
        '--torque-source commands takes the torque from the commands')),
    'no commands': ({'torque_source': 'commands'}, leave_out(COMMANDS), (
        "no topic '/effort_controller/commands'", 'expected one of type std_msgs/msg/Float64Mult',
        '--commands TOPIC, or take --torque-source effort')),
    'another number of commands': (
        {'torque_source': 'commands'},
        send_instead(COMMANDS, lambda msg: Float64MultiArray(data=msg.data[:4])), (
            'a command holds 4 numbers, expected 6: thigh_joint, leg_joint',
            'name the joints under action in the YAML file of --robot')),
    'nobody stamped': ({}, change(STATES, no_stamp), (
        'unstamped 41', 'the stamp is 0, expected the time of the measurement',
        '--time received takes the time')),
    'rewards of another clock': ({}, change(REWARD, wall_stamp), (
        'the reward has stamps from 1700000020.008 to 1700000020.320 s',
        'the joint states 20.000 to 20.320 s', 'expected those of one clock', '--time received')),
    'odometry of another clock': (
        {'odometry_joints': BASE},
        add_odometry(lambda msg: setattr(msg.header, 'stamp', stamp_from_nanoseconds(5))), (
            'the odometry has stamps from 0.000 to 0.000 s', 'expected those of one clock',
            '--time received')),
    'two nodes with two clocks': ({}, from_two_clocks, (
        'the stamps of the joint states go back', 'expected those of one clock',
        'does only one node publish them')),
    'odometry without an orientation': (
        {'odometry_joints': BASE},
        add_odometry(lambda msg: setattr(msg.pose.pose.orientation, 'w', 0.0)), (
            'the quaternion of the odometry has norm 0, expected 1', 'look at the driver')),
    'no odometry': ({'odometry_joints': BASE}, lambda messages: messages, (
        "no topic '/odometry'", 'expected one of type nav_msgs/msg/Odometry',
        'or leave out --odometry-joints')),
    'too slow': ({}, every_third, (
        'states are 24 ms apart', "expected at most 1.5 control periods of 'walker2d', 12 ms",
        'record them faster')),
    'in degrees': ({}, change(STATES, in_degrees), (
        "joint 'rooty' is at -28", 'expected -1 to 1 rad', 'are these in degrees? Record them i')),
    'in newton millimetres': ({}, change(STATES, in_newton_millimetres), (
        "the torque of joint 'thigh_joint' reaches 4.9", 'expected at most 100 N m, its limit',
        'another unit')),
    'nothing was published': ({}, lambda messages: [], (
        'holds no message', 'expected joint states at least', 'was anything published')),
}


def refused(folder, robot, path, **config):
    """Return the error of an import, in one line."""
    limits = Urdf.load(urdf_file('walker2d')).position_limits | {'rooty': (-1.0, 1.0)}
    with pytest.raises(DatasetError) as caught:
        import_recordings([path], robot, BagConfig(**config), folder / 'out-v0', limits=limits)
    assert not (folder / 'out-v0').exists()
    text, = str(caught.value).splitlines()
    assert text.startswith(str(path))
    return text


def expect(text, words):
    assert re.search('.*'.join(map(re.escape, words)), text), text


@pytest.mark.parametrize('fault', WRONG)
def test_a_wrong_recording_is_refused(tmp_path, robot, fault):
    config, alter, words = WRONG[fault]
    folder = write_bag(tmp_path / 'bag', alter(made_up_walk().sent()))
    expect(refused(tmp_path, robot, folder, **config), words)


def test_the_same_recording_without_a_fault_is_taken(tmp_path, robot, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    folder = write_bag(tmp_path / 'bag', made_up_walk().sent())
    assert import_recordings([folder], robot, BagConfig(), tmp_path / 'out-v0')['steps'] == 40


@pytest.mark.parametrize(('name', 'content', 'words'), [
    ('cut.mcap', b'', ('is empty, expected messages',)),
    ('cut.mcap', b'\x89MCAP0\r\n\x01\x10', ('holds no message', 'expected joint states')),
    ('text.mcap', b'these are no messages', ("begins with b'these a", 'of an MCAP file')),
    ('text.db3', b'these are no messages' * 100, (
        'not readable as an SQLite file of ros2 bag', 'expected tables topics and messages',
        'is it a copy of a whole file?')),
    ('cut.db3', b'', ('is empty, expected messages',)),
    ('old.bag', b'#ROSBAG V2.0\n', (
        'is a recording of ROS 1', 'expected one of: a recording of ros2 bag',
        'convert it with rosbags-convert')),
    ('notes.txt', b'these are no messages', (
        'of no known format', 'expected one of: a recording of ros2 bag', 'LeRobot', 'Minari'))])
def test_a_file_that_is_no_recording_is_refused(tmp_path, robot, name, content, words):
    (tmp_path / name).write_bytes(content)
    expect(refused(tmp_path, robot, tmp_path / name), words)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite'])
def test_a_file_that_was_cut_off_before_its_messages_is_refused(tmp_path, robot, storage):
    file = file_of(write_bag(tmp_path / 'bag', made_up_walk().sent(), storage))
    file.write_bytes(file.read_bytes()[:60])
    expect(refused(tmp_path, robot, file.parent), (
        'holds no message' if storage == 'mcap' else 'not readable as an SQLite file',
        'expected'))


def test_a_path_and_a_folder_without_a_recording_are_refused(tmp_path, robot):
    expect(refused(tmp_path, robot, tmp_path / 'none'), ('no such file or folder', 'expected one'))
    (tmp_path / 'empty').mkdir()
    expect(refused(tmp_path, robot, tmp_path / 'empty'), ('of no known format', 'expected one of'))


def test_a_compressed_recording_without_metadata_is_refused_with_what_to_do(tmp_path, robot):
    folder = tmp_path / 'bag'
    folder.mkdir()
    (folder / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: 5}')
    (folder / 'bag.db3.zstd').write_bytes(b'')
    expect(refused(tmp_path, robot, folder), (
        'not readable', 'expected files that end in .mcap or .db3', 'zstd -d'))


def test_messages_that_a_killed_recorder_left_in_a_log_are_not_ignored(tmp_path, robot):
    file = file_of(write_bag(tmp_path / 'bag', made_up_walk().sent(), 'sqlite'))
    file.with_name(f'{file.name}-wal').write_bytes(b'messages')
    with pytest.raises(DatasetError) as caught:
        import_recordings([tmp_path / 'bag'], robot, BagConfig(), tmp_path / 'out-v0')
    expect(str(caught.value), ('bag.db3-wal: holds messages that are not in bag.db3',
                               'expected none', 'Merge them: sqlite3'))


def test_joints_of_the_odometry_must_be_joints_of_the_robot(tmp_path, robot):
    folder = write_bag(tmp_path / 'bag', made_up_walk().sent())
    with pytest.raises(ConfigError, match="odometry_joints names 'base', expected joints of"):
        import_recordings([folder], robot, BagConfig(odometry_joints=('base=x',)),
                          tmp_path / 'out-v0')


@pytest.mark.parametrize(('name', 'words'), [
    ('walk', ("the name of the data set is 'walk'", 'expected letters, digits', "walk-v0'")),
    ('my walk!-v0', ("the name of the data set is 'my walk!-v0'", "my-walk-v0'")),
    ('there-v0', ('is there already', 'expected a new folder', 'delete it'))])
def test_where_to_write_is_checked_before_anything_is_read(tmp_path, robot, name, words):
    (tmp_path / 'there-v0').mkdir()
    with pytest.raises(DatasetError) as caught:
        import_recordings([tmp_path], robot, BagConfig(), tmp_path / name)
    expect(str(caught.value), words)


def test_the_reasons_are_counted_where_nothing_is_left(tmp_path, robot):
    messages = made_up_walk().sent()
    change(STATES, lambda k, msg: k % 2 or nan(k, msg))(messages)
    text = refused(tmp_path, robot, write_bag(tmp_path / 'bag', messages))
    expect(text, ('states are 16 ms apart', 'expected at most'))
    folder = write_bag(tmp_path / 'lone', made_up_walk().sent())
    text = refused(tmp_path, robot, folder, episode_topic='clock')  # one at every state
    expect(text, ('no step is left of 41 states; dropped: alone 41', 'expected the next state',
                  'widen --max-gap'))
