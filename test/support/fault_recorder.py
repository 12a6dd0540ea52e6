# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Hears all that a robot is told and all that it does, to measure how a fault is stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
import time

from lifecycle import Health
import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_processes import observer, spin_until
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from diffusion_planner_ros.messages.stamps import NANOSECONDS, nanoseconds_from_stamp, NO_STATE
from diffusion_planner_ros.nodes.common.conversions import torque_from_msg
from diffusion_planner_ros.nodes.common.topics import COMMANDS, JOINT_STATES

LIMIT = 100.0  # [N m], of every joint of Walker2D
DEPTH = 5000  # messages: who records misses none, however late it comes to read them
N_JOINTS = 6


@dataclass(frozen=True)
class Command:
    """One torque, as it was sent."""

    sent: float
    """By its sender, on the system clock [s]."""
    torque: np.ndarray
    """[N m], shape (A,)."""
    answered: int | None
    """Stamp of the state that it answers [ns]."""

    @property
    def is_stop(self):
        return self.answered == NO_STATE and not self.torque.any()


@dataclass(frozen=True)
class State:
    """One state of the robot, as it was sent; repeated ones are left out."""

    sent: float
    """By its sender, on the system clock [s]."""
    stamp: int
    """[ns]"""
    effort: np.ndarray
    """What the motors did until then [N m], shape (A,)."""


class Recorder:
    """
    Records commands, states and health by the time at which they were sent.

    That is what the sender wrote beside the message, so that it does not matter how late the test
    gets to see it.
    """

    def __init__(self, node):
        self.node = node
        self.health = Health(node)
        self.commands = []
        self.states = []
        self.shown = {}  # when the state of a stamp was last sent [s], by stamp [ns]
        qos = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(Float64MultiArray, COMMANDS.path,
                                 self._on_command, qos)
        node.create_subscription(JointState, JOINT_STATES.path, self._on_state, qos)

    def _on_command(self, msg, info):
        torque, answered = torque_from_msg(msg)
        self.commands.append(Command(info['source_timestamp'] / NANOSECONDS, torque, answered))

    def _on_state(self, msg, info):
        stamp = nanoseconds_from_stamp(msg.header.stamp)
        self.shown[stamp] = sent = info['source_timestamp'] / NANOSECONDS
        if not self.states or stamp != self.states[-1].stamp:
            self.states.append(State(sent, stamp, np.array(msg.effort[-N_JOINTS:])))

    def clear(self):
        self.commands.clear()
        self.states.clear()

    def check(self):
        """Fail if any command could have hurt the robot."""
        for command in self.commands:
            assert command.torque.shape == (N_JOINTS,), command
            assert np.isfinite(command.torque).all(), command
            assert np.abs(command.torque).max() <= LIMIT, command

    def wait(self, condition: Callable[[], object], what, process=None):
        """Wait for something and return it."""
        spin_until(self.node, condition, what, process)
        return condition()

    def commands_since(self, moment):
        return [c for c in self.commands if c.sent >= moment]

    def stop_after(self, moment):
        """Return the first stop command after a moment, None before it came."""
        return next((c for c in self.commands_since(moment) if c.is_stop), None)

    def stop_at(self, moment):
        """
        Return the command with which the stop began that there is at a moment.

        None before it came, or if torque is commanded then.
        """
        before = [c for c in self.commands if c.sent <= moment]
        n_stops = next((n for n, c in enumerate(reversed(before)) if not c.is_stop), len(before))
        return before[-n_stops] if n_stops else None

    def plan_after(self, moment):
        """Return the first planned torque after a moment, None before it came."""
        return next((c for c in self.commands_since(moment)
                     if c.answered != NO_STATE and c.torque.any()), None)

    def rest_after(self, moment):
        """Return the first state after a moment without torque, None before it came."""
        return next((s for s in self.states if s.sent >= moment and not s.effort.any()), None)

    def motion_after(self, moment):
        """Return the first state after a moment that a torque led to, None before it came."""
        return next((s for s in self.states if s.sent >= moment and s.effort.any()), None)

    def last_before(self, moment):
        return [s for s in self.states if s.sent < moment][-1]

    def wait_for_steps(self, n, process=None):
        """Wait until the robot has made some more steps, each under a torque."""
        begin = time.time()
        self.wait(lambda: sum(s.sent >= begin and s.effort.any() for s in self.states) >= n,
                  f'{n} steps', process)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record in a node of the test's own; at the end no command may have been a bad one."""
    with observer() as node:
        recorder = Recorder(node)
        yield recorder
        recorder.check()


def milliseconds(times):
    """Return times [s] as text: one, or median and largest of several [ms]."""
    times = np.atleast_1d(times) * 1e3
    if len(times) == 1:
        return f'{times[0]:.0f}'
    return f'{np.median(times):.0f} (median of {len(times)}), at most {times.max():.0f}'


def row(record_property, fault, *, stop, sent, reported, recovery):
    """Keep one row of the fault table, which ``fault_report.py`` prints."""
    record_property('fault', json.dumps({
        'fault': fault, 'time to stop [ms]': stop, 'sent': sent, 'reported': reported,
        'recovery': recovery}))
