# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Serve measurements and the clock, which must not wait, in threads of their own."""

from collections.abc import Callable
import threading
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from ..common.topics import CLOCK
from .group_server import GroupServer

POLL_PERIOD = 0.1  # [s], longest time until something new in the group is noticed
N_THREADS = 2  # one that serves, and one that does what takes longer


class _Group(CallbackGroup):
    """Callbacks that only our threads execute; executors of other threads pass them over."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def can_execute(self, entity: object) -> bool:
        del entity
        return threading.get_ident() in self.threads

    def beginning_execution(self, entity: object) -> bool:
        return self.can_execute(entity)

    def ending_execution(self, entity: object) -> None:
        """Nothing to release: one thread executes one callback after the other."""


class ControlThread:
    """
    Serve a callback group of a node in threads of its own, from ``start`` to ``close``.

    The node's executor serves everything else. To answer a service call may block that executor
    for 0.1 s: the middleware waits until it has discovered the caller, which has often just
    started.

    Two threads take turns (leader and followers, Schmidt et al. 2000): one serves the group. When
    a callback calls ``defer``, this thread goes on with what takes longer, and the other one
    serves. So a plan begins in the thread that received its state, without a hand-over, and what
    comes meanwhile does not wait.

    :param on_fault: called in the thread with the exception that ended it.
    """

    def __init__(self, node: Node, on_fault: Callable[[BaseException], None]) -> None:
        self.group = _Group()
        """For subscriptions, timers and services that are to be served here."""
        self._node = node
        self._on_fault = on_fault
        self._server = GroupServer(node, self.group)
        self._serving = threading.Lock()
        self._deferred: Callable[[], None] | None = None
        self._is_closed = False
        self._threads = [threading.Thread(target=self._run, name=f'control {k}')
                         for k in range(N_THREADS)]

    def start(self) -> None:
        """Begin to serve."""
        self.adopt_clock()
        for thread in self._threads:
            thread.start()

    @property
    def identifiers(self) -> list[int]:
        """The identifiers of its threads in Linux."""
        return [thread.native_id for thread in self._threads if thread.native_id is not None]

    def adopt_clock(self) -> None:
        """Serve the subscription of the clock, too, which rclpy makes with ``use_sim_time``."""
        topic = self._node.resolve_topic_name(CLOCK.name)
        for subscription in self._node.subscriptions:
            if subscription.topic_name == topic:
                # Its events, too: rmw_fastrtps wakes an executor that waits for them at every
                # message.
                entities: tuple[Any, ...] = (subscription, *subscription.event_handlers)
                for entity in entities:
                    entity.callback_group = self.group
        self._server.wake()

    def wake(self) -> None:
        """Notice at once what is new in the group."""
        self._server.wake()

    def defer(self, function: Callable[[], None]) -> None:
        """
        Call a function in this thread while another one serves; for callbacks of the group.

        A callback may defer one function, and no other until that has ended.
        """
        self._deferred = function

    def close(self) -> None:
        """End the threads."""
        self._is_closed = True
        self._server.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._server.close()

    def _has_deferred(self) -> bool:
        return self._deferred is not None

    def _run(self) -> None:
        self.group.threads.add(threading.get_ident())
        try:
            while not self._is_closed:
                self._take_turn()
        except Exception as fault:
            # Nobody would catch it here; the node raises it when it is closed.
            self._is_closed = True
            self._on_fault(fault)

    def _take_turn(self) -> None:
        """Serve until a callback defers something, and do that."""
        deferred = None
        try:
            with self._serving:
                try:
                    while self._deferred is None and not self._is_closed:
                        self._server.serve(POLL_PERIOD, until=self._has_deferred)
                finally:
                    deferred, self._deferred = self._deferred, None
        finally:
            if deferred is not None:  # in any case: somebody waits for its end
                deferred()
