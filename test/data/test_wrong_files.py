# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Wrong files that a user gives to a command: each is refused in one line, and nothing is written.

The line names the file, what was found, what was expected and the remedy.
docs/reference/recordings.md lists them.
"""

from pathlib import Path
import re
import shutil
import sqlite3
import subprocess
import sys

from bag_writer import file_of, made_up_walk, PERIOD, Sent, START, WALL, write_bag
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from std_msgs.msg import Float64MultiArray, String
import test_lerobot as lerobot

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.data.executed_plans import LogWriter
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.robot_folder import EXAMPLE, robot_folder

STATES, REWARD, COMMANDS = '/joint_states', '/reward', '/effort_controller/commands'
SAID = '<what a library says>'  # in an expected line; other versions use other words
BASE = ('rootx', 'rootz', 'rooty')
KINDS = ('a recording of ros2 bag (a folder, or a file that ends in .mcap or .db3), a LeRobot '
         'data set, a folder with meta/info.json, a log of executed plans, a Minari data set, a '
         "folder with data/main_data.hdf5, an HDF5 file in D4RL's layout")
LAYOUT_KEYS = 'name, control_period, state, action and, if it knows goals, goal'
ONE_CLOCK = '--time received takes the time at which a message was recorded'
NAME_JOINTS = ('name the joints in the YAML file of --robot as the driver does; for joints of the '
               'base that odometry measures there is --odometry-joints')
COPY = ('expected a complete one; copy it again, or record it again if it is not whole where it '
        'comes from')
EMPTY = 'is empty, expected messages; copy it again, or record again: was the recorder killed?'
HINGES = ('thigh_joint, leg_joint, foot_joint, thigh_left_joint, leg_left_joint, '
          'foot_left_joint')
ARM = """
<robot name="arm"><link name="base"/><link name="upper"><inertial><mass value="1"/>
  <inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="shoulder" type="continuous"><parent link="base"/><child link="upper"/>
    <axis xyz="0 1 0"/></joint></robot>"""
BOX = '<mujoco><worldbody><geom type="cube" size="1"/></worldbody></mujoco>'


def bag(alter, *, storage='mcap', options=()):
    """Return what writes a recording and imports it; ``alter`` changes messages or leaves out."""
    def write(folder):
        messages = alter(made_up_walk().sent())
        return 'import', write_bag(folder / 'walk', messages, storage), options
    return write


def states(change):
    """Return how to change all joint states, ``change(k, msg)``."""
    def altered(messages):
        for k, sent in enumerate(s for s in messages if s.topic == STATES):
            change(k, sent.msg)
        return messages
    return altered


def instead(topic, build):
    def altered(messages):
        return [Sent(s.received, topic, build(s.msg)) if s.topic == topic else s for s in messages]
    return altered


def without(*topics):
    return lambda messages: [s for s in messages if s.topic not in topics]


def unchanged(messages):
    return messages


def damaged(alter, *, storage='mcap'):
    """Return what writes a recording and damages it, ``alter(file)`` in its folder."""
    def write(folder):
        bag = write_bag(folder / 'walk', made_up_walk().sent(), storage)
        alter(file_of(bag))
        return 'import', bag, ()
    return write


def file(name, content):
    """Return what writes a file and imports it."""
    def write(folder):
        (folder / name).write_bytes(content)
        return 'import', folder / name, ()
    return write


def other_joint(k, msg):
    msg.name[3] = 'hip_joint'


def joint_twice(k, msg):
    for numbers in (msg.name, msg.position, msg.velocity, msg.effort):
        numbers.append(numbers[4])


def degrees(k, msg):
    msg.position = np.degrees(msg.position).tolist()


def degrees_per_second(k, msg):
    msg.velocity = np.degrees(msg.velocity).tolist()


def velocity_of_zero(k, msg):
    msg.velocity = [0.0] * len(msg.velocity)


def newton_millimetres(k, msg):
    msg.effort = (1000 * np.array(msg.effort)).tolist()


def no_effort(k, msg):
    msg.effort = []


def nan(k, msg):
    msg.velocity[5] = float('nan')


def no_base(k, msg):
    of_base = [i for i, name in enumerate(msg.name) if name in BASE]
    for numbers in (msg.name, msg.position, msg.velocity, msg.effort):
        for i in reversed(of_base):
            del numbers[i]


def stamped(stamp_of):
    def change(k, msg):
        msg.header.stamp = stamp_from_nanoseconds(stamp_of(k))
    return change


def two_drivers(messages):
    """Beside the simulated robot, somebody publishes the same joints in wall time."""
    again = made_up_walk()
    return messages + [Sent(s.received + 1, STATES, again.joint_states(k, stamp=s.received))
                       for k, s in enumerate(s for s in messages if s.topic == STATES)]


def every_third(messages):
    chosen = [s for s in messages if s.topic == STATES][::3]
    return [s for s in messages if s.topic != STATES or any(s is c for c in chosen)]


def cut_to(n_bytes):
    return lambda file: file.write_bytes(file.read_bytes()[:n_bytes])


def database(folder):
    path = folder / 'notes.db3'
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE notes (text)')
    connection.commit()
    connection.close()
    return 'import', path, ()


def renamed(folder):
    path = file_of(write_bag(folder / 'walk', made_up_walk().sent(), 'sqlite'))
    path.rename(path.with_suffix('.mcap'))
    (path.parent / 'metadata.yaml').unlink()
    return 'import', path.parent, ()


def lerobot_set(alter=None, **info):
    """Return what writes a data set of LeRobot; ``alter(columns)`` changes its frames."""
    def write(folder):
        frames = lerobot.frames_of(made_up_walk(sum(lerobot.LENGTHS)))
        for columns in frames if alter else ():
            alter(columns)
        robot = Robot.load('walker2d')
        return 'import', lerobot.write(folder / 'set', robot, frames, **info), ()
    return write


def five_actions(columns):
    columns['action'] = [action[:5] for action in columns['action']]


def parquet_alone(folder):
    parquet.write_table(pa.table({'action': [1.0]}), folder / 'file.parquet')
    return 'import', folder / 'file.parquet', ()


def arrays_of(robot, n=30):
    """Return an episode as Minari has it."""
    layout = Robot.load(robot)
    return {'observations': np.zeros((n + 1, layout.state_dim)),
            'actions': np.zeros((n, layout.action_dim)), 'rewards': np.zeros(n),
            'terminations': np.zeros(n, dtype=bool), 'truncations': np.zeros(n, dtype=bool)}


def minari(robot='walker2d', n_bytes=None, **changes):
    """Return what writes a file of Minari with one episode; a change of None leaves a key out."""
    def write(folder):
        with h5py.File(folder / 'main_data.hdf5', 'w') as root:
            for key, array in (arrays_of(robot) | changes).items():
                if array is not None:
                    root[f'episode_0/{key}'] = array
        if n_bytes is not None:
            cut_to(n_bytes)(folder / 'main_data.hdf5')
        return 'import', folder / 'main_data.hdf5', ()
    return write


def a_nan():
    observations = arrays_of('walker2d')['observations']
    observations[3, 4] = np.nan
    return observations


def d4rl(folder):
    arrays = arrays_of('hopper')
    with h5py.File(folder / 'hopper.hdf5', 'w') as root:
        for key, array in {**arrays, 'observations': arrays['observations'][:-1]}.items():
            root[{'terminations': 'terminals', 'truncations': 'timeouts'}.get(key, key)] = array
    return 'import', folder / 'hopper.hdf5', ()


def log(folder):
    robot, arrays = Robot.load('hopper'), arrays_of('hopper')
    writer = LogWriter(folder / 'log.hdf5', robot, bundle_hash='')
    writer.write(Episode(arrays['observations'], arrays['actions'], arrays['rewards'], False,
                         np.full((30, 8, robot.state_dim), np.nan)))
    return 'import', folder / 'log.hdf5', ()


def layout(old, new):
    """Return what writes a recording and a layout in which a text is another one."""
    def write(folder):
        text = (robot_folder('walker2d') / 'layout.yaml').read_text()
        assert old in text
        (folder / 'layout.yaml').write_text(text.replace(old, new, 1))
        recording = write_bag(folder / 'walk', made_up_walk().sent())
        return 'import', recording, ('--robot', str(folder / 'layout.yaml'))
    return write


def model(name, text):
    def write(folder):
        (folder / name).write_text(text)
        return 'new-robot', folder / name, ()
    return write


# What is wrong: what writes it, what is said. {path} is what the command is given, {folder} where
# everything is.
WRONG = {
    # Recordings of ros2 bag
    'joint missing': (bag(states(other_joint)), (
        "{path}: no joint states can be used, dropped: joints missing 41 (joint 'thigh_joint' is "
        'missing in the joint states, found rootx, rootz, rooty, hip_joint, leg_joint, '
        f'foot_joint, thigh_left_joint, leg_left_joint, foot_left_joint); {NAME_JOINTS}')),
    'joint twice': (bag(states(joint_twice)), (
        "{path}: no joint states can be used, dropped: joint twice 41 (joint 'leg_joint' is named "
        '2 times in one message of joint states, expected once); let one driver alone name the '
        'joint')),
    'positions in degrees': (bag(states(degrees)), (
        "{path}: joint 'thigh_joint' is at -28.64 to -0.005201 rad, expected -2.618 to 0 rad, its "
        'limits; are these in degrees? Record them in rad')),
    'velocities in degrees': (bag(states(degrees_per_second)), (
        "{path}: the velocity of joint 'rootx' is beyond its clip, 10 m/s, in 98% of the states, "
        'expected at most 80%; is it in another unit? Record it in m/s, or mend the clip in the '
        'YAML file of --robot')),
    'velocities that nobody measured': (bag(states(velocity_of_zero)), (
        "{path}: the velocity of joint 'rootz' moves it by 0 m in 0.08 s, expected 0.276 m, as "
        'its position says (root mean squares); is it measured, and in m/s? Record both so')),
    'torques in N mm': (bag(states(newton_millimetres)), (
        "{path}: the torque of joint 'thigh_joint' reaches 4.949e+04, expected at most 100 N m, "
        'its limit; is it in another unit? In recordings it is in N m, in data sets a share of '
        'that limit; or mend the limit in the YAML file of --robot')),
    'two drivers with two clocks': (bag(two_drivers), (
        '{path}: the stamps of the joint states go back 40 times in 82 messages (20.000 to '
        '1700000020.320 s), expected those of one clock; does only one node publish them? '
        f'{ONE_CLOCK}')),
    'rewards in simulated time, states in wall time': (
        bag(states(stamped(lambda k: WALL + START + k * PERIOD))), (
            '{path}: the reward has stamps from 20.008 to 20.320 s, the joint states '
            '1700000020.000 to 1700000020.320 s, expected those of one clock; '
            f'{ONE_CLOCK}')),
    'all stamps are zero': (bag(states(stamped(lambda k: 0))), (
        '{path}: no joint states can be used, dropped: unstamped 41 (the stamp is 0, expected the '
        f'time of the measurement); {ONE_CLOCK}, --time clock that of the simulation')),
    'all stamps are the same': (bag(states(stamped(lambda k: START))), (
        '{path}: 1 states can be used, expected at least 2; dropped: repeated 40 (the stamp is '
        'that of another message, expected the time of the measurement); let the driver stamp '
        'every message anew, or take --time received, the time at which a message was recorded')),
    'time runs backwards': (bag(states(stamped(lambda k: START + (100 - k) * PERIOD))), (
        '{path}: the stamps of the joint states go back 40 times in 41 messages (20.720 to 20.800 '
        's and 20.632 to 20.712 s and 20.544 to 20.624 s and 1 more), expected those of one '
        f'clock; does only one node publish them? {ONE_CLOCK}')),
    'neither efforts nor commands': (
        bag(lambda messages: without(COMMANDS)(states(no_effort)(messages))), (
            '{path}: no step is left of 41 states; dropped: no torque 40, alone 1 (joint '
            "'thigh_joint' has no finite effort, expected one [N m] in all joint states); "
            '--torque-source commands takes the torque from the commands, --torque-source effort '
            'from the joint states')),
    'no commands': (bag(without(COMMANDS, '/clock'), options=('--torque-source', 'commands')), (
        "{path}: no topic '/effort_controller/commands', found /joint_states "
        '(sensor_msgs/msg/JointState), /reward (sensor_msgs/msg/JointState); expected one of type '
        'std_msgs/msg/Float64MultiArray; name it with --commands TOPIC, or take --torque-source '
        'effort')),
    'states of NaN': (bag(states(nan)), (
        "{path}: no joint states can be used, dropped: not finite 41 (joint 'foot_joint' has "
        'velocity nan, expected a finite number [rad/s] of at most 1e+09); look at the sensor or '
        'its driver')),
    'wrong number of torques': (
        bag(instead(COMMANDS, lambda msg: Float64MultiArray(data=msg.data[:4])),
            options=('--torque-source', 'commands')), (
            '{path}: no step is left of 41 states; dropped: number of commands 40, late joiner '
            f'40, alone 1 (a command holds 4 numbers, expected 6: {HINGES}); name the joints '
            'under action in the YAML file of --robot, in the order of the controller')),
    'a third of the control rate': (bag(every_third), (
        "{path}: states are 24 ms apart, expected at most 1.5 control periods of 'walker2d', 12 "
        'ms; record them faster, or give another control_period in the YAML file of --robot')),
    'joint states without the base': (bag(states(no_base)), (
        "{path}: no joint states can be used, dropped: joints missing 41 (joint 'rootz' is "
        f'missing in the joint states, found {HINGES}); {NAME_JOINTS}')),
    'no odometry for the base': (
        bag(lambda messages: without(COMMANDS, '/clock', REWARD)(states(no_base)(messages)),
            options=('--odometry-joints', 'rootx=x', 'rootz=z', 'rooty=pitch')), (
            "{path}: no topic '/odometry', found /joint_states (sensor_msgs/msg/JointState); "
            'expected one of type nav_msgs/msg/Odometry; name it with --odometry TOPIC, or leave '
            'out --odometry-joints')),
    'wrong type of message': (bag(instead(STATES, lambda msg: String())), (
        "{path}: topic '/joint_states' is of type std_msgs/msg/String, expected "
        'sensor_msgs/msg/JointState; name it with --joint-states TOPIC')),
    'nothing was published': (bag(lambda messages: []), (
        '{path}: holds no message, expected joint states at least; was anything published while '
        'it was recorded?')),
    'empty MCAP': (damaged(cut_to(0)), f'{{path}}/walk.mcap: {EMPTY}'),
    'empty SQLite': (damaged(cut_to(0), storage='sqlite'), f'{{path}}/walk.db3: {EMPTY}'),
    'MCAP cut off before the first message': (damaged(cut_to(60)), (
        f'{{path}}: holds no message ({SAID}), expected joint states at least; copy it again, it '
        'was cut off before the first message')),
    'metadata without messages': (damaged(Path.unlink), (
        f'{{path}}: not readable ({SAID}), expected files that end in .mcap or .db3; put them '
        'beside metadata.yaml')),
    'SQLite with the name of an MCAP': (renamed, (
        '{path}/walk.mcap: is what a file that ends in .db3 holds, expected what one that ends in '
        '.mcap does; rename it, and delete metadata.yaml beside it')),
    'SQLite that is no recording': (database, (
        f'{{path}}: not readable as an SQLite file of ros2 bag ({SAID}), expected tables topics '
        'and messages; is it a copy of a whole file?')),
    'recording of ROS 1': (file('old.bag', b'#ROSBAG V2.0\n'), (
        f'{{path}}: is a recording of ROS 1, expected one of: {KINDS}; convert it with '
        'rosbags-convert --src {path} --dst old')),
    # LeRobot
    'LeRobot without actions': (lerobot_set(lambda columns: columns.pop('action')), (
        "{path}/data/chunk-000/file-000.parquet: column 'action' is missing, found "
        'observation.state, timestamp, frame_index, episode_index, index, task_index, '
        'next.reward, next.done; expected a file of LeRobot 2 or 3; convert the data set with the '
        'scripts of LeRobot')),
    'LeRobot with five torques': (lerobot_set(five_actions), (
        "{path}: column 'action' has 5 numbers in a frame, expected at least 6 as meta/info.json "
        'names them; mend the names')),
    'LeRobot with positions as actions': (lerobot_set(**lerobot.change_names(
        Robot.load('walker2d'), 'action', [f'{joint}.pos' for joint in HINGES.split(', ')])), (
        "{path}/meta/info.json: features: no effort of joint 'thigh_joint' in action, found "
        'thigh_joint.pos, leg_joint.pos, foot_joint.pos, thigh_left_joint.pos, '
        'leg_left_joint.pos, foot_left_joint.pos; expected an entry named thigh_joint.effort or '
        'thigh_joint.torque; mend the names there, or the joints in the YAML file of --robot')),
    'Parquet alone': (parquet_alone, (
        f'{{path}}: of no known format, expected one of: {KINDS}; convert it')),
    # HDF5
    'HDF5 cut off': (minari(n_bytes=3000), (
        f'{{path}}: not a readable HDF5 file ({SAID}), {COPY}')),
    'empty HDF5': (minari(n_bytes=0), f'{{path}}: not a readable HDF5 file, it is empty, {COPY}'),
    'Minari of another robot': (minari('hopper'), (
        "{path}: key '/episode_0/observations' has shape (31, 11), expected (n, 17); is it of "
        'another robot? Name its own with --robot')),
    'Minari without actions': (minari(actions=None), (
        "{path}: key '/episode_0/actions' is missing, found observations, rewards, terminations, "
        "truncations, expected Minari's layout or D4RL's; convert the file")),
    'Minari with a NaN': (minari(observations=a_nan()), (
        "{path}: key '/episode_0/observations' has 1 values that are not finite, expected none; "
        'leave out what was recorded while a sensor failed')),
    'Minari with torques in N m': (minari(actions=np.full((30, 6), 60.0)), (
        "{path}: the torque of joint 'thigh_joint' reaches 6000, expected at most 100 N m, its "
        'limit; is it in another unit? In recordings it is in N m, in data sets a share of that '
        'limit; or mend the limit in the YAML file of --robot')),
    'D4RL of another robot': (d4rl, (
        "{path}: key '/observations' has shape (30, 11), expected (n, 17); is it of another "
        'robot? Name its own with --robot')),
    'log of another robot': (log, (
        "{path}: is of robot 'hopper' with another layout or control period, expected those of "
        "'walker2d'; name its own robot with --robot")),
    # Other files
    'text': (file('notes.txt', b'it walked well today'), (
        f'{{path}}: of no known format, expected one of: {KINDS}; convert it')),
    'no file': (lambda folder: ('import', folder / 'none.mcap', ()), (
        f'{{path}}: no such file or folder, expected one of: {KINDS}; is the path right?')),
    # Layouts
    'layout with an unknown key': (layout('control_period:', 'control_rate:'), (
        f"{{folder}}/layout.yaml: key 'control_rate' is unknown, expected {LAYOUT_KEYS}; "
        f'{EXAMPLE}')),
    'layout with an unknown key of an entry': (layout('unit: m}', 'unit: m, gain: 2}'), (
        "{folder}/layout.yaml: key 'state[0].gain' is unknown, expected one of joint, quantity, "
        'unit, clip; mend or delete it')),
    'layout in degrees': (layout('unit: rad}', 'unit: deg}'), (
        "{folder}/layout.yaml: state[1].unit is 'deg', expected m or rad: all is in SI units")),
    'layout with a joint twice': (layout('joint: leg_joint', 'joint: thigh_joint'), (
        "{folder}/layout.yaml: state has two entries {{'joint': 'thigh_joint', 'quantity': "
        "'position'}}, expected one of them; delete the other one")),
    'layout that is no YAML': (layout('state:', 'state: ['), (
        f'{{folder}}/layout.yaml: not a readable YAML file ({SAID}), expected a mapping; '
        f'{EXAMPLE}')),
    # Models
    'MJCF that MuJoCo refuses': (model('box.xml', BOX), (
        f'{{path}}: MuJoCo does not load it ({SAID}), expected a model that compiles; mend what '
        'it names, and look with: python -m mujoco.viewer --mjcf={path}')),
    'URDF without effort limits': (model('arm.urdf', ARM), (
        '{path}: has no actuator, expected a motor at every joint that the planner is to drive: '
        'in MJCF <actuator><motor joint="..." gear="TORQUE LIMIT" ctrllimited="true" ctrlrange="'
        '-1 1"/></actuator>, in URDF <limit effort="TORQUE LIMIT" .../> in a joint')),
    'SDF as a model': (model('world.sdf', '<sdf/>'), (
        "{path}: the first element is 'sdf', expected MJCF, <mujoco>, or URDF, <robot>; convert "
        'it')),
}
# What may be wrong without loss: it is read as far as it goes, and the report says so.
READABLE = {
    'whole': lambda file: None,
    'metadata missing': lambda file: (file.parent / 'metadata.yaml').unlink(),
    'metadata of another storage': lambda file: (file.parent / 'metadata.yaml').write_text(
        (file.parent / 'metadata.yaml').read_text().replace('mcap', 'sqlite3', 1)),
    'metadata of nothing': lambda file: (file.parent / 'metadata.yaml').write_text('nothing'),
    'an empty file beside': lambda file: (file.parent / 'walk_1.mcap').touch(),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the files are, and the user."""
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    monkeypatch.setenv('DIFFUSION_PLANNER_ROBOTS', '')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(verb, path, options):
    return [verb, str(path), '--out', 'made-v0', *options]


