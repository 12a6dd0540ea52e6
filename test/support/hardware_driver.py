"""
A robot as drivers present it: Walker2D in wall time, measured and commanded as on a bench.

Joint states name the hinges only, in another order than the bundle, with a gripper whose velocity
is NaN; the base comes as odometry with the twist in the body's frame, at another rate; both are
late by a random time. The last command is held for ever, as forward_command_controller does. Until
the first command the robot hangs still in its rack.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import mujoco
from nav_msgs.msg import Odometry
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from ros_processes import environment, STOP_TIME
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from diffusion_planner_ros.nodes.common.conversions import NANOSECONDS, stamp_from_nanoseconds
from diffusion_planner_ros.nodes.common.diagnostics import msg_from_facts
from diffusion_planner_ros.nodes.common.topics import COMMANDS, DIAGNOSTICS, JOINT_STATES, ODOMETRY
from diffusion_planner_ros.sim.walker2d import Walker2D

TIMESTEP = 0.001  # [s], of physics and of joint states
ODOMETRY_STEPS = 5  # physics steps between two odometries: 200 Hz
REPORT_STEPS = 200  # physics steps between two reports
N_BASE = 3
NAME = 'hardware_driver'
# NaN as the velocity of leg_joint, no joint states, no odometry, no measurement at all
FAULTS = ('encoder', 'joint_states', 'odometry', 'all')


class Bench:
    """The robot and its sensors, without ROS time."""

    def __init__(self, seed=0):
        self.walker = Walker2D()
        self.walker.model.opt.timestep = TIMESTEP
        self.walker.reset(seed)
        self._scratch = mujoco.MjData(self.walker.model)
        self._torso = self.walker.model.body('torso').id
        self._order = np.random.default_rng(1).permutation(
            np.arange(N_BASE, len(self.walker.joint_names)))

    def step(self, torque, n_steps=1):
        """Hold a torque [N m] for some physics steps."""
        self.walker.data.ctrl[:] = torque / self.walker.torque_limit
        mujoco.mj_step(self.walker.model, self.walker.data, nstep=n_steps)

    def joint_states(self, stamp):
        names, qpos, qvel = self.walker.joint_names, self.walker.qpos, self.walker.qvel
        msg = JointState(
            name=['gripper', *(names[i] for i in self._order)],
            position=[0.0, *qpos[self._order].tolist()],
            velocity=[np.nan, *qvel[self._order].tolist()])
        msg.header.stamp = stamp_from_nanoseconds(stamp)
        return msg

    def truth(self, stamp):
        """Return every joint, base included, exactly."""
        msg = JointState(name=self.walker.joint_names, position=self.walker.qpos.tolist(),
                         velocity=self.walker.qvel.tolist())
        msg.header.stamp = stamp_from_nanoseconds(stamp)
        return msg

    def odometry(self, stamp):
        """Return pose and body-frame twist of the torso, as MuJoCo's kinematics have them."""
        data = self._scratch
        data.qpos[:], data.qvel[:] = self.walker.data.qpos, self.walker.data.qvel
        mujoco.mj_forward(self.walker.model, data)
        twist = np.zeros(6)  # angular, linear
        mujoco.mj_objectVelocity(self.walker.model, data, mujoco.mjtObj.mjOBJ_XBODY,
                                 self._torso, twist, 1)
        msg = Odometry(child_frame_id='torso')
        msg.header.frame_id = 'odom'
        msg.header.stamp = stamp_from_nanoseconds(stamp)
        position, orientation = msg.pose.pose.position, msg.pose.pose.orientation
        position.x, position.y, position.z = data.xpos[self._torso]
        orientation.w, orientation.x, orientation.y, orientation.z = data.xquat[self._torso]
        angular, linear = msg.twist.twist.angular, msg.twist.twist.linear
        angular.x, angular.y, angular.z, linear.x, linear.y, linear.z = twist
        return msg


