# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
A robot as drivers present it: in wall time, measured and commanded as on a bench.

Joint states name the hinges only, in another order than the bundle, with a gripper whose velocity
is NaN; the base comes as odometry with the twist in the body's frame, at another rate; both are
late by a random time. The last command is held for ever, as forward_command_controller does. Until
the first command the robot hangs still in its rack.

It is a program: ``python -m diffusion_planner_ros.experiments.ros.hardware_bench SETTINGS``, these
being the arguments of ``HardwareBench`` as JSON.
"""

from collections.abc import Callable
from contextlib import suppress
import json
import signal
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import mujoco
from nav_msgs.msg import Odometry
import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from ...nodes.common.conversions import NANOSECONDS, stamp_from_nanoseconds
from ...nodes.common.diagnostics import msg_from_facts
from ...nodes.common.join_graph import join_graph
from ...nodes.common.run_node import freeze_garbage
from ...nodes.common.topics import COMMANDS, DIAGNOSTICS, JOINT_STATES, ODOMETRY
from ...sim.environment import in_mujoco, make_environment

BENCH_NAME = 'hardware_bench'
TIMESTEP = 0.001  # [s], of physics and of joint states
ODOMETRY_STEPS = 5  # physics steps between two odometries: 200 Hz
REPORT_STEPS = 200  # physics steps between two reports


class MeasuredRobot:
    """
    The robot and its sensors, without ROS time.

    :param robot: name of the robot, whose body that is pushed is its base.
    :param seed: of the initial state.
    """

    def __init__(self, robot: str = 'walker2d', seed: int = 0) -> None:
        self.environment = environment = in_mujoco(make_environment(robot))
        self._model = environment.model
        self._model.opt.timestep = TIMESTEP
        environment.reset(seed)
        self._scratch = mujoco.MjData(self._model)
        self._base = self._model.body(environment.task.pushed_body).id
        self._order = np.random.default_rng(1).permutation(
            [environment.joint_names.index(joint) for joint in environment.actuated_joints])

    @property
    def has_fallen(self) -> bool:
        """Whether the robot lies."""
        return self.environment.has_fallen

    def step(self, torque: NDArray) -> None:
        """Hold a torque [N m], shape (A,), for one physics step."""
        self.environment.data.ctrl[:] = torque / self._model.actuator_gear[:, 0]
        mujoco.mj_step(self._model, self.environment.data)

    def joint_states(self, stamp: int) -> JointState:
        """Return the hinges and the gripper, at a time [ns]."""
        names, qpos, qvel = (self.environment.joint_names, self.environment.qpos,
                             self.environment.qvel)
        msg = JointState(
            name=['gripper', *(names[i] for i in self._order)],
            position=[0.0, *qpos[self._order].tolist()],
            velocity=[np.nan, *qvel[self._order].tolist()])
        msg.header.stamp = stamp_from_nanoseconds(stamp)
        return msg

    def odometry(self, stamp: int) -> Odometry:
        """Return pose and body-frame twist of the base, as MuJoCo's kinematics have them."""
        data, base = self._scratch, self._base
        data.qpos[:], data.qvel[:] = self.environment.data.qpos, self.environment.data.qvel
        mujoco.mj_forward(self._model, data)
        twist = np.zeros(6)  # angular, linear
        mujoco.mj_objectVelocity(self._model, data, mujoco.mjtObj.mjOBJ_XBODY, base, twist, 1)
        msg = Odometry(child_frame_id=self.environment.task.pushed_body)
        msg.header.frame_id = 'odom'
        msg.header.stamp = stamp_from_nanoseconds(stamp)
        position, orientation = msg.pose.pose.position, msg.pose.pose.orientation
        position.x, position.y, position.z = data.xpos[base]
        orientation.w, orientation.x, orientation.y, orientation.z = data.xquat[base]
        angular, linear = msg.twist.twist.angular, msg.twist.twist.linear
        angular.x, angular.y, angular.z, linear.x, linear.y, linear.z = twist
        return msg


