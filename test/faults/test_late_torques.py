# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A torque that acts too late leads elsewhere, which says nothing of the sensors or the model."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from walker import Walker2D

from diffusion_planner_ros.nodes.common.conversions import torque_from_msg
from diffusion_planner_ros.nodes.control.command_publisher import CommandPublisher
from diffusion_planner_ros.nodes.control.disturbances import RECOVERY
from diffusion_planner_ros.nodes.control.model import Model
from diffusion_planner_ros.nodes.control.replanner import Replanner
from diffusion_planner_ros.nodes.state.state_source import Measurement
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import PredictionMonitor
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.stop import StopBehaviour, StopConfig
from diffusion_planner_ros.share import share_file

PERIOD = 8_000_000  # [ns]
THINKING = 3_000_000  # [ns] from a state to its torque
TIME_LIMIT = 30.0  # [s]
N_STEPS = 160
LATE = range(90, 97)  # steps under an old torque: 56 ms, which the gait survives
FIRST = LATE[0]
BROKEN = 110  # step from which the sensors are swapped
# Positions and velocities of thigh, leg and foot of both sides: sensors on the wrong plugs.
SWAPPED = [[k, k + 3] for k in (2, 3, 4, 11, 12, 13)]


class Robot:
    """A walker and all of a planner but its node; time is that of the test."""

    def __init__(self, *, measures_effort):
        self.walker = Walker2D()
        self.walker.reset(seed=0)
        self.command_publisher = CommandPublisher(
            SimpleNamespace(publish=self._on_command), limit=np.full(6, 100.0),
            stop=StopBehaviour(StopConfig(), self.walker.actuated_joints, np.full(6, 100.0)),
            ramp_time=0.0, scale=1.0, max_age=TIME_LIMIT, lockstep=False,
            logger=SimpleNamespace(info=quiet, error=quiet))
        bundle = Bundle.load(share_file('models/walker2d'))
        self.replanner = Replanner(
            Model(Planner(bundle, PlannerConfig()), PredictionMonitor(bundle)),
            self.command_publisher, lockstep=False, plan=Planner.plan, action_delay=0, clock=self,
            defer=lambda function: function(), on_command=quiet, on_plan=quiet, on_refused=quiet,
            known_of=quiet, on_fault=self._on_fault)
        self.nanoseconds = 0
        self.system_time = 0  # [ns]
        self._measures_effort = measures_effort
        self._torque = self._applied = np.zeros(6)

    def now(self):
        return self

    def _on_command(self, msg):
        self._torque, _ = torque_from_msg(msg)

    def _on_fault(self, fault):
        raise fault

    def step(self, *, is_late=False, is_swapped=False, acting=None, offset=0.0):
        """
        Show the state, and take a period under its plan or another torque.

        :param is_late: whether the last torque acts once more.
        :param acting: torque that acts although nobody has sent it [N m].
        :param offset: of the measured velocities [m/s, rad/s].
        """
        state = self.walker.state
        state[-9:] += offset
        if is_swapped:
            for pair in SWAPPED:
                state[pair] = state[pair[::-1]]
        efforts = dict(zip(self.walker.actuated_joints, self._applied, strict=True))
        before = self._applied if acting is None else acting
        is_late = is_late or acting is not None
        shown = self.nanoseconds
        self.system_time = shown + (PERIOD if is_late else THINKING)
        self.replanner.on_state(Measurement(
            self.nanoseconds, shown, state, {}, {}, efforts if self._measures_effort else {}))
        self._applied = before if is_late else self._torque
        self.walker.step(self._applied)
        self.nanoseconds += PERIOD


def quiet(*_, **__):
    """Report nothing."""


@pytest.fixture(params=[True, False], ids=['measured torque', 'no measured torque'])
def robot(request, monkeypatch):
    robot = Robot(measures_effort=request.param)
    monkeypatch.setattr(f'{CommandPublisher.__module__}.time', SimpleNamespace(
        time_ns=lambda: robot.system_time, monotonic=time.monotonic))
    return robot


def test_late_torques_stop_nobody(robot):
    for step in range(N_STEPS):
        robot.step(is_late=step in LATE)
        assert not robot.command_publisher.stop_cause, (step, robot.replanner.surprise)
    assert robot.walker.qpos[1] > 1.0  # [m], it walks on


@pytest.mark.parametrize('n_late', [40, 60])  # 320 and 480 ms: the robot falls
def test_no_lateness_latches_a_stop_before_the_robot_has_fallen(robot, n_late):
    for step in range(300):
        robot.step(is_late=FIRST <= step < FIRST + n_late)
        assert not robot.command_publisher.is_latched, (step, robot.replanner.surprise)
        if not robot.walker.is_healthy:
            return
    pytest.fail('the robot walks on: this test needs a longer time without torques')


def test_the_robot_s_own_stop_behaviour_after_late_torques_stops_nobody(robot):
    for step in range(N_STEPS):
        # None of the torques that were sent, as of a damping that sets in after a time-out.
        robot.step(acting=np.full(6, -20.0) if step in LATE[-3:] else None)
        assert not robot.command_publisher.stop_cause, (step, robot.replanner.surprise)


def test_an_excess_after_late_torques_ends_by_itself_and_otherwise_it_is_latched(robot):
    for _ in range(FIRST):
        robot.step()
    robot.step(is_late=True)
    robot.step(offset=1e4)
    assert robot.command_publisher.stop_cause == 'out of distribution'
    assert not robot.command_publisher.is_latched
    robot.step()
    assert not robot.command_publisher.stop_cause
    for _ in range(RECOVERY // PERIOD + 1):
        robot.step(offset=1e4)
    assert robot.command_publisher.is_latched


def test_beside_late_torques_a_broken_sensor_stops_the_robot_before_it_falls(robot):
    stopped = latched = None
    for step in range(N_STEPS + RECOVERY // PERIOD):
        robot.step(is_late=step in LATE, is_swapped=step >= BROKEN)
        if stopped is None and robot.command_publisher.stop_cause:
            stopped = step
            assert robot.walker.is_healthy
        if robot.command_publisher.is_latched:
            latched = step
            break
    assert robot.command_publisher.stop_cause == 'out of distribution'
    assert stopped >= BROKEN
    assert latched * PERIOD >= LATE[-1] * PERIOD + RECOVERY  # until then it might be a stumble


def test_without_late_torques_a_broken_sensor_is_latched_at_once(robot):
    for step in range(N_STEPS):
        robot.step(is_swapped=step >= BROKEN)
        if robot.command_publisher.stop_cause:
            break
    assert robot.command_publisher.is_latched
    assert step >= BROKEN
    assert robot.walker.is_healthy


def test_a_state_from_before_the_first_one_is_planned_for_as_well(robot):
    robot.nanoseconds = 10 * PERIOD
    robot.step()
    robot.replanner.forget()
    robot.step()
    robot.nanoseconds = 5 * PERIOD  # a seed must not be negative
    robot.command_publisher.forget()
    robot.step()
    assert not robot.command_publisher.stop_cause
