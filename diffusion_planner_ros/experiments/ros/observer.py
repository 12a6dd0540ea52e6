# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A node that watches the planner and whatever it commands, each a process, from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import subprocess
import time
from typing import TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from ...errors import PlannerError
from ...nodes.common.diagnostics import facts_from_msg
from ...nodes.common.join_graph import join_graph
from ...nodes.common.topics import (
    CHANGE_PLANNER_STATE,
    CLOCK,
    COMMANDS,
    DIAGNOSTICS,
    JOINT_STATES,
    PLAN,
    SESSION,
)
from .service_calls import change_state

STALL_TIME = 30.0  # [s] without what is waited for after which a walk is given up
SERVICE_TIME = 10.0  # [s] that a service has to answer
CHECK_PERIOD = 0.2  # [s] between looks for another robot


class Observer(Node):
    """Watches processes and the reports of the planner; make it with ``observing``."""

    def __init__(self) -> None:
        super().__init__(SESSION.node_name)
        self.processes: dict[str, subprocess.Popen] = {}
        """Running nodes by name."""
        self.planner: dict[str, str] = {}
        """Latest diagnostics of the planner."""
        self._n_reports = 0  # of the planner
        self._next_check = 0.0
        self._is_interrupted = False
        self._has_rival = False  # as the robot reports, which may hear of it before we do
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        SESSION.subscription(self, DIAGNOSTICS, self.on_diagnostics)
        self._lifecycle_client = CHANGE_PLANNER_STATE.client(self)

    def watch(self, name: str, process: subprocess.Popen) -> None:
        """Notice when this process ends."""
        self.processes[name] = process

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        """Take a report."""
        if (planner := facts_from_msg(msg, 'planner')) is not None:
            self.planner = planner
            self._n_reports += 1

    def interrupt(self, signum: int, frame: object) -> None:
        """Signal handler: end the session at its next turn."""
        del signum, frame
        self._is_interrupted = True

    def turn(self) -> None:
        """
        Handle a message that has come, or wait a moment for one.

        :raises PlannerError: if a node ended or another robot is in the domain.
        :raises KeyboardInterrupt: after SIGINT or SIGTERM.
        """
        self._executor.spin_once(timeout_sec=0.1)
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._check_alone()
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise PlannerError(f'the {name} node ended with exit code {process.returncode}; '
                                   'its output above says why')

    def wait_until(self, condition: Callable[[], bool], failure: str) -> None:
        """
        Wait until a condition holds.

        :param failure: what to say otherwise.
        :raises PlannerError: if it does not for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        while not condition():
            if time.monotonic() > deadline:
                raise PlannerError(failure)
            self.turn()

    def wait_for_report(self) -> None:
        """
        Wait for the next report of the planner, which is to be active.

        :raises PlannerError: if none comes for ``STALL_TIME``, or it is of a planner that ended.
        """
        n_before = self._n_reports
        self.wait_until(lambda: self._n_reports > n_before,
                        f'no report of the planner in {STALL_TIME} s')
        if 'stops' not in self.planner:
            raise PlannerError(f"the planner is {self.planner['state']}, expected it to be active "
                               'still; its output above says why')

    def start_planner(self) -> None:
        """
        Configure and activate a planner that does not start by itself.

        :raises PlannerError: if it cannot be started.
        """
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            try:
                succeeded = change_state(self, self._lifecycle_client, transition, turn=self.turn,
                                         limit=SERVICE_TIME)
            except TimeoutError as error:
                raise PlannerError(str(error)) from None
            if not succeeded:
                raise PlannerError('the planner cannot be started; its output above says why')

    def _check_alone(self) -> None:
        """
        Refuse to share a ROS domain: two planners would command the same robot.

        Call it again and again: discovery takes time, and another robot may start later.

        :raises PlannerError: if there is another robot or planner.
        """
        if time.monotonic() < self._next_check and not self._has_rival:
            return
        self._next_check = time.monotonic() + CHECK_PERIOD
        # A robot in a namespace does not disturb, unless it publishes our clock.
        if self._has_rival or any(self.count_publishers(topic.path) > 1
                                  for topic in (JOINT_STATES, COMMANDS, PLAN, CLOCK)):
            domain = os.environ.get('ROS_DOMAIN_ID', '0')
            raise PlannerError(f'another robot, planner or clock runs in ROS domain {domain}; end '
                               'it, or set ROS_DOMAIN_ID to a number from 1 to 101 that is free')


@contextmanager
def _interruptible(node: Observer) -> Iterator[None]:
    """
    Let SIGINT and SIGTERM raise an exception in the node's next ``turn``.

    Python would raise it at any place, and lose it where this is a callback from C code.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, node.interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


AnyObserver = TypeVar('AnyObserver', bound=Observer)


@contextmanager
def observing(build: Callable[[], AnyObserver]) -> Iterator[AnyObserver]:
    """
    Join the ROS domain with an observer; processes are to be started within.

    Discovery stays on this machine unless ``ROS_AUTOMATIC_DISCOVERY_RANGE`` says otherwise.
    """
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    join_graph()  # Ctrl-C does not close our context before the nodes are stopped
    try:
        node = build()
        try:
            with _interruptible(node):
                yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
