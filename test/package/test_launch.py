# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The launch files and what they hand over, up to the command lines of the processes."""

from contextlib import contextmanager, ExitStack
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from paths import SOURCE
import pytest
from ros_processes import environment, observer, spin_until
from rosgraph_msgs.msg import Clock
import yaml

from diffusion_planner_ros.messages.odometry import AXES
from diffusion_planner_ros.messages.transports import TRANSPORTS, UDP
from diffusion_planner_ros.nodes.common.topics import CLOCK, DIAGNOSTICS
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.robots.robot_folder import robot_folder, urdf_file
from diffusion_planner_ros.share import share_file

PACKAGE = 'diffusion_planner_ros'
LAUNCH, CONFIG = SOURCE / 'launch', SOURCE / 'config'
TIME_LIMIT = 30.0  # [s]
COMMON = {'namespace', 'use_sim_time', 'params_file', 'log_level', 'autostart', 'bundle',
          'provider', 'record', 'mcap', 'view', 'realtime_priority', 'lock_memory'}
# Every package and executable that a launch file starts; here each is a stand-in.
EXECUTABLES = {
    PACKAGE: ('planner', 'mujoco_bridge', 'recorder', 'mcap_recorder', 'viewer'),
    'rviz2': ('rviz2',),
    'controller_manager': ('ros2_control_node', 'spawner'),
    'robot_state_publisher': ('robot_state_publisher',)}
STAND_IN = """#!{python}
# Writes down how it was started, and waits to be ended.
import json, os, pathlib, signal, sys
arguments = sys.argv[1:]
files = [pathlib.Path(b).read_text() for a, b in zip(arguments, arguments[1:])
         if a == '--params-file']
note = pathlib.Path('{folder}', f'{{pathlib.Path(sys.argv[0]).name}}.{{os.getpid()}}.json')
draft = note.with_suffix('.draft')
draft.write_text(json.dumps({{'arguments': arguments, 'files': files, 'pid': os.getpid(),
                             'transports': os.environ.get('{transports}')}}))
draft.rename(note)
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
while True:
    signal.pause()
"""
REAL = """#!{python}
from diffusion_planner_ros.nodes.__main__ import {name}
{name}()
"""
RUN = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService()
service.include_launch_description(IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]),
    launch_arguments=[a.split(':=') for a in sys.argv[2:]]))
