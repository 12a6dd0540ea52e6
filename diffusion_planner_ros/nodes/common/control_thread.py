"""Serve measurements and the clock, which must not wait, in a thread of their own."""

from collections.abc import Callable
import threading

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from .topics import CLOCK
from .warning_executor import WarningExecutor

POLL_PERIOD = 0.1  # [s], longest time until something new in the group is noticed


class _Group(CallbackGroup):
    """Callbacks that only one thread executes; executors of other threads pass them over."""

    thread: int | None = None

    def can_execute(self, entity: object) -> bool:
        del entity
        return threading.get_ident() == self.thread

    def beginning_execution(self, entity: object) -> bool:
        return self.can_execute(entity)

    def ending_execution(self, entity: object) -> None:
        """Nothing to release: one thread executes one callback after the other."""


class _Executor(WarningExecutor):
    """Executes the callbacks of one group of a node that belongs to another executor."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        super().__init__(context=node.context)
        self._node = node
        self._group = group

    def get_nodes(self) -> list[Node]:
        return [self._node]

    def can_execute(self, entity: Subscription | Timer) -> bool:
        return entity.callback_group is self._group and super().can_execute(entity)


class ControlThread:
    """
    Serve a callback group of a node in a thread of its own, from ``start`` to ``close``.

    The node's executor serves everything else. To answer a service call may block that executor
    for 0.1 s: the middleware waits until it has discovered the caller, which has often just
    started.

    :param on_fault: called in the thread with the exception that ended it.
    """

    def __init__(self, node: Node, on_fault: Callable[[BaseException], None]) -> None:
        self.group = _Group()
        """For subscriptions, timers and services that are to be served here."""
        self._node = node
        self._on_fault = on_fault
        self._executor = _Executor(node, self.group)
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name='control')

    def start(self) -> None:
        """Begin to serve."""
        self.adopt_clock()
        self._thread.start()

    def adopt_clock(self) -> None:
        """Serve the subscription of the clock, too, which rclpy makes with ``use_sim_time``."""
        topic = self._node.resolve_topic_name(CLOCK.name)
        for subscription in self._node.subscriptions:
            if subscription.topic_name == topic:
                # Its events, too: rmw_fastrtps wakes an executor that waits for them at every
                # message.
                for entity in (subscription, *subscription.event_handlers):
                    entity.callback_group = self.group
        self._executor.wake()

    def wake(self) -> None:
        """Notice at once what is new in the group."""
        self._executor.wake()

    def close(self) -> None:
        """End the thread."""
        self._is_closed = True
        self._executor.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._executor.shutdown()

    def _run(self) -> None:
        self.group.thread = threading.get_ident()
        try:
            while not self._is_closed:
                self._executor.spin_once(timeout_sec=POLL_PERIOD)
        except Exception as fault:
            # Nobody would catch it here; the node raises it when it is closed.
            self._on_fault(fault)
