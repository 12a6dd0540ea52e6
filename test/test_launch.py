"""The launch files and what they hand over, up to the command lines of the processes."""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from diffusion_planner_ros.nodes.odometry import AXES
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.share import share_file

PACKAGE = 'diffusion_planner_ros'
SOURCE = Path(__file__).resolve().parents[1]
LAUNCH, CONFIG = SOURCE / 'launch', SOURCE / 'config'
TIME_LIMIT = 30.0  # [s]
# Every package and executable that a launch file starts; here each is a stand-in.
EXECUTABLES = {
    PACKAGE: ('planner', 'mujoco_bridge', 'recorder'), 'rviz2': ('rviz2',),
    'controller_manager': ('ros2_control_node', 'spawner'),
    'robot_state_publisher': ('robot_state_publisher',)}
STAND_IN = """#!{python}
# Writes down how it was started, and waits to be ended.
import json, os, pathlib, signal, sys
arguments = sys.argv[1:]
files = [pathlib.Path(b).read_text() for a, b in zip(arguments, arguments[1:])
         if a == '--params-file']
note = pathlib.Path('{folder}', pathlib.Path(sys.argv[0]).name + '.json')
draft = note.with_suffix('.draft')
draft.write_text(json.dumps({{'arguments': arguments, 'files': files, 'pid': os.getpid()}}))
draft.rename(note)
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
signal.signal(signal.SIGTERM, lambda *_: sys.exit({code}))
while True:
    signal.pause()
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


def parameters(file):
    return yaml.safe_load((CONFIG / file).read_text())


@pytest.fixture(scope='module')
def robot():
    return Bundle.load(share_file('models/walker2d')).robot


# Without launch


def test_the_effort_controller_takes_torques_in_the_order_of_the_bundle(robot):
    controller = parameters('ros2_control.yaml')['effort_controller']['ros__parameters']
    assert controller == {'joints': [e.joint for e in robot.action], 'interface_name': 'effort'}


def test_the_controllers_are_those_of_ros2_controllers():
    manager = parameters('ros2_control.yaml')['controller_manager']['ros__parameters']
    types = {name: value['type'] for name, value in manager.items() if isinstance(value, dict)}
    assert types == {
        'joint_state_broadcaster': 'joint_state_broadcaster/JointStateBroadcaster',
        'effort_controller': 'forward_command_controller/ForwardCommandController'}
    assert manager['enforce_command_limits'] is True


def test_the_controllers_run_at_a_multiple_of_the_control_rate(robot):
    rate = parameters('ros2_control.yaml')['controller_manager']['ros__parameters']['update_rate']
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
                python=sys.executable, folder=tmp_path, code=1))
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
def launched(prefix, file, expected, *arguments):
    """Launch a file; give how each stand-in was started, and the launch process."""
    folder = prefix.parent
    log = folder / 'launch.log'
    with log.open('wb') as out:
        process = subprocess.Popen(
            [sys.executable, '-c', RUN, str(prefix / 'share' / PACKAGE / 'launch' / file),
             *arguments], cwd=folder, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True)
    try:
        wait_for(lambda: {f.stem for f in folder.glob('*.json')} >= expected,
                 'the start of all processes', process, log)
        yield {f.stem: json.loads(f.read_text()) for f in folder.glob('*.json')}, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        try:
            process.wait(TIME_LIMIT)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


def handed_over(started):
    """Return the parameters of all files that a process was given, later ones first in rank."""
    merged = {}
    for text in started['files']:
        for node in yaml.safe_load(text).values():
            merged.update(node['ros__parameters'])
    return merged


@pytest.mark.parametrize(('file', 'arguments', 'required'), [
    ('hardware.launch.py', {'urdf', 'controllers', 'settings', 'bundle', 'provider', 'odometry',
                            'record'}, {'urdf'}),
    ('walker2d.launch.py', {'bundle', 'provider', 'lockstep', 'real_time_factor', 'rviz',
                            'record'}, set()),
])
def test_a_launch_file_says_what_it_takes(prefix, file, arguments, required):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    description = get_launch_description_from_python_launch_file(str(LAUNCH / file))
    declared = {a.name: a for a in description.get_launch_arguments()}
    assert arguments <= set(declared)
    assert all(a.description for a in declared.values())
    assert {name for name, a in declared.items() if a.default_value is None} == required


def test_hardware_starts_drives_controllers_and_planner_and_hands_over_their_parameters(prefix):
    urdf = prefix.parent / 'my robot.urdf'
    expected = {'robot_state_publisher', 'ros2_control_node', 'spawner', 'planner'}
    config = prefix / 'share' / PACKAGE / 'config'
    with launched(prefix, 'hardware.launch.py', expected, f'urdf:={urdf}', 'bundle:=/a/bundle',
                  'odometry:=/estimator/odom') as (started, _):
        assert set(started) == expected
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


@pytest.mark.parametrize('name', ['planner', 'ros2_control_node'])
def test_when_one_goes_the_drives_go_with_it(prefix, name):
    urdf = prefix.parent / 'my robot.urdf'
    expected = {'robot_state_publisher', 'ros2_control_node', 'spawner', 'planner'}
    with launched(prefix, 'hardware.launch.py', expected, f'urdf:={urdf}') as (started, process):
        os.kill(started[name]['pid'], signal.SIGTERM)
        process.wait(TIME_LIMIT)


def test_hardware_is_recorded_where_that_is_asked_for(prefix):
    urdf = prefix.parent / 'my robot.urdf'
    with launched(prefix, 'hardware.launch.py', {'recorder', 'planner'}, f'urdf:={urdf}',
                  'bundle:=/a/bundle', 'record:=/a/log.hdf5', 'odometry:=/estimator/odom'
                  ) as (started, _):
        settings = parameters('hardware.yaml')['/**/recorder']['ros__parameters']
        recorder = handed_over(started['recorder'])
        assert recorder.items() >= {**settings, 'file': '/a/log.hdf5',
                                    'bundle': '/a/bundle'}.items()
        assert 'odometry:=/estimator/odom' in started['recorder']['arguments']


def test_the_simulated_robot_is_recorded_where_that_is_asked_for(prefix):
    with launched(prefix, 'walker2d.launch.py', {'mujoco_bridge', 'planner', 'recorder'},
                  'record:=/a/log.hdf5') as (started, _):
        assert handed_over(started['recorder']) == {'file': '/a/log.hdf5', 'bundle': ''}


def test_the_simulated_robot_starts_with_its_planner(prefix):
    with launched(prefix, 'walker2d.launch.py', {'mujoco_bridge', 'planner'},
                  'lockstep:=true') as (started, _):
        assert 'recorder' not in started
        assert handed_over(started['mujoco_bridge'])['lockstep'] is True
        planner = handed_over(started['planner'])
        assert planner['lockstep'] is planner['use_sim_time'] is True