sys.exit(service.run())
"""


WALKER, HARDWARE = {'mujoco_bridge', 'planner'}, {
    'robot_state_publisher', 'ros2_control_node', 'spawner', 'planner'}


def parameters(file):
    return yaml.safe_load((CONFIG / file).read_text())


@pytest.fixture(scope='module')
def robot():
    return Bundle.load(share_file('models/walker2d')).robot


# Without launch


def test_the_effort_controller_takes_torques_in_the_order_of_the_bundle(robot):
    controller = parameters('ros2_control.yaml')['/**/effort_controller']['ros__parameters']
    assert controller == {'joints': [e.joint for e in robot.action], 'interface_name': 'effort'}


def test_the_controllers_are_those_of_ros2_controllers():
    manager = parameters('ros2_control.yaml')['/**/controller_manager']['ros__parameters']
    types = {name: value['type'] for name, value in manager.items() if isinstance(value, dict)}
    assert types == {
        'joint_state_broadcaster': 'joint_state_broadcaster/JointStateBroadcaster',
        'effort_controller': 'forward_command_controller/ForwardCommandController'}
    assert manager['enforce_command_limits'] is True


def test_the_controllers_run_at_a_multiple_of_the_control_rate(robot):
    manager = parameters('ros2_control.yaml')['/**/controller_manager']['ros__parameters']
    rate = manager['update_rate']
    assert rate * robot.control_period == round(rate * robot.control_period) >= 1


def test_on_hardware_a_person_starts_a_weak_planner():
    settings = parameters('hardware.yaml')['/**/planner']['ros__parameters']
    assert settings['autostart'] is False
    assert 0 < settings['torque_scale'] <= 0.1
    assert settings['ramp_time'] >= 1.0


def test_on_hardware_odometry_measures_what_no_motor_does(robot):
    texts = parameters('hardware.yaml')['/**/planner']['ros__parameters']['odometry_joints']
    joints, axes = zip(*(text.split('=') for text in texts), strict=True)
    assert {*joints, *(e.joint for e in robot.action)} == {e.joint for e in robot.state}
    assert {axis.removeprefix('-') for axis in axes} <= set(AXES)


# With launch


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An install prefix with our launch files and stand-ins for every executable."""
    # Our own folder `launch` can pass for the package, but has no `actions`.
    pytest.importorskip('launch.actions', reason='launch is not installed; it comes with ROS 2')
    pytest.importorskip('launch_ros', reason='launch_ros is not installed; it comes with ROS 2')
    prefix = tmp_path / 'install'
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    for package, names in EXECUTABLES.items():
        (index / package).touch()
        for name in names:
            script(prefix / 'lib' / package / name, STAND_IN.format(
                python=sys.executable, folder=tmp_path, code=1, transports=TRANSPORTS))
    for folder in (LAUNCH, CONFIG):
        shutil.copytree(folder, prefix / 'share' / PACKAGE / folder.name)
    script(tmp_path / 'bin' / 'xacro', '#!/bin/sh\nexec cat "$1"\n')
    (tmp_path / 'my robot.urdf').write_text('<robot name="walker"/>')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    monkeypatch.setenv('PATH', f'{tmp_path / "bin"}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    return prefix


def script(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def wait_for(condition, what, process, log):
    deadline = time.monotonic() + TIME_LIMIT
    while not condition():
        is_alive = time.monotonic() < deadline and process.poll() is None
        assert is_alive, f'{what} did not happen\n{log.read_text()}'
        time.sleep(0.05)


@contextmanager
def launch_process(prefix, file, *arguments, log='launch.log', env=None):
    """Launch a file in a session of its own, and end it as Ctrl-C does."""
    folder = prefix.parent
    with (folder / log).open('wb') as out:
        process = subprocess.Popen(
            [sys.executable, '-c', RUN, str(prefix / 'share' / PACKAGE / 'launch' / file),
             *arguments], cwd=folder, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True, env=env)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(TIME_LIMIT)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def launched(prefix, file, expected, *arguments):
    """Launch a file; give how each stand-in was started, and the launch process."""
    folder = prefix.parent
    with launch_process(prefix, file, *arguments) as process:
        wait_for(lambda: {name for name, _ in notes_of(prefix)} >= expected,
                 'the start of all processes', process, folder / 'launch.log')
        yield dict(notes_of(prefix)), process


def notes_of(prefix):
    """Return name and note of every stand-in that was started."""
    return [(file.name.partition('.')[0], json.loads(file.read_text()))
            for file in prefix.parent.glob('*.json')]


def launch_to_the_end(prefix, file, *arguments):
    """Launch a file that cannot start; return exit code and output."""
    with launch_process(prefix, file, *arguments) as process:
        return process.wait(TIME_LIMIT), log_of(prefix)


def log_of(prefix):
    return (prefix.parent / 'launch.log').read_text()


def uninstall(prefix, package):
    (prefix / 'share/ament_index/resource_index/packages' / package).unlink()


def handed_over(started):
    """Return the parameters of all files that a process was given, later ones first in rank."""
    merged = {}
    for text in started['files']:
        for node in yaml.load(text, yaml.FullLoader).values():  # launch writes lists as tuples
            merged.update(node['ros__parameters'])
    return merged


@pytest.mark.parametrize(('file', 'arguments', 'required'), [
    ('hardware.launch.py', {*COMMON, 'urdf', 'controllers', 'odometry', 'clock'}, {'urdf'}),
    ('simulation.launch.py', {*COMMON, 'robot', 'robots', 'lockstep', 'real_time_factor', 'rviz',
                              'robot_state_publisher'}, set()),
])
def test_a_launch_file_says_what_it_takes(prefix, file, arguments, required):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    description = get_launch_description_from_python_launch_file(str(LAUNCH / file))
    declared = {a.name: a for a in description.get_launch_arguments()}
    assert arguments == set(declared)
    assert all(a.description for a in declared.values())
    assert {name for name, a in declared.items() if a.default_value is None} == required
    page = (SOURCE / 'docs' / 'reference' / 'ros.md').read_text()
    assert {name for name in declared if f'`{name}`' not in page} == set()


def test_hardware_starts_drives_controllers_and_planner_and_hands_over_their_parameters(prefix):
    urdf = prefix.parent / 'my robot.urdf'
    config = prefix / 'share' / PACKAGE / 'config'
    with launched(prefix, 'hardware.launch.py', HARDWARE, f'urdf:={urdf}', 'bundle:=/a/bundle',
                  'odometry:=/estimator/odom') as (started, _):
        assert set(started) == HARDWARE
        description = handed_over(started['robot_state_publisher'])['robot_description']
        assert description == urdf.read_text()
        assert str(config / 'ros2_control.yaml') in started['ros2_control_node']['arguments']
        spawner = started['spawner']['arguments']
        assert spawner[:4] == ['joint_state_broadcaster', 'effort_controller', '--param-file',
                               str(config / 'ros2_control.yaml')]
        planner = handed_over(started['planner'])
        assert planner['bundle'] == '/a/bundle'
        settings = parameters('hardware.yaml')['/**/planner']['ros__parameters']
        assert planner.items() >= settings.items()
        assert 'odometry:=/estimator/odom' in started['planner']['arguments']
        assert started['ros2_control_node']['transports'] == UDP


def test_who_has_chosen_transports_keeps_them(prefix, monkeypatch):
    monkeypatch.setenv(TRANSPORTS, 'SHM')
    with launched(prefix, 'hardware.launch.py', HARDWARE, f'urdf:={prefix.parent}/my robot.urdf'
                  ) as (started, _):
        assert {note['transports'] for note in started.values()} == {'SHM'}


@pytest.mark.parametrize('name', ['planner', 'ros2_control_node'])
def test_when_one_goes_the_drives_go_with_it(prefix, name):
    urdf = prefix.parent / 'my robot.urdf'
    with launched(prefix, 'hardware.launch.py', HARDWARE, f'urdf:={urdf}') as (started, process):
        os.kill(started[name]['pid'], signal.SIGTERM)
        process.wait(TIME_LIMIT)


def test_hardware_is_recorded_where_that_is_asked_for(prefix):
    urdf = prefix.parent / 'my robot.urdf'
    with launched(prefix, 'hardware.launch.py', {'recorder', 'mcap_recorder', 'planner'},
                  f'urdf:={urdf}', 'bundle:=/a/bundle', 'record:=/a/log.hdf5',
                  'mcap:=/a/run.mcap', 'odometry:=/estimator/odom') as (started, _):
        settings = parameters('hardware.yaml')['/**/recorder']['ros__parameters']
        recorder = handed_over(started['recorder'])
        assert recorder.items() >= {**settings, 'file': '/a/log.hdf5',
                                    'bundle': '/a/bundle'}.items()
        assert handed_over(started['mcap_recorder']) == {'file': '/a/run.mcap',
                                                         'use_sim_time': False}
        for name in ('recorder', 'mcap_recorder'):
            assert 'odometry:=/estimator/odom' in started[name]['arguments']


def test_the_simulated_robot_is_recorded_where_that_is_asked_for(prefix):
    with launched(prefix, 'simulation.launch.py',
                  {'mujoco_bridge', 'planner', 'recorder', 'mcap_recorder'},
                  'record:=/a/log.hdf5', 'mcap:=/a/run.mcap') as (started, _):
        assert handed_over(started['recorder']) == {'file': '/a/log.hdf5'}
        assert handed_over(started['mcap_recorder']) == {'file': '/a/run.mcap',
                                                         'use_sim_time': True}


def test_the_page_is_served_where_that_is_asked_for(prefix):
    with launched(prefix, 'simulation.launch.py', {*WALKER, 'viewer'}, 'view:=true') as (
            started, _):
        assert handed_over(started['viewer']) == {}  # its defaults


def test_the_simulated_robot_starts_with_its_planner(prefix):
    with launched(prefix, 'simulation.launch.py', WALKER, 'lockstep:=true',
                  'realtime_priority:=10', 'lock_memory:=true') as (started, _):
        assert {'recorder', 'mcap_recorder'}.isdisjoint(started)
        bridge = handed_over(started['mujoco_bridge'])
        assert (bridge['lockstep'], bridge['robot']) == (True, 'walker2d')
        planner = handed_over(started['planner'])
        assert planner['lockstep'] is planner['use_sim_time'] is True
        for name in WALKER:
            assert handed_over(started[name])['realtime_priority'] == 10
            assert handed_over(started[name])['lock_memory'] is True


def test_the_robot_that_is_named_is_simulated_with_its_urdf_and_the_bundle_that_is_given(prefix):
    own = shutil.copytree(robot_folder('hopper'), prefix.parent / 'my_hopper')
    layout = (own / 'layout.yaml').read_text().replace('name: hopper', 'name: my_hopper')
    (own / 'layout.yaml').write_text(layout)
    with launched(prefix, 'simulation.launch.py', {*WALKER, 'robot_state_publisher'},
                  f'robot:={own}', 'bundle:=/a/bundle') as (started, _):
        assert handed_over(started['mujoco_bridge'])['robot'] == 'my_hopper'
        assert handed_over(started['planner'])['bundle'] == '/a/bundle'
        description = handed_over(started['robot_state_publisher'])['robot_description']
        assert description == urdf_file('hopper').read_text()


def test_an_argument_that_is_not_given_leaves_it_to_the_parameter_file(prefix):
    file = prefix.parent / 'mine.yaml'
    mine = {'bundle': '/my/bundle', 'provider': 'auto', 'autostart': False, 'n_candidates': 4}
    file.write_text(yaml.safe_dump({'/**/planner': {'ros__parameters': mine}}))
    with launched(prefix, 'simulation.launch.py', WALKER, 'params_file:=mine.yaml',
                  'provider:=cuda') as (started, _):
        planner = handed_over(started['planner'])
        assert planner.items() >= {**mine, 'provider': 'cuda', 'use_sim_time': True}.items()
        shipped = parameters('planner.yaml')['/**/planner']['ros__parameters']
        assert planner['ramp_time'] == shipped['ramp_time']


def test_a_person_s_parameters_do_not_make_hardware_start_by_itself(prefix):
    urdf = prefix.parent / 'my robot.urdf'
    with launched(prefix, 'hardware.launch.py', HARDWARE, f'urdf:={urdf}',
                  'params_file:=planner.yaml', 'controllers:=ros2_control.yaml') as (started, _):
        planner = handed_over(started['planner'])
        assert planner['autostart'] is False
        assert planner['ramp_time'] == 0.0


def test_autostart_use_sim_time_and_log_level_reach_the_nodes(prefix):
    urdf = prefix.parent / 'my robot.urdf'
    with launched(prefix, 'hardware.launch.py', HARDWARE, f'urdf:={urdf}', 'autostart:=true',
                  'use_sim_time:=true', 'log_level:=debug') as (started, _):
        planner = handed_over(started['planner'])
        assert planner['autostart'] is planner['use_sim_time'] is True
        arguments = started['planner']['arguments']
        assert arguments[arguments.index('--log-level') + 1] == 'debug'


@pytest.mark.parametrize(('file', 'names'), [
    ('simulation.launch.py', {'planner', 'mujoco_bridge', 'recorder', 'rviz2',
                              'robot_state_publisher'}),
    ('hardware.launch.py', {'planner', 'recorder', 'ros2_control_node', 'spawner',
                            'robot_state_publisher'}),
])
def test_every_node_gets_the_namespace_with_a_clock_and_frames_of_its_own(prefix, file, names):
    urdf = ['urdf:=my robot.urdf'] if file == 'hardware.launch.py' else []
    with launched(prefix, file, names, *urdf, 'namespace:=robot1', 'record:=log.hdf5'
                  ) as (started, _):
        assert set(started) == names
        for each in started.values():
            assert {'__ns:=/robot1', '/clock:=clock', '/tf:=tf', '/tf_static:=tf_static'
                    } <= set(each['arguments'])


def test_robots_of_one_simulator_share_its_clock_where_that_is_asked_for(prefix):
    with launched(prefix, 'hardware.launch.py', HARDWARE, 'urdf:=my robot.urdf',
                  'namespace:=robot1', 'use_sim_time:=true', 'clock:=/clock') as (started, _):
        for each in started.values():
            assert {'/clock:=/clock', '/tf:=tf'} <= set(each['arguments'])


def test_several_robots_have_namespaces_seeds_and_records_of_their_own_and_one_planner(prefix):
    with launched(prefix, 'simulation.launch.py', {*WALKER, 'recorder'}, 'namespace:=hall',
                  'robots:=2', 'record:=/a/log.hdf5') as (_, process):
        robots = ['robot1', 'robot2']
        spectators = ('rviz2', 'robot_state_publisher')
        expected = {('planner', '/hall'), *(
            (name, f'/hall/{robot}') for robot in robots
            for name in ('mujoco_bridge', 'recorder', *spectators))}
        wait_for(lambda: len(notes_of(prefix)) == len(expected),
                 'the start of all', process, prefix.parent / 'launch.log')
        settings = {}
        for name, note in notes_of(prefix):
            namespace, = (a.removeprefix('__ns:=') for a in note['arguments'] if '__ns' in a)
            settings[name, namespace] = handed_over(note)
            assert '/clock:=clock' in note['arguments']
    assert set(settings) == expected
    assert list(settings['planner', '/hall']['robots']) == robots
    for seed, robot in enumerate(robots):
        assert settings['mujoco_bridge', f'/hall/{robot}']['seed'] == seed
        assert settings['recorder', f'/hall/{robot}']['file'] == f'/a/log_{robot}.hdf5'


def test_rviz_shows_the_robot_of_its_own_namespace():
    topics = re.findall(r'^ +Value: (\S*(?:planner|description)\S*)$',
                        (CONFIG / 'simulation.rviz').read_text(), re.MULTILINE)
    assert set(topics) == {'robot_description', 'planner/markers', 'planner/denoising',
                           'planner/plan_path'}


@pytest.mark.parametrize(('file', 'argument', 'reason'), [
    ('simulation.launch.py', 'lockstep:=maybe', r'"lockstep" provided value "maybe".*true.*false'),
    ('simulation.launch.py', 'use_sim_time:=1', r'"use_sim_time" provided value "1".*true.*false'),
    ('simulation.launch.py', 'real_time_factor:=fast',
     "real_time_factor is 'fast', expected a number above 0"),
    ('simulation.launch.py', 'robots:=0', "robots is '0', expected an integer above 0"),
    ('simulation.launch.py', 'params_file:=mine.yaml',
     r"params_file is 'mine.yaml', expected a file that is there, or one of hardware.yaml, "),
    ('simulation.launch.py', 'namespace:=robot-1', 'robot-1'),
    ('simulation.launch.py', 'robot:=r2d2',
     "no robot 'r2d2': expected one of half_cheetah, hopper"),
    ('simulation.launch.py', 'robot:=/nowhere/r2d2', '/nowhere/r2d2: no layout.yaml in it'),
    ('hardware.launch.py', 'controllers:=mine.yaml', "controllers is 'mine.yaml', expected"),
    ('hardware.launch.py', 'log_level:=loud', r'"log_level" provided value "loud".*debug'),
])
def test_a_wrong_argument_is_named_and_nothing_starts(prefix, file, argument, reason):
    code, output = launch_to_the_end(prefix, file, 'urdf:=my robot.urdf', argument)
    assert code == 1
    assert re.search(reason, output)
    assert 'process started' not in output


@pytest.mark.parametrize(('package', 'argument'), [('rviz2', 'rviz'),
                                                   ('robot_state_publisher',) * 2])
def test_a_spectator_that_is_not_installed_is_said_in_one_line(prefix, package, argument):
    uninstall(prefix, package)
    line = f'{package} is not installed: sudo apt install ros-.*-{package.replace("_", "-")}'
    with launched(prefix, 'simulation.launch.py', WALKER) as (started, process):
        assert package not in started
        assert len(re.findall(f'{line}; starting without it', log_of(prefix))) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(TIME_LIMIT) == 0
    code, output = launch_to_the_end(prefix, 'simulation.launch.py', f'{argument}:=true')
    assert code == 1
    assert re.search(f"{argument} is 'true', but {line}", output)
    assert 'process started' not in output


@pytest.mark.parametrize('package', ['robot_state_publisher', 'controller_manager'])
def test_hardware_starts_nothing_without_what_it_needs(prefix, package):
    uninstall(prefix, package)
    code, output = launch_to_the_end(prefix, 'hardware.launch.py', 'urdf:=my robot.urdf')
    assert code == 1
    assert f'{package} is not installed: sudo apt install' in output
    assert 'process started' not in output


@pytest.mark.parametrize('name', ['planner', 'mujoco_bridge'])
def test_a_launch_fails_when_a_node_dies_that_it_needs(prefix, name):
    with launched(prefix, 'simulation.launch.py', WALKER) as (started, process):
        os.kill(started[name]['pid'], signal.SIGKILL)
        assert process.wait(TIME_LIMIT) == 1
        assert re.search(rf'{name}-\d ended with exit code -9', log_of(prefix))


def test_a_launch_that_is_interrupted_ends_with_exit_code_0(prefix):
    with launched(prefix, 'simulation.launch.py', WALKER) as (_, process):
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(TIME_LIMIT) == 0


# With the real nodes


def test_two_robots_of_one_launch_walk_each_in_its_namespace(tmp_path, prefix):
    for name in EXECUTABLES[PACKAGE]:
        script(prefix / 'lib' / PACKAGE / name, REAL.format(python=sys.executable, name=name))
    for package in ('rviz2', 'robot_state_publisher'):
        uninstall(prefix, package)
    reports, clocks = {}, {'robot1': [], 'robot2': []}

    def collect(msg):
        for status in msg.status:
            facts = {v.key: v.value for v in status.values}
            reports[status.name] = status.hardware_id, facts

    def both_walk():
        return len(reports) == 4 and all(
            reports[f'{robot}/planner'][1]['state'] == 'planning'
            and int(reports[f'{robot}/mujoco_bridge'][1]['total_steps']) > 100
            for robot in clocks)

    with ExitStack() as stack:
        node = stack.enter_context(observer())
        for robot, clock in clocks.items():
            node.create_subscription(Clock, f'{robot}/clock', clock.append, 10)
        stack.enter_context(launch_process(
            prefix, 'simulation.launch.py', 'robots:=2', 'lockstep:=true', env=environment()))
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.path, collect, 10)
        spin_until(node, both_walk, 'two walking robots')
        assert {name: hardware for name, (hardware, _) in reports.items()} == {
            f'{robot}/{name}': f'{robot}/walker2d'
            for robot in clocks for name in ('planner', 'mujoco_bridge')}
        assert all(clocks.values())
        assert node.count_publishers(CLOCK.path) == node.count_publishers('/joint_states') == 0
        for robot in clocks:
            assert node.count_publishers(f'/{robot}/clock') == 1
            assert node.count_publishers(f'/{robot}/effort_controller/commands') == 1
