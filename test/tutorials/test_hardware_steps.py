# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The tutorial "On hardware": its lines, step by step, on a bench that plays the drives."""

from hardware_driver import driver_process
from lifecycle import Health
import numpy as np
from paths import SOURCE
import pytest
from ros2_line import Ros2Line
from ros_processes import observer, running, spin_for, spin_until
from std_msgs.msg import Float64MultiArray
from tutorial import Tutorial
import yaml

from diffusion_planner_ros.nodes.common.topics import COMMANDS

CONFIG = SOURCE / 'config'
SETTINGS = yaml.safe_load((CONFIG / 'hardware.yaml').read_text())['/**/planner']['ros__parameters']
# This machine may be busy, and a robot that hangs does not do what the model predicts.
PATIENT = {'max_state_age': 10.0, 'max_plan_gap': 10.0, 'max_odometry_gap': 0.5,
           'ramp_time': 0.1, 'stop_duration': 0.1, 'ood_stop': 0.0, 'max_jump': 0.0,
           'max_state_deviation': 0.0, 'max_equal_states': 0, 'stop_behaviour': 'zero'}
LARGEST = 100.0  # [N m], torque of the bundle
SETTLING = 0.5  # [s], longer than the ramp
N_COMMANDS = 10  # of which the largest torque is taken


@pytest.fixture(scope='module')
def page():
    return Tutorial('hardware.md')


class Drives:
    """What somebody sees who watches the bench and the planner."""

    def __init__(self, node):
        self._node = node
        self.planner, self.bench = Health(node), Health(node, 'hardware_bench')
        self._torques = []  # the largest of every command
        node.create_subscription(Float64MultiArray, COMMANDS.path,
                                 lambda msg: self._torques.append(np.abs(msg.data).max()), 100)

    def largest_of_some(self, process, *, moves):
        """
        Return the largest torque of some commands, once what was set last is in use.

        One that moves the drives may take a while: a busy machine stops the planner now and then.
        """
        spin_for(self._node, SETTLING)
        self._torques.clear()
        spin_until(self._node, lambda: len(self._torques) > N_COMMANDS
                   and (not moves or max(self._torques) > 0.0), 'commands', process)
        return max(self._torques)

    def last_of_all(self, process):
        """Wait until nobody commands any more; return the largest torque of the last command."""
        spin_until(self._node, lambda: not self._node.count_publishers(COMMANDS.path),
                   'the end of the commands', process)
        return self._torques[-1]


@pytest.fixture(scope='module')
def at_work(tmp_path_factory):
    """The drives and the planner, as the launch file starts them."""
    with (driver_process(jitter=0.002, hangs=True),
          running('planner', tmp_path_factory.mktemp('nodes'), **{**SETTINGS, **PATIENT})
          as planner, observer() as node):
        yield node, planner, Drives(node)


def test_the_steps_bring_the_planner_up_with_more_and_more_torque(page, at_work):
    node, planner, drives = at_work
    scale, is_active = SETTINGS['torque_scale'], False
    for step in page.of('ros2'):
        line = Ros2Line(step.text)
        if line.verb in ('control list_controllers', 'launch diffusion_planner_ros'):
            continue
        if line.verb == 'run diffusion_planner_ros':
            break  # the end of the steps
        answer = line.do(node)
        if line.verb == 'topic pub':
            drives.bench.wait_for_next()
        elif line.verb == 'topic hz':
            assert answer > 1.0
        elif line.verb == 'topic delay':
            assert answer > 0.0
        elif line.verb == 'param set':
            assert answer == '', line.text
            scale = float(step.words[-1])
        elif line.verb == 'lifecycle set':
            assert answer is True, line.text
            is_active = step.words[-1] == 'activate'
            if step.words[-1] == 'deactivate':
                assert drives.last_of_all(planner) == 0.0
        if is_active and line.verb in ('param set', 'lifecycle set'):
            largest = drives.largest_of_some(planner, moves=scale > 0.0)
            assert largest <= scale * LARGEST + 1e-6, line.text
            assert (largest > 0.0) == (scale > 0.0), line.text
    assert is_active
    drives.planner.wait_for_next(planner)
    assert float(drives.planner.facts['torque_scale']) == scale == 0.2
    assert int(drives.planner.facts['plans']) > 0
    assert int(drives.bench.facts['commands']) > 0
    assert 'refused_states' in drives.planner.facts


def test_what_it_launches_takes_what_the_page_gives(page):
    (line,) = page.of('ros2', 'launch')
    assert set(Ros2Line(line.text).launch_arguments()) == {'urdf', 'bundle'}


def test_the_controllers_that_it_lists_are_those_of_the_configuration(page):
    manager = yaml.safe_load((CONFIG / 'ros2_control.yaml').read_text())['/**/controller_manager']
    controllers = [name for name, value in manager['ros__parameters'].items()
                   if isinstance(value, dict)]
    assert f'ros2 control list_controllers    # {", ".join(controllers)}\n' in page.text
