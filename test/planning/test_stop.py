# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The stop behaviours, the ramp and the limits, each seen in the commands of a real planner."""

import re
import time

from driver import Driver, SETTINGS
from lifecycle import change, DEACTIVATE, Health
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from ros_processes import call, observer, parameter, running, spin_for, spin_until
from walker import Walker2D

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.messages.stamps import NO_STATE
from diffusion_planner_ros.nodes.common.conversions import torque_from_msg
from diffusion_planner_ros.nodes.common.topics import COMMANDS, SET_PLANNER_PARAMETERS
from diffusion_planner_ros.nodes.threads.watchdog import Watchdog
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.stop import StopBehaviour, StopConfig
from diffusion_planner_ros.share import share_file

JOINTS = Walker2D().actuated_joints
LIMIT = np.full(6, 100.0)
POSITIONS = dict.fromkeys(JOINTS, 0.5)
VELOCITIES = {joint: float(k) for k, joint in enumerate(JOINTS)}


def behaviour(kind, **gains):
    return StopBehaviour(StopConfig(stop_behaviour=kind, **gains), JOINTS, LIMIT)


def test_zero_is_no_torque_whatever_the_joints_do():
    assert not behaviour('zero').torque(POSITIONS, VELOCITIES).any()


def test_damping_works_against_every_velocity_within_the_limits():
    torque = behaviour('damping', stop_damping=(1.0, 2.0, 3.0, 4.0, 5.0, 600.0)).torque(
        POSITIONS, VELOCITIES)
    np.testing.assert_allclose(torque, [0.0, -2.0, -6.0, -12.0, -20.0, -100.0])


def test_hold_pulls_back_to_where_the_stop_began_until_it_is_released():
    hold = behaviour('hold', stop_damping=(0.0,), stop_stiffness=(10.0,))
    assert not hold.torque(POSITIONS, VELOCITIES).any()
    moved = dict.fromkeys(JOINTS, 0.7)
    np.testing.assert_allclose(hold.torque(moved, VELOCITIES), -2.0)
    hold.release()
    assert not hold.torque(moved, VELOCITIES).any()


@pytest.mark.parametrize('velocities', [None, {}, {**VELOCITIES, JOINTS[2]: float('nan')}])
def test_without_fresh_finite_joints_there_is_no_torque(velocities):
    assert not behaviour('damping').torque(POSITIONS, velocities).any()


def test_a_gain_for_some_joints_only_is_refused():
    with pytest.raises(ConfigError, match='stop_damping has 2 values, expected 1 or 6'):
        behaviour('damping', stop_damping=(1.0, 2.0))


def wait_for(condition):
    deadline = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_watchdog_barks_again_and_again_until_it_is_fed():
    barks = []
    watchdog = Watchdog('test', 0.05, barks.append)
    try:
        time.sleep(0.2)
        assert not barks  # nobody promised anything yet
        watchdog.feed()
        wait_for(lambda: len(barks) >= 3)
        assert barks[0] >= 0.05
        assert barks == sorted(barks)
        watchdog.suspend()
        time.sleep(0.1)
        n = len(barks)
        time.sleep(0.2)
        assert len(barks) == n
        watchdog.feed()
        wait_for(lambda: len(barks) > n)
    finally:
        watchdog.close()


@pytest.fixture
def node():
    with observer() as node:
        yield node


@pytest.fixture
def start(tmp_path, node):
    """Give a function that starts an active planner in lockstep with parameters."""
    processes = []

    def start(**parameters):
        context = running('planner', tmp_path, **{
            **SETTINGS, **parameters})
        process = context.__enter__()
        processes.append(context)
        driver = Driver(node)
        spin_until(node, driver.is_connected, 'planner', process)
        return driver, process

    yield start
    for context in processes:
        context.__exit__(None, None, None)


def planned(walker, step):
    planner = Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())
    return planner.plan(walker.state, step=step).actions[0]


