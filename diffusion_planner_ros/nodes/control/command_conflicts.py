# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Notice other nodes that command the same joints: one robot must follow one node only."""

from collections.abc import Callable
import math
from threading import Lock
import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from std_msgs.msg import Float64MultiArray

from ...errors import ConflictError, PlannerError
from ..common.topics import COMMANDS, PLANNER
from .publishers import (
    Gid,
    gid_of_new,
    LEASE,
    listed,
    participant_of,
    sender_of,
    Senders,
    UNKNOWN,
)

CONTEST = 3.0  # [s] after activation in which planners that began at the same time find each other
N_CLEAR = 125  # messages, those of a second: a smaller difference may be chance
# Planners of one process begin one after the other, so that each knows which publisher is its own.
_beginning = Lock()


class CommandConflicts:
    """
    Notice other publishers of commands, before this node commands and while it does.

    Publishers are compared by their gids, because nodes may have the same name.

    Before this node commands, it subscribes to the commands. A publisher that has sent some, and
    then no more, counts as dead. So a planner can take its place at once: DDS lists a process that
    was killed for up to 20 s more.

    While this node commands, it looks at the list of publishers only. In the first seconds it
    stays subscribed as well: discovery takes time, and two planners may have begun without knowing
    of each other.

    :param node: that commands; publisher and subscription are made in it.
    :param group: callback group of the subscription.
    :param on_other: called in the thread of the group at the first message of another node.
    :raises PlannerError: if the middleware does not list the node's own publishers.
    """

    def __init__(self, node: Node, group: CallbackGroup,
                 on_other: Callable[[], None]) -> None:
        self._node = node
        self._on_other = on_other
        self._topic = COMMANDS.path
        self._group = group
        self._senders = Senders()
        self._subscription: Subscription | None = None
        self._own: set[Gid] = set()
        self._dead: set[Gid] = set()  # listed, but silent, when we began to command
        self._participant = participant_of(node)
        self._began_at = -math.inf  # steady time at which we began to command [s]

    @property
    def is_listening(self) -> bool:
        """Whether it is subscribed to the commands."""
        return self._subscription is not None

    def listen(self) -> None:
        """Subscribe to the commands, unless it is subscribed."""
        if self._subscription is None:
            self._subscription = PLANNER.subscription(
                self._node, COMMANDS, self._on_command, group=self._group)

    def ignore(self) -> None:
        """End the subscription, and forget who was heard."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._senders.clear()

    def _on_command(self, msg: Float64MultiArray, info: dict[str, Any]) -> None:
        del msg
        is_first = not self._senders.has_heard(gid := sender_of(info))
        self._senders.hear(info)
        if is_first and gid not in self._own:
            self._on_other()

    def begin(self) -> Publisher:
        """
        Create this node's publisher of commands: it commands from now on.

        :return: the publisher, for the caller to destroy.
        :raises ConflictError: if another node commands the joints, or may begin to.
        :raises PlannerError: if the middleware does not list the new publisher.
        """
        with _beginning:
            self._check()
            publisher = PLANNER.publisher(self._node, COMMANDS)
            try:
                self._own.add(gid_of_new(self._node, publisher, participant=self._participant,
                                         before=self._dead))
            except PlannerError:
                self._node.destroy_publisher(publisher)
                raise
        self._began_at = time.monotonic()
        return publisher

    def _check(self) -> None:
        found = listed(self._node, self._topic)
        alive = self._senders.alive()
        names = sorted(name for gid, name in found.items() if gid not in self._own and (
            {gid, UNKNOWN} & alive or not self._senders.has_heard(gid)))
        if names:
            raise ConflictError(
                f"'{self._node.resolve_topic_name(self._topic)}' is commanded by "
                f'{", ".join(names)}; deactivate it first, and if it was killed, try again after '
                '20 s')
        self._dead = set(found)

    @property
    def is_contested(self) -> bool:
        """Whether this node began so lately that others may not have noticed yet."""
        return time.monotonic() - self._began_at < CONTEST

    def others(self) -> dict[Gid, str]:
        """Return the full names of the other nodes that command, by the gid of the publisher."""
        is_forgotten = time.monotonic() - self._began_at > LEASE
        return {gid: name for gid, name in listed(self._node, self._topic).items()
                if gid not in self._own and (is_forgotten or gid not in self._dead)}

    def yields(self, others: dict[Gid, str]) -> bool:
        """
        Return whether this node, which has only begun, has to leave the robot to another one.

        Of two nodes, the one that has clearly sent fewer commands yields; both know the numbers
        from the messages. If they are about equal, the one with the smaller gid yields.

        :param others: as from ``others``.
        """
        def rank(gid: Gid) -> tuple[int, Gid]:
            return self._senders.number(gid) // N_CLEAR, gid

        if not (others and self.is_contested):
            return False
        own = [rank(gid) for gid in listed(self._node, self._topic) if gid in self._own]
        return any(rank(gid) > max(own) for gid in others if own)
