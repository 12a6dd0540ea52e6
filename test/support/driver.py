# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Plays the driver of a robot for a planner that is under test."""

import time

from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_processes import spin_for, TIME_LIMIT
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
from walker import Walker2D

from diffusion_planner_ros.messages.stamps import NO_STATE
from diffusion_planner_ros.nodes.common.conversions import (
    stamp_from_nanoseconds,
    torque_from_msg,
)
from diffusion_planner_ros.nodes.common.topics import CLOCK, COMMANDS, JOINT_STATES, PLAN

PERIOD = 8_000_000  # [ns]
APART = 100_000  # control periods between the times of two tests: a leap, after which all is new
JOINTS = Walker2D().joint_names

# Of a planner that answers whatever states a test makes up, one after the other.
SETTINGS = {'lockstep': True, 'use_sim_time': True, 'ramp_time': 0.0, 'ood_warn': 0.0,
            'ood_stop': 0.0, 'max_jump': 0.0, 'max_state_deviation': 0.0, 'max_equal_states': 0}


class Driver:
    """
    Plays the robot's driver: shows states, collects torques.

    :param n_before: tests that used the same planner before; each has a time of its own.
    :param namespace: of the robot, as ``robot1``; the clock is that of all robots.
    """

    def __init__(self, node, n_before=0, namespace=''):
        self.node = node
        self._namespace = f'/{namespace}' if namespace else ''
        self.commands = []
        self.plans = []
        self._origin = n_before * APART
        self._clock_msg = None
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._states = node.create_publisher(JointState, self._name_of(JOINT_STATES), qos)
        self._clock = node.create_publisher(Clock, CLOCK.path, qos)
        node.create_subscription(Float64MultiArray, self._name_of(COMMANDS),
                                 self.commands.append, 10)
        node.create_subscription(JointTrajectory, self._name_of(PLAN), self.plans.append, 10)

    def _name_of(self, topic):
        return f'{self._namespace}/{topic.path}'

    def is_connected(self):
        return (self._states.get_subscription_count() > 0
                and self._clock.get_subscription_count() > 0
                and self.node.count_publishers(self._name_of(COMMANDS)) > 0
                and self.node.count_publishers(self._name_of(PLAN)) > 0)

    def stamp(self, step):
        """Return the time of a step of this test [ns]."""
        return (self._origin + step) * PERIOD

    def show(self, step, position, velocity, names=JOINTS):
        msg = JointState(name=list(names), position=list(position), velocity=list(velocity))
        msg.header.stamp = stamp_from_nanoseconds(self.stamp(step))
        self._states.publish(msg)

    def show_until(self, condition, step, position, velocity, names=JOINTS):
        """Show one state again and again, as a best-effort listener may miss it."""
        deadline = time.monotonic() + TIME_LIMIT
        while not condition():
            assert time.monotonic() < deadline, f'nothing came of the state of step {step}'
            if self._clock_msg is not None:
                self._clock.publish(self._clock_msg)
            self.show(step, position, velocity, names)
            spin_for(self.node, 0.1)

    def set_clock(self, step):
        self._clock_msg = Clock(clock=stamp_from_nanoseconds(self.stamp(step)))
        self._clock.publish(self._clock_msg)

    def only_stopped(self):
        """Return whether all commands that came were stop commands of no torque."""
        return all(torque_from_msg(msg)[1] == NO_STATE and not any(msg.data)
                   for msg in self.commands)

    def answer(self, step, position, velocity, names=JOINTS):
        """Show a state and return the torque that answers it."""
        self.commands.clear()
        self.set_clock(step)
        self.show_until(lambda: self.commands, step, position, velocity, names)
        torque, stamp = torque_from_msg(self.commands[-1])
        assert stamp == self.stamp(step)
        return torque