class HardwareBench(Node):
    """
    Runs a robot in wall time.

    :param robot: its name.
    :param seed: of the initial state and of what is late.
    :param jitter: longest time that a message is late, uniform from zero [s].
    """

    def __init__(self, *, robot: str = 'walker2d', seed: int = 0, jitter: float = 0.0) -> None:
        super().__init__(BENCH_NAME)
        self.robot = MeasuredRobot(robot, seed)
        self.simulated = 0.0
        """Since the first command [s]."""
        self._rng = np.random.default_rng(seed)
        self._jitter = jitter
        self._torque: NDArray | None = None  # the last command [N m]
        self._n_commands = 0
        self._start = self.robot.environment.position  # [m]
        self._fell_after: float | None = None  # [s]
        self._distance = 0.0  # until the fall [m]
        self._late: list[tuple[int, Publisher, object]] = []  # when to send [ns], where, what
        self._due: dict[Publisher, int] = {}  # when the last of them is to be sent [ns]
        self.states = self.create_publisher(JointState, JOINT_STATES.path, 10)
        self.odometry = self.create_publisher(Odometry, ODOMETRY.path, 10)
        self._reports = self.create_publisher(DiagnosticArray, DIAGNOSTICS.path, 10)
        self.create_subscription(Float64MultiArray, COMMANDS.path, self._on_command, 1)

    def _on_command(self, msg: Float64MultiArray) -> None:
        torque = np.array(msg.data)
        if torque.shape == self.robot.environment.torque_limit.shape and np.isfinite(torque).all():
            self._torque = torque  # anything else forward_command_controller drops
            self._n_commands += 1

    def run(self, stop: threading.Event) -> None:
        """Simulate until the event is set."""
        step_time = round(TIMESTEP * NANOSECONDS)
        start = time.time_ns()
        step = reported = 0
        while not stop.is_set():
            now = time.time_ns()
            while start + (step + 1) * step_time <= now:
                step += 1
                if self._torque is not None:
                    self._move(self._torque)
                self.measure(step, start + step * step_time)
            if step - reported >= REPORT_STEPS:  # once it has caught up with the commands
                reported = step
                self._report()
            self._send(now)
            time.sleep(TIMESTEP / 4)

    def _move(self, torque: NDArray) -> None:
        self.robot.step(torque)
        self.simulated += TIMESTEP
        if self._fell_after is None:
            self._distance = self.robot.environment.position - self._start
            if self.robot.has_fallen:
                self._fell_after = self.simulated

    def measure(self, step: int, now: int) -> None:
        """Publish, soon, what the sensors see after a physics step, which ends now [ns]."""
        self.queue(now, self.states, self.robot.joint_states(now))
        if step % ODOMETRY_STEPS == 0:
            self.queue(now, self.odometry, self.robot.odometry(now))

    def queue(self, now: int, publisher: Publisher, msg: object) -> None:
        """Let a message be sent a random time from now [ns]."""
        late = round(self._rng.uniform(0.0, self._jitter) * NANOSECONDS)
        # A transport is late, but it does not overtake itself.
        self._due[publisher] = max(now + late, self._due.get(publisher, 0))
        self._late.append((self._due[publisher], publisher, msg))

    def _send(self, now: int) -> None:
        due = [entry for entry in self._late if entry[0] <= now]
        self._late = [entry for entry in self._late if entry[0] > now]
        for _, publisher, msg in due:
            publisher.publish(msg)

    def _report(self) -> None:
        facts = {'time': self.simulated, 'distance': self._distance,
                 'fell': self._fell_after is not None, 'fell_after': self._fell_after,
                 'commands': self._n_commands}
        self._reports.publish(msg_from_facts(
            self, self.robot.environment.robot.name, 'running', facts, level=DiagnosticStatus.OK,
            stamp=self.get_clock().now().to_msg()))


def run_bench(build: Callable[..., HardwareBench]) -> None:
    """
    Run a bench as a process, until SIGINT or SIGTERM.

    :param build: gets the settings that the first argument of the process holds as JSON.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    join_graph()
    bench = build(**json.loads(sys.argv[1]))

    def spin() -> None:
        with suppress(ExternalShutdownException):
            rclpy.spin(bench)

    commands = threading.Thread(target=spin)
    commands.start()
    freeze_garbage()
    try:
        bench.run(stop)
    finally:
        rclpy.try_shutdown()
        commands.join()


if __name__ == '__main__':
    run_bench(HardwareBench)
