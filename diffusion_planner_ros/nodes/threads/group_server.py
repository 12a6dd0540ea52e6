# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Wait for the subscriptions and timers of one callback group, and call their callbacks."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
import time
from typing import Any, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from ..common.conversions import NANOSECONDS
from ..common.warning_executor import warning_of, WarningExecutor

Entity = TypeVar('Entity')
EVENT_PERIOD = 1.0  # [s] between two looks for events, such as a publisher of another quality


class _Executor(WarningExecutor):
    """Executes the callbacks of one group of a node that belongs to another executor."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        super().__init__(context=node.context)
        self._node = node
        self._group = group

    def get_nodes(self) -> list[Node]:
        return [self._node]

    def can_execute(self, entity: Any) -> bool:
        return entity.callback_group is self._group and super().can_execute(entity)


class GroupServer:
    """
    Serves the subscriptions and timers of a group by a wait set of its own.

    This takes a third of the time of rclpy's executor, which builds a coroutine for every message
    and looks through all entities of a node, before and after waiting. What is rare, services and
    events, is left to such an executor.
    """

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        self._node = node
        self._group = group
        self._executor = _Executor(node, group)
        self._wakes = GuardCondition(None, None, node.context)
        self._look_at = 0.0  # when to look for events next, on the steady clock [s]

    def wake(self) -> None:
        """End the waiting; other threads may call this."""
        self._wakes.trigger()

    def close(self) -> None:
        """Free everything."""
        self._executor.shutdown()
        self._wakes.destroy()

    def serve(self, timeout: float, until: Callable[[], bool]) -> None:
        """
        Wait until something has come, and call its callbacks.

        :param timeout: longest time to wait [s].
        :param until: whether to leave what else has come to the next call, asked after a callback.
        """
        with warning_of(self._node), ExitStack() as held:
            subscriptions = self._held(self._node.subscriptions, held)
            timers = self._held(self._node.timers, held)
            services = self._held(self._node.services, held)
            context = self._node.context.handle
            assert context is not None  # rclpy is initialised where there are nodes
            held.enter_context(context)
            ready = self._wait(context, timeout, subscriptions, timers, services)
            for timer in timers:
                if timer.handle.pointer in ready['timer'] and timer.handle.is_timer_ready():
                    timer.handle.call_timer()
                    # No timer of a group that is served takes more than nothing.
                    timer.callback()  # type: ignore[misc, call-arg]
                    if until():
                        return
            for subscription in subscriptions:
                if subscription.handle.pointer in ready['subscription']:
                    _take(subscription)
                    if until():
                        return
        now = time.monotonic()
        if ready['service'] or now >= self._look_at:
            self._look_at = now + EVENT_PERIOD
            self._executor.spin_once(timeout_sec=0)

    def _held(self, entities: Iterable[Entity], held: ExitStack) -> list[Entity]:
        """Return those of the group, kept until the stack ends."""
        ours: list[Any] = [*entities]
        return [e for e in ours if e.callback_group is self._group and _is_held(e, held)]

    def _wait(self, context: Any, timeout: float, subscriptions: list[Subscription],
              timers: list[Timer], services: list[Any]) -> dict[str, list[int]]:
        """Wait; return the pointers of what is ready by the kind of entity."""
        wait_set = rclpy_implementation.WaitSet(
            len(subscriptions), 1, len(timers), 0, len(services), 0, context)
        wait_set.clear_entities()
        wait_set.add_guard_condition(self._wakes.handle)
        for subscription in subscriptions:
            wait_set.add_subscription(subscription.handle)
        for timer in timers:
            wait_set.add_timer(timer.handle)
        for service in services:
            wait_set.add_service(service.handle)
        wait_set.wait(round(timeout * NANOSECONDS))
        return {kind: wait_set.get_ready_entities(kind)
                for kind in ('subscription', 'timer', 'service')}


def _is_held(entity: Any, held: ExitStack) -> bool:
    """Keep an entity until the stack ends; return False if another thread has destroyed it."""
    try:
        held.enter_context(entity.handle)
    except InvalidHandle:
        return False
    return True


def _take(subscription: Subscription) -> None:
    """Call the callback of a subscription with the message that has come."""
    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    if taken is None:
        return
    message, info = taken
    callback: Callable[..., None] = subscription.callback
    if subscription._callback_type is Subscription.CallbackType.MessageOnly:
        callback(message)
    else:
        callback(message, info)
