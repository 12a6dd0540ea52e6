# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The planner node against a driver that behaves as real ones do, with the shipped settings."""

from contextlib import contextmanager

from hardware_driver import driver_process
from lifecycle import ACTIVATE, change, CONFIGURE, DEACTIVATE, Health
import numpy as np
from paths import SOURCE
import pytest
from ros_processes import spin_until
from std_msgs.msg import Float64MultiArray
import yaml

from diffusion_planner_ros.experiments.ros.hardware_bench import BENCH_NAME
from diffusion_planner_ros.nodes.common.topics import COMMANDS

CONFIG = SOURCE / 'config'
SETTINGS = yaml.safe_load((CONFIG / 'hardware.yaml').read_text())['/**/planner']['ros__parameters']
# The clocks of these machines are one; what is late here is the machine, not the robot.
PATIENT = {**SETTINGS, 'max_state_age': 1.0, 'max_plan_gap': 1.0, 'ramp_time': 0.2,
           'stop_duration': 0.2}


class Bench:
    """An observer of the driver and the planner on its bench."""

    def __init__(self, kept, node):
        self._kept = kept
        self.node = node
        self.driver = Health(node, BENCH_NAME)
        self.planner = Health(node, 'planner')
        self.commands = []
        node.create_subscription(Float64MultiArray, COMMANDS.path,
                                 self.commands.append, 10)

    @contextmanager
    def active(self, **settings):
        """Bring a planner up as a person does, once the driver is there."""
        planner = self._kept.start('planner', **{**PATIENT, **settings})
        spin_until(self.node, lambda: self.driver.facts, 'driver')
        if not planner.n_uses:  # by a test before
            assert change(self.node, CONFIGURE)
        assert not self.commands
        assert change(self.node, ACTIVATE)
        try:
            yield planner
        finally:
            change(self.node, DEACTIVATE)
            spin_until(self.node, lambda: not self.node.count_publishers(COMMANDS.path),
                       'end of the stop', planner)

    def check_commands(self):
        torques = np.array([msg.data for msg in self.commands])
        assert np.isfinite(torques).all()
        assert np.abs(torques).max() <= 100.0


@pytest.fixture
def bench(kept):
    with kept.observer() as node:
        yield Bench(kept, node)


@pytest.mark.parametrize('skew', [-0.002, 0.002])
def test_plans_from_hinges_and_odometry_at_its_own_rate(bench, skew):
    with driver_process(jitter=0.002, skew=skew), bench.active() as planner:
        spin_until(bench.node, lambda: int(bench.planner.facts.get('plans', 0)) > 50, 'plans',
                   planner)
        spin_until(bench.node, lambda: int(bench.driver.facts['commands']) > 50, 'commands',
                   planner)
    bench.check_commands()
    # 1 kHz of states, and no more than one command for each of their control periods, twice: once
    # when the state comes, once when the plan does
    assert int(bench.driver.facts['commands']) < 2.5 * 125 * float(bench.driver.facts['time'])


@pytest.mark.parametrize(('settings', 'reason'), [
    ({'skew': -5.0}, 'are the clocks of the two machines synchronised? (chrony, PTP)'),
    ({'skew': 5.0}, 'in the future'),
    ({'fault': 'encoder'}, "joint 'leg_joint' has velocity nan"),
    ({'fault': 'odometry'}, 'the joint states have no odometry'),
], ids=str)
def test_refuses_with_a_reason_and_moves_nothing(bench, settings, reason):
    with driver_process(**settings), bench.active() as planner:
        spin_until(bench.node, lambda: reason in planner.output, reason, planner)
    assert not any(any(msg.data) for msg in bench.commands)


@pytest.mark.parametrize(('fault', 'cause'), [
    ('encoder', 'stop: state not finite'), ('joint_states', 'stop: stale state'),
    ('odometry', 'stop: stale state'),
    pytest.param('all', 'stop: stale state', marks=pytest.mark.slow)])
def test_stops_when_a_sensor_breaks_while_it_commands(bench, fault, cause):
    with (driver_process(fault=fault, fault_time=0.5),
          bench.active(max_state_age=0.2) as planner):
        spin_until(bench.node, lambda: cause in planner.output, cause, planner)
        # Without fresh joints damping is no torque; the controller holds what it got last.
        spin_until(bench.node, lambda: not any(bench.commands[-1].data), 'zero torque', planner)
    bench.check_commands()
    assert planner.output.count('stop: ') >= 1