def test_enabling_ramps_the_torque_up(start, walker):
    driver, _ = start(ramp_time=0.08)  # ten control periods
    for step, share in ((0, 0.0), (3, 0.3), (5, 0.5), (10, 1.0), (12, 1.0)):
        np.testing.assert_allclose(driver.answer(step, walker.qpos, walker.qvel),
                                   share * planned(walker, step))


def test_a_stop_starts_the_ramp_anew(start, walker):
    driver, process = start(ramp_time=0.08)
    driver.answer(0, walker.qpos, walker.qvel)
    driver.answer(10, walker.qpos, walker.qvel)
    spoilt = np.full(9, np.nan)
    driver.show_until(lambda: 'stop: state not finite' in process.output, 11, spoilt, spoilt)
    assert not driver.answer(12, walker.qpos, walker.qvel).any()
    np.testing.assert_allclose(driver.answer(17, walker.qpos, walker.qvel),
                               0.5 * planned(walker, 17))


def test_the_torque_scale_changes_between_two_plans(start, node, walker):
    driver, _ = start()
    request = SetParameters.Request(parameters=[parameter('torque_scale', 0.25)])
    assert call(node, SetParameters, SET_PLANNER_PARAMETERS.path, request).results[0].successful
    np.testing.assert_allclose(driver.answer(0, walker.qpos, walker.qvel),
                               0.25 * planned(walker, 0))


def test_the_smallest_of_all_limits_holds_and_its_clamps_are_counted(start, node, walker):
    urdf = share_file('diffusion_planner_ros/robots/walker2d/robot.urdf').read_text()
    assert 'effort="100"' in urdf
    driver, _ = start(robot_description=urdf.replace('effort="100"', 'effort="5"', 1),
                      torque_limit=[1000.0, 10.0, 1000.0, 1000.0, 1000.0, 1000.0])
    health = Health(node)
    torque = driver.answer(0, walker.qpos, walker.qvel)
    limits = np.array([5.0, 10.0, 100.0, 100.0, 100.0, 100.0])
    np.testing.assert_allclose(torque, np.clip(planned(walker, 0), -limits, limits))
    health.wait_for('planning')
    assert int(health.facts['clamped_commands']) == 1


def test_damping_follows_the_joints_while_stopped_and_ends_in_zero(start, node, walker):
    driver, process = start(stop_behaviour='damping', stop_damping=[2.0], stop_duration=0.5,
                            lockstep=False, max_state_age=10.0, max_plan_gap=10.0)
    velocity = np.arange(9.0)
    driver.answer(0, walker.qpos, velocity)
    driver.commands.clear()
    assert change(node, DEACTIVATE)
    driver.show_until(lambda: any(any(m.data) for m in driver.commands), 1, walker.qpos, velocity)
    expected = -2.0 * velocity[3:]
    assert any(np.allclose(m.data, expected) for m in driver.commands)
    spin_until(node, lambda: node.count_publishers(COMMANDS.path) == 0,
               'end of the stop', process)
    torque, stamp = torque_from_msg(driver.commands[-1])
    assert stamp == NO_STATE
    assert not torque.any()
    n = len(driver.commands)
    driver.show(2, walker.qpos, velocity)
    spin_for(node, 0.3)
    assert len(driver.commands) == n


def test_a_stale_state_stops_in_wall_time_and_the_next_good_one_goes_on(start, node, walker):
    driver, process = start(lockstep=False, max_state_age=0.1)
    driver.show_until(lambda: driver.commands, 0, walker.qpos, walker.qvel)
    spin_until(node, lambda: 'stop: stale state' in process.output, 'stop', process)
    driver.commands.clear()
    spin_for(node, 0.3)
    assert driver.only_stopped()
    causes = re.findall(r'stop: (\w+ \w+)', process.output)  # a busy machine may add some
    assert 'stale state' in causes
    assert len(causes) == len(set(causes))  # once per cause
    driver.commands.clear()
    driver.show_until(lambda: not driver.only_stopped(), 1, walker.qpos, walker.qvel)
    assert 'planning again after a stop: stale state' in process.output
