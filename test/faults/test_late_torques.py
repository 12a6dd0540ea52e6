"""A torque that acts too late leads elsewhere, which says nothing of the sensors or the model."""

from threading import Event
import time
from types import SimpleNamespace

import numpy as np
import pytest

from diffusion_planner_ros.nodes.common.conversions import torque_from_msg
from diffusion_planner_ros.nodes.control.command_publisher import CommandPublisher
from diffusion_planner_ros.nodes.control.model import Model
from diffusion_planner_ros.nodes.control.replanner import Replanner
from diffusion_planner_ros.nodes.state.state_source import Measurement
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import PredictionMonitor
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.stop import StopBehaviour, StopConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.walker2d import Walker2D

PERIOD = 8_000_000  # [ns]
AHEAD = 5_000_000  # [ns] that a torque is sent before the state that it leads to
TIME_LIMIT = 30.0  # [s]
N_STEPS = 160
LATE = range(90, 97)  # steps under an old torque: 56 ms, which the gait survives
BROKEN = range(110, N_STEPS)
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
            self.command_publisher, lockstep=False, action_delay=0, clock=self, on_command=quiet,
            on_plan=lambda *_: self._has_planned.set(), on_refused=quiet, on_fault=quiet)
        self.nanoseconds = 0
        self._measures_effort = measures_effort
        self._torque = self._applied = np.zeros(6)
        self._has_planned = Event()
        self._system_time = time.time_ns()

    def now(self):
        return self

    def _on_command(self, msg):
        self._torque, _ = torque_from_msg(msg)
        if self.command_publisher.is_latched:
            self._has_planned.set()

    def step(self, *, is_late, is_swapped):
        """Show the state, wait for the plan, and take a period under it or the last one."""
        state = self.walker.state
        if is_swapped:
            for pair in SWAPPED:
                state[pair] = state[pair[::-1]]
        efforts = dict(zip(self.walker.actuated_joints, self._applied, strict=True))
        self._has_planned.clear()
        before = self._applied
        self.replanner.on_state(Measurement(
            self.nanoseconds, self._system_time, state, {}, {},
            efforts if self._measures_effort else {}))
        assert self._has_planned.wait(TIME_LIMIT)
        sent = self.command_publisher.sent[-1].at
        self._system_time = sent - 1 if is_late else sent + AHEAD
        self._applied = before if is_late else self._torque
        self.walker.step(self._applied)
        self.nanoseconds += PERIOD


def quiet(*_, **__):
    """Report nothing."""


@pytest.fixture(params=[True, False], ids=['measured torque', 'no measured torque'])
def robot(request):
    robot = Robot(measures_effort=request.param)
    yield robot
    robot.replanner.close()


def test_late_torques_stop_nobody(robot):
    for step in range(N_STEPS):
        robot.step(is_late=step in LATE, is_swapped=False)
        assert not robot.command_publisher.stop_cause, (step, robot.replanner.surprise)
    assert robot.walker.qpos[1] > 1.0  # [m], it walks on


def test_beside_late_torques_a_broken_sensor_still_stops_the_robot(robot):
    for step in range(N_STEPS):
        robot.step(is_late=step in LATE, is_swapped=step in BROKEN)
        if robot.command_publisher.is_latched:
            break
    assert robot.command_publisher.stop_cause == 'out of distribution'
    assert step in BROKEN


def test_a_state_from_before_the_first_one_is_planned_for_as_well(robot):
    robot.nanoseconds = 10 * PERIOD
    robot.step(is_late=False, is_swapped=False)
    robot.replanner.forget()
    robot.step(is_late=False, is_swapped=False)
    robot.nanoseconds = 5 * PERIOD  # a seed must not be negative
    robot.command_publisher.forget()
    robot.step(is_late=False, is_swapped=False)
    assert not robot.command_publisher.stop_cause