def run(monkeypatch, verb, path, options):
    monkeypatch.setattr(sys, 'argv', ['diffusion_planner', *command(verb, path, options)])
    cli.main()


def is_expected(line, expected):
    """Return whether a line, which is one alone, says what is expected."""
    pattern = re.escape(f'diffusion_planner: {expected}').replace(re.escape(SAID), '.+')
    return re.fullmatch(pattern, line) is not None


def test_the_list_is_long_enough():
    assert len(WRONG) >= 20


@pytest.mark.parametrize('fault', WRONG)
def test_a_wrong_file_is_refused_in_one_line_and_nothing_is_written(folder, monkeypatch, capfd,
                                                                    fault):
    write, expected = WRONG[fault]
    verb, path, options = write(folder)
    before = sorted(folder.rglob('*'))
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, verb, path, options)
    line = end.value.code  # Python prints a text on standard error, and exits with 1
    assert is_expected(line, expected.format(path=path, folder=folder)), line
    output, bar = capfd.readouterr()
    assert output == ''
    assert bar.rpartition('\r')[2] == ''  # a bar of progress was taken away
    assert '\n' not in bar
    assert sorted(folder.rglob('*')) == before


@pytest.mark.parametrize('fault', READABLE)
def test_what_can_be_read_is_read(folder, monkeypatch, capsys, fault):
    verb, path, options = damaged(READABLE[fault])(folder)
    run(monkeypatch, verb, path, options)
    assert 'steps                  40' in capsys.readouterr().out.splitlines()
    shutil.rmtree(folder / 'made-v0')


def test_the_process_ends_with_1_and_one_line_on_standard_error(folder):
    write, expected = WRONG['positions in degrees']
    verb, path, options = write(folder)
    done = subprocess.run([sys.executable, '-m', cli.__name__, *command(verb, path, options)],
                          capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b'')
    assert done.stderr.count(b'\n') == 1, done.stderr
    # What a carriage return goes back over is a bar of progress, which was taken away.
    assert is_expected(done.stderr.decode().rstrip('\n').rpartition('\r')[2],
                       expected.format(path=path))
