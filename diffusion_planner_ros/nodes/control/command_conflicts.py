"""Other nodes that command the same joints: two of them would fight for the robot."""

from collections.abc import Callable
import math
import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Float64MultiArray

from ...errors import ConflictError
from ..common.topics import COMMANDS, PLANNER
from .publishers import Gid, LEASE, listed, participant_of, sender_of, Senders, UNKNOWN

CONTEST = 3.0  # [s] after activation within which two that began at once find each other
CLEARLY = 125  # messages, a second of them


class CommandConflicts:
    """
    Notice other publishers of commands, before this node commands and while it does.

    Publishers are compared by their gids: names can be the same. Before, it listens: a publisher
    that was heard and has fallen silent counts as dead, and a planner that takes its place need
    not wait until the graph has forgotten it. While it commands, it looks at the graph alone, but
    for the first seconds: discovery takes its time, and two may have begun without knowing of each
    other.

    :param group: callback group to listen in.
    :param on_stranger: called in the thread of the group when another node is heard first.
    """

    def __init__(self, node: Node, group: CallbackGroup,
                 on_stranger: Callable[[], None]) -> None:
        self._node = node
        self._on_stranger = on_stranger
        self._topic = COMMANDS.path
        self._group = group
        self._senders = Senders()
        self._subscription: Subscription | None = None
        self._dead: set[Gid] = set()  # listed, but silent, when we began to command
        self._participant = participant_of(node)
        self._began_at = -math.inf  # steady time at which we began to command [s]

    @property
    def is_listening(self) -> bool:
        """Whether it hears the commands."""
        return self._subscription is not None

    def listen(self) -> None:
        """Listen for commands."""
        if self._subscription is None:
            self._subscription = PLANNER.subscription(
                self._node, COMMANDS, self._on_command, group=self._group)

    def ignore(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._senders.clear()

    def _on_command(self, msg: Float64MultiArray, info: dict[str, Any]) -> None:
        del msg
        is_first = not self._senders.has_heard(gid := sender_of(info))
        self._senders.hear(info)
        if is_first and not self._is_ours(gid):
            self._on_stranger()

    def check(self) -> None:
        """
        Refuse to command beside another node.

        :raises ConflictError: if another node commands the joints, or may begin to.
        """
        found = listed(self._node, self._topic)
        alive = {gid for gid in self._senders.alive() if not self._is_ours(gid)}
        names = sorted(name for gid, name in found.items() if not self._is_ours(gid) and (
            {gid, UNKNOWN} & alive or not self._senders.has_heard(gid)))
        if names:
            raise ConflictError(
                f"'{self._node.resolve_topic_name(self._topic)}' is commanded by "
                f'{", ".join(names)}; deactivate it first, and if it was killed, try again after '
                '20 s')
        self._dead = set(found)

    def begin(self) -> None:
        """Take note that this node commands from now on."""
        self._began_at = time.monotonic()

    @property
    def is_contested(self) -> bool:
        """Whether it began so lately that others may not know."""
        return time.monotonic() - self._began_at < CONTEST

    def others(self) -> dict[Gid, str]:
        """Return the full names of the nodes that command beside us, by gid."""
        is_settled = time.monotonic() - self._began_at > LEASE
        return {gid: name for gid, name in listed(self._node, self._topic).items()
                if not self._is_ours(gid) and (is_settled or gid not in self._dead)}

    def yields(self, others: dict[Gid, str]) -> bool:
        """
        Return whether to leave the robot to another node, having only begun.

        Of two, the one that has clearly sent less yields: both hear how many messages that is.
        Otherwise the gids decide.
        """
        def rank(gid: Gid) -> tuple[int, Gid]:
            return self._senders.number(gid) // CLEARLY, gid

        if not (others and self.is_contested):
            return False
        own = [rank(gid) for gid in listed(self._node, self._topic) if self._is_ours(gid)]
        return any(rank(gid) > max(own) for gid in others if own)

    def _is_ours(self, gid: Gid) -> bool:
        return gid.startswith(self._participant)
