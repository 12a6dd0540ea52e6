"""Other nodes that command the same joints: two of them would fight for the robot."""

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from std_msgs.msg import Float64MultiArray

from ..errors import ConflictError
from .publishers import Gid, listed, PATIENCE, Senders

LEASE = 25.0  # [s] after which DDS has forgotten a process that was killed
CONTEST = 3.0  # [s] after activation within which two that did not hear each other find out
LOOK_PERIOD = 0.05  # [s]


class CommandConflicts:
    """
    Notice other publishers of commands, before this node commands and while it does.

    Before, it listens: a publisher in the graph is no proof, for DDS lists a killed process for up
    to 20 s more, and a planner that takes its place must not wait for that. While it commands it
    looks at the graph alone: whoever appears there then is alive.

    :param topic: of the commands.
    :param group: callback group to listen in.
    """

    def __init__(self, node: Node, topic: str, group: CallbackGroup) -> None:
        self._node = node
        self._topic = topic
        self._group = group
        self._senders = Senders()
        self._subscription: Subscription | None = None
        self._since: dict[Gid, float] = {}  # steady time at which it was first listed [s]
        self._dead: set[Gid] = set()  # listed, but silent, when we began to command
        self._own: Gid | None = None
        self._began_at = 0.0  # steady time at which we began to command [s]

    def listen(self) -> None:
        """Listen for commands of others, while we send none."""
        self._own = None
        if self._subscription is None:
            self._subscription = self._node.create_subscription(
                Float64MultiArray, self._topic, self._on_command,
                QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
                callback_group=self._group)

    def ignore(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._senders.clear()

    def _on_command(self, msg: Float64MultiArray, info: dict[str, Any]) -> None:
        del msg
        self._senders.hear(info)

    def _others(self) -> dict[Gid, str]:
        """Return the other publishers that the graph lists, and note since when it does."""
        found = listed(self._node, self._topic)
        found.pop(self._own, None)
        now = time.monotonic()
        self._since = {gid: self._since.get(gid, now) for gid in found}
        return found

    def check(self) -> None:
        """
        Refuse to command beside another node; wait until those that are silent count as dead.

        :raises ConflictError: if another node commands the joints.
        """
        while others := self._others():
            if alive := self._senders.alive():
                names = sorted({name for gid, name in others.items() if gid in alive}
                               or set(others.values()))
                raise ConflictError(f"'{self._node.resolve_topic_name(self._topic)}' is commanded "
                                    f'by {", ".join(names)}; deactivate it first')
            new = [since for gid, since in self._since.items() if not self._senders.has_heard(gid)]
            if time.monotonic() - max(new, default=0.0) > PATIENCE:
                break
            time.sleep(LOOK_PERIOD)
        self._dead = set(others)

    def begin(self) -> None:
        """Take the publisher that this node made after ``check`` for its own."""
        name = self._node.get_fully_qualified_name()
        new = [gid for gid, n in listed(self._node, self._topic).items()
               if n == name and gid not in self._dead]
        # Of two with one name, made in one moment, either may be ours: take the one that yields.
        self._own = max(new, default=None)
        self._began_at = time.monotonic()
        self.ignore()

    def names(self) -> list[str]:
        """Return the full names of the other nodes that command; look once a second or so."""
        others = self._others()
        if time.monotonic() - self._began_at < LEASE:
            others = {gid: name for gid, name in others.items() if gid not in self._dead}
        return sorted(others.values())

    def yields(self) -> bool:
        """
        Return whether to leave the robot to another node that began at the same time.

        Two that begin within a moment cannot hear each other. Both come to the same conclusion,
        for both know the gids.
        """
        rivals = set(self._since) - self._dead
        is_young = time.monotonic() - self._began_at < CONTEST
        return is_young and self._own is not None and any(gid < self._own for gid in rivals)
