# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The measured state of a robot: its joints, and its base from odometry, at the same time."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Any

from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState

from ...errors import StateError
from ...messages.joint_states import JointReader
from ...messages.odometry import BaseJoint, BaseReader, OdometryHistory, pose_and_rates
from ...messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from ...planning.stop import AUTOMATIC, time_limit
from ...robot import Robot
from ...settings import check_settings, document_settings, setting
from ..common.topics import JOINT_STATES, ODOMETRY, PLANNER
from .down_sampler import DownSampler
from .stamp_check import StampCheck

LEAST_MAX_STATE_AGE = 0.1  # [s]
WAIT = 2  # control periods for which joint states wait for their odometry


@document_settings
@dataclass(frozen=True)
class StateConfig:
    """How the state of the robot is measured."""

    max_state_age: float = setting(
        AUTOMATIC, 'Largest age of a state that is planned from; without a state for this long, '
        'the robot is stopped; 0: four control periods, at least 0.1 s.', unit='s', low=0.0,
        high=10.0, read_only=True)
    odometry_joints: tuple[str, ...] = setting(
        ('',), "Joints of the base that topic 'odometry' measures, each as joint=axis or, if the "
        'joint turns the other way, joint=-axis. Axes are x, y, z, roll, pitch, yaw. One empty '
        'text: all joints are in the joint states.', read_only=True)
    max_odometry_gap: float = setting(
        0.004, 'Largest time between joint states and the nearest odometry; joint states wait '
        'until one is near enough.', unit='s', low=0.0, high=1.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
        _ = self.base_joints  # refuses what it cannot read

    def longest_age(self, control_period: float) -> float:
        """Return ``max_state_age`` of a robot with this control period [s]."""
        return time_limit(self.max_state_age, control_period, least=LEAST_MAX_STATE_AGE)

    @property
    def base_joints(self) -> tuple[BaseJoint, ...]:
        """The joints that the odometry measures; empty texts are left out."""
        return tuple(BaseJoint.parse(text) for text in self.odometry_joints if text)


@dataclass(frozen=True)
class Measurement:
    """A measured state to plan from."""

    stamp: int
    """Time of the state [ns]."""
    sent: int
    """When its joint states were sent, on the system clock [ns]."""
    state: NDArray
    """In the order and units of ``robot.state``, shape (S,)."""
    positions: dict[str, float]
    """Measured positions by joint [m, rad], the base included."""
    velocities: dict[str, float]
    """Measured velocities by joint [m/s, rad/s], the base included."""
    efforts: dict[str, float] = field(default_factory=dict)
    """Measured torques by joint [N m], of joints that report one."""
    came: int = 0
    """When its joint states came to this process, on the system clock [ns]."""


def check_layout(robot: Robot, config: StateConfig) -> None:
    """
    Check that the joints of the odometry are in the layout of a robot.

    :raises ConfigError: naming the joint that is not.
    """
    if config.base_joints:
        BaseReader(robot, config.base_joints)


class StateSource:
    """
    Subscribe to the robot's measurements and pass on one state per control period.

    All of a state is of one time, the stamp of its joint states. If the base comes from odometry,
    its pose is computed for that time from the odometry before and after it, or from one within
    ``max_odometry_gap``. Until then the joint states wait. When several can be completed at once,
    the newest are passed on.

    Joint states that come again with the same stamp are passed on again: their sender has not
    received the command.

    :param node: gets the subscriptions ``joint_states`` and, where it is needed, ``odometry``.
    :param robot: the layout of the state, and the control period.
    :param on_state: called with every state that is passed on, in the thread that serves
        ``group``.
    :param on_refused: called with the reason when joint states or odometry are refused.
    :param on_restart: called when stamps start over at an earlier time, with how far back [s].
    :param group: callback group of the subscriptions; the node's default one if there is none.
    :raises ConfigError: if the odometry is to measure joints that the robot does not have.
    """

    def __init__(self, node: Node, robot: Robot, config: StateConfig,
                 on_state: Callable[[Measurement], None],
                 on_refused: Callable[[StateError], None],
                 on_restart: Callable[[float], None],
                 group: CallbackGroup | None = None) -> None:
        self._node = node
        self._on_state = on_state
        self._on_refused = on_refused
        self._on_restart = on_restart
        self._max_gap = config.max_odometry_gap
        clock = node.get_clock()
        max_age = config.longest_age(robot.control_period)
        self._joint_stamps = StampCheck('joint states are', clock, max_age)
        self._odometry_stamps = StampCheck('odometry is', clock, max_age)
        self._period = round(robot.control_period * NANOSECONDS)
        joints = config.base_joints
        self._joints = JointReader(robot, {j.joint for j in joints})
        self._base = BaseReader(robot, joints) if joints else None
        self._odometry = OdometryHistory(round(self._max_gap * NANOSECONDS))
        self._start_anew()
        self._subscriptions = [PLANNER.subscription(
            node, JOINT_STATES, self.on_joint_states, group=group)]
        if self._base is not None:
            self._subscriptions.append(PLANNER.subscription(
                node, ODOMETRY, self.on_odometry, group=group))

    def forget(self) -> None:
        """Drop all history, because time jumped."""
        self._start_anew()

    def destroy(self) -> None:
        """Remove the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _start_anew(self) -> None:
        self._down_sampler = DownSampler(self._period)
        self._joint_stamps.forget()
        self._odometry_stamps.forget()
        self._odometry.clear()
        self._passed: int | None = None  # stamp of the last state that was passed on [ns]
        self._waiting: deque[Measurement] = deque()  # for their odometry, oldest first

    def on_joint_states(self, msg: JointState, info: dict[str, Any]) -> None:
        """
        Take joint states; the executor calls this.

        :param info: of rclpy; ``source_timestamp`` says when it was sent [ns].
        """
        came = time.time_ns()
        stamp = nanoseconds_from_stamp(msg.header.stamp)
        try:
            if not self._joint_stamps.check(stamp):
                return
            if back := self._joint_stamps.advance(stamp):
                self._start_anew()
                self._joint_stamps.advance(stamp)
                self._on_restart(back)
            self._down_sampler.see(stamp)
            if stamp != self._passed and not self._down_sampler.is_due(stamp):
                return
            reading = self._joints.read(msg)
        except StateError as error:
            self._on_refused(error)
            return
        measured = Measurement(stamp, info['source_timestamp'] or came, reading.state,
                               reading.positions, reading.velocities, reading.efforts, came)
        if self._base is None:
            self._pass_on(measured)
        else:
            self._wait_for_odometry(measured)

    def on_odometry(self, msg: Odometry) -> None:
        """Take the odometry of the base; the executor calls this."""
        stamp = nanoseconds_from_stamp(msg.header.stamp)
        try:
            if not self._odometry_stamps.check(stamp):
                return
            if self._odometry_stamps.advance(stamp):
                self._odometry.clear()
            pose = pose_and_rates(msg)
            if self._base is not None:
                self._base.check(pose)
        except StateError as error:
            self._on_refused(error)
            return
        self._odometry.add(stamp, pose)
        self._complete()

    def _wait_for_odometry(self, measured: Measurement) -> None:
        """Add joint states to those that wait; refuse all if the oldest waited too long."""
        if self._waiting and self._waiting[-1].stamp == measured.stamp:
            self._waiting.pop()  # the same, sent again
        self._waiting.append(measured)
        self._complete()
        if self._waiting and measured.stamp - self._waiting[0].stamp > WAIT * self._period:
            oldest = self._waiting[0].stamp
            self._waiting.clear()
            distance = self._odometry.distance(oldest)
            nearest = 'none has come' if distance is None else (
                f'the nearest is {distance / NANOSECONDS:.3f} s away, expected at most '
                f'{self._max_gap} s (max_odometry_gap)')
            self._on_refused(StateError(f'the joint states have no odometry: {nearest}'))

    def _complete(self) -> None:
        """Pass on the newest joint states that have their odometry, and drop older ones."""
        for k in reversed(range(len(self._waiting))):
            measured = self._waiting[k]
            pose = self._odometry.at(measured.stamp)
            if pose is not None and self._base is not None:
                for _ in range(k + 1):
                    self._waiting.popleft()
                self._base.fill(pose, measured.state, measured.positions, measured.velocities)
                self._pass_on(measured)
                break
        while self._waiting and not self._down_sampler.is_due(self._waiting[0].stamp):
            self._waiting.popleft()

    def _pass_on(self, measured: Measurement) -> None:
        if measured.stamp != self._passed:
            self._down_sampler.accept(measured.stamp)
        self._passed = measured.stamp
        self._on_state(measured)