class HardwareDriver(Node):
    """
    Runs a bench in wall time.

    :param seed: of the initial state.
    :param jitter: longest time that a message is late, uniform from zero [s].
    :param skew: how far the stamps are ahead of the system clock [s].
    :param fault: what breaks: one of ``FAULTS``, or nothing.
    :param fault_time: when it does, after the first command [s]; at 0 it is so from the start.
    :param rate: of joint states [Hz], a divisor of 1000.
    """

    def __init__(self, *, seed=0, jitter=0.0, skew=0.0, fault='', fault_time=0.0,
                 rate=1000):
        super().__init__(NAME)
        self._bench = Bench(seed)
        self._rng = np.random.default_rng(seed)
        self._jitter, self._skew = jitter, round(skew * NANOSECONDS)
        assert fault in ('', *FAULTS), f'{fault} is none of {FAULTS}'
        self._fault, self._fault_time = fault, fault_time
        self._simulated = 0.0  # since the first command [s]
        self._state_steps = round(1 / TIMESTEP / rate)
        self._torque = None  # the last command [N m]
        self._n_commands, self._commanded = 0, 0
        self._late = []  # (when to send [ns], publisher, message)
        self._states = self.create_publisher(JointState, JOINT_STATES.path, 10)
        self._odometry = self.create_publisher(Odometry, ODOMETRY.path, 10)
        self._truth = self.create_publisher(JointState, 'truth', 100)
        self._reports = self.create_publisher(DiagnosticArray, DIAGNOSTICS.path, 10)
        self.create_subscription(Float64MultiArray, COMMANDS.path,
                                 self._on_command, 1)

    def _on_command(self, msg):
        torque = np.array(msg.data)
        if torque.shape == self._bench.walker.torque_limit.shape and np.isfinite(torque).all():
            self._torque = torque  # anything else forward_command_controller drops
            self._n_commands += 1
            self._commanded = time.time_ns()

    def run(self, stop):
        """Simulate until the event is set."""
        step_time = round(TIMESTEP * NANOSECONDS)
        start = time.time_ns()
        step = reported = 0
        healthy_until = None
        x_start = self._bench.walker.position
        while not stop.is_set():
            now = time.time_ns()
            while start + (step + 1) * step_time <= now:
                step += 1
                if self._torque is not None:
                    self._bench.step(self._torque)
                    self._simulated += TIMESTEP
                if healthy_until is None and not self._bench.walker.is_healthy:
                    healthy_until = self._simulated
                self._measure(step, start + step * step_time)
            if step - reported >= REPORT_STEPS:  # once it has caught up with the commands
                reported = step
                self._report(healthy_until, x_start)
            self._send(now)
            time.sleep(TIMESTEP / 4)

    def _measure(self, step, now):
        stamp = now + self._skew
        fault = self._fault if self._simulated >= self._fault_time else ''
        if step % self._state_steps == 0:
            msg = self._bench.joint_states(stamp)
            if fault == 'encoder':
                msg.velocity[msg.name.index('leg_joint')] = np.nan
            if fault not in ('joint_states', 'all'):
                self._queue(now, self._states, msg)
            self._truth.publish(self._bench.truth(stamp))
        if step % ODOMETRY_STEPS == 0 and fault not in ('odometry', 'all'):
            self._queue(now, self._odometry, self._bench.odometry(stamp))

    def _queue(self, now, publisher, msg):
        late = round(self._rng.uniform(0.0, self._jitter) * NANOSECONDS)
        # A transport is late, but it does not overtake itself.
        last = max((due for due, p, _ in self._late if p is publisher), default=0)
        self._late.append((max(now + late, last), publisher, msg))

    def _send(self, now):
        due = [entry for entry in self._late if entry[0] <= now]
        self._late = [entry for entry in self._late if entry[0] > now]
        for _, publisher, msg in due:
            publisher.publish(msg)

    def _report(self, healthy_until, x_start):
        walker = self._bench.walker
        torque = np.zeros_like(walker.torque_limit) if self._torque is None else self._torque
        facts = {'time': self._simulated, 'distance': walker.position - x_start,
                 'fell': healthy_until is not None, 'healthy_until': healthy_until,
                 'commands': self._n_commands, 'torque': torque.tolist(),
                 'largest_speed': float(np.abs(walker.qvel).max()),
                 'command_age': (time.time_ns() - self._commanded) / NANOSECONDS}
        self._reports.publish(msg_from_facts(
            self, 'walker2d', 'running', facts, level=DiagnosticStatus.OK,
            stamp=self.get_clock().now().to_msg()))


@contextmanager
def driver_process(**settings: object) -> Iterator[subprocess.Popen]:
    """Run a driver as a process of its own, with the settings of ``HardwareDriver``."""
    process = subprocess.Popen([sys.executable, str(Path(__file__)), json.dumps(settings)],
                               env={**environment(), 'PYTHONPATH': os.pathsep.join(sys.path)})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIME)
        finally:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('settings', type=json.loads)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    driver = HardwareDriver(**parser.parse_args().settings)

    def spin():
        with suppress(ExternalShutdownException):
            rclpy.spin(driver)

    commands = threading.Thread(target=spin)
    commands.start()
    try:
        driver.run(stop)
    finally:
        rclpy.try_shutdown()
        commands.join()


if __name__ == '__main__':
    main()
