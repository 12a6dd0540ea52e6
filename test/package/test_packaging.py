# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What colcon installs, and that it runs from there without the source tree."""

import ast
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
import os
from pathlib import Path
import runpy
import signal
import subprocess
import sys
from xml.etree import ElementTree

from diagnostic_msgs.msg import DiagnosticArray
from paths import SOURCE
import pytest
from ros_processes import environment, observer, spin_until, STOP_TIME
import setuptools

from diffusion_planner_ros.nodes.common.diagnostics import facts_from_msg
from diffusion_planner_ros.nodes.common.topics import DIAGNOSTICS

PACKAGE = 'diffusion_planner_ros'
SHARED = ('launch', 'config', 'models')
BUILD_TIME = 60.0  # [s] for colcon; it takes 3 s on an idle machine
COLCON = 'import sys; from colcon_core.command import main; sys.exit(main())'
# Python modules whose ROS packages have other names
ROSDEP_KEYS = {'h5py': 'python3-h5py', 'numpy': 'python3-numpy', 'yaml': 'python3-yaml'}


def build(folder, *options):
    """Build the package as in a workspace; return the prefix that it is installed to."""
    done = subprocess.run(
        [sys.executable, '-c', COLCON, '--log-base', str(folder / 'log'), 'build',
         '--paths', str(SOURCE), '--build-base', str(folder / 'build'),
         '--install-base', str(folder / 'install'), *options],
        cwd=folder, env={**os.environ, 'COLCON_HOME': str(folder)}, timeout=BUILD_TIME,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    # colcon would add a missing index marker or package.xml by itself; pip would not
    assert 'implicitly' not in done.stdout, done.stdout
    return folder / 'install' / PACKAGE


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    if find_spec('colcon_core') is None or find_spec('colcon_ros') is None:
        pytest.skip('colcon is not installed; pip install colcon-common-extensions')
    return build(tmp_path_factory.mktemp('workspace'))


@pytest.fixture(scope='module')
def setup_arguments():
    """What setup.py hands to setuptools."""
    handed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(SOURCE)
        patch.setattr(setuptools, 'setup', lambda **arguments: handed.update(arguments))
        runpy.run_path('setup.py')
    return handed


@pytest.fixture(scope='module')
def manifest():
    return ElementTree.parse(SOURCE / 'package.xml').getroot()


def files_below(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob('*')
            if f.is_file() and '__pycache__' not in f.parts}


class InstalledNode:
    """A node started from the install space as ``ros2 launch`` starts it, and what it printed."""

    def __init__(self, prefix, setup_file, name, folder, *arguments):
        self._log = folder / f'{name}.log'
        command = f'. "{setup_file}" && exec "{prefix}/lib/{PACKAGE}/{name}" "$@"'
        env = {k: v for k, v in environment().items()
               if k not in ('PYTHONPATH', 'AMENT_PREFIX_PATH', 'COLCON_PREFIX_PATH')}
        with self._log.open('wb') as log:
            self.process = subprocess.Popen(
                ['bash', '-c', command, name, '--ros-args', *arguments], cwd=folder, env=env,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def output(self):
        return self._log.read_text()

    def stop(self):
        """End the node as Ctrl-C does and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_TIME)

    def has_left_a_process(self):
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


@contextmanager
def installed_node(*arguments):
    node = InstalledNode(*arguments)
    try:
        yield node
    finally:
        if node.has_left_a_process():
            os.killpg(node.process.pid, signal.SIGKILL)
        node.process.wait()


def test_colcon_installs_the_shared_files_unchanged(prefix):
    share = prefix / 'share' / PACKAGE
    for folder in SHARED:
        assert files_below(SOURCE / folder)
        assert files_below(share / folder) == files_below(SOURCE / folder)
    assert (share / 'package.xml').read_bytes() == (SOURCE / 'package.xml').read_bytes()
    assert {'simulation.launch.py', 'planner.yaml', 'mujoco_bridge.yaml', 'model.yaml'
            } <= {f.name for f in share.rglob('*')}


def test_colcon_installs_the_robots_beside_the_code(prefix):
    installed, = prefix.rglob(f'{PACKAGE}/robots')
    assert files_below(installed) == files_below(SOURCE / PACKAGE / 'robots')
    assert {'hopper/task.yaml', 'hopper/layout.yaml', 'hopper/robot.urdf'} <= set(
        files_below(installed))
    assert (installed.parent / 'experiments' / 'reports' / 'page.html').is_file()


def test_the_ament_index_finds_the_installed_package(prefix, monkeypatch):
    packages = pytest.importorskip('ament_index_python.packages')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    assert packages.get_package_share_directory(PACKAGE) == str(prefix / 'share' / PACKAGE)


def test_every_command_is_where_ros2_run_looks_for_it(prefix, setup_arguments):
    commands = {line.split(' = ')[0] for line in setup_arguments['entry_points']
                ['console_scripts']}
    scripts = [f for f in (prefix / 'lib' / PACKAGE).iterdir() if os.access(f, os.X_OK)]
    assert {f.name for f in scripts} == commands == {'diffusion_planner', 'planner',
                                                     'mujoco_bridge', 'recorder',
                                                     'mcap_recorder', 'viewer'}
    for script in scripts:
        interpreter = script.read_text().splitlines()[0].removeprefix('#!')
        assert Path(interpreter).parent.samefile(Path(sys.executable).parent)


def test_ros2_run_finds_the_command_line_that_is_not_on_the_path(prefix, tmp_path, monkeypatch):
    pytest.importorskip('ros2run', reason='ros2run is not installed; it comes with ROS 2')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    assert not (prefix / 'bin').exists()
    ros2 = 'import sys; from ros2cli.cli import main; sys.exit(main())'
    command = f'. "{prefix.parent}/setup.bash" && exec "{sys.executable}" -c "{ros2}" "$@"'
    done = subprocess.run(
        ['bash', '-c', command, 'ros2', 'run', PACKAGE, 'diffusion_planner', 'info'],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f'{prefix}/share/{PACKAGE}/models/walker2d' in done.stdout


def test_the_installed_planner_walks_the_installed_robot_and_both_end_cleanly(prefix, tmp_path):
    setup_file = prefix.parent / 'setup.bash'
    lockstep = ('-p', 'lockstep:=true')
    reports = {}

    def collect(msg):
        for name in ('planner', 'mujoco_bridge'):
            if (report := facts_from_msg(msg, name)) is not None:
                reports[name] = report

    def walks():
        return ('planner' in reports and reports['planner']['state'] == 'planning'
                and int(reports.get('mujoco_bridge', {'steps': 0})['steps']) > 0)

    with (observer() as node,
          installed_node(prefix, setup_file, 'mujoco_bridge', tmp_path, *lockstep) as bridge,
          installed_node(prefix, setup_file, 'planner', tmp_path, *lockstep,
                         '-p', 'use_sim_time:=true') as planner):
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.path, collect, 10)
        spin_until(node, walks, 'a step of the planned walk', planner)
        assert Path(reports['planner']['bundle']).is_relative_to(prefix / 'share' / PACKAGE)
        for process in (planner, bridge):
            assert process.stop() == 0, process.output
            assert not process.has_left_a_process()


def test_a_linked_install_runs_the_source(prefix, tmp_path):
    linked = build(tmp_path, '--symlink-install')
    command = f'. "{linked.parent}/setup.bash" && exec "{linked}/lib/{PACKAGE}/diffusion_planner"'
    done = subprocess.run(['bash', '-c', f'{command} info'], cwd=tmp_path, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f'{SOURCE}/models/walker2d' in done.stdout


def test_package_xml_and_setup_agree(manifest, setup_arguments):
    for field in ('name', 'version', 'license', 'description', 'maintainer'):
        assert manifest.findtext(field) == setup_arguments[field]
    assert manifest.find('maintainer').get('email') == setup_arguments['maintainer_email']
    assert manifest.findtext('export/build_type') == 'ament_python'


def test_the_changelog_names_the_version(setup_arguments):
    assert setup_arguments['version'] in (SOURCE / 'CHANGELOG.rst').read_text()


def test_every_entry_point_imports(setup_arguments):
    for line in setup_arguments['entry_points']['console_scripts']:
        module, function = line.split(' = ')[1].split(':')
        assert callable(getattr(import_module(module), function))


def test_every_package_that_nodes_and_launch_files_import_is_declared(manifest):
    imported = set()
    folder = SOURCE / PACKAGE
    for file in (*(folder / 'nodes').glob('*.py'), folder / 'launching.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split('.')[0])
    needed = {ROSDEP_KEYS.get(name, name) for name in imported - sys.stdlib_module_names}
    assert 'rclpy' in needed
    assert needed <= {d.text for d in manifest.iter('exec_depend')}
