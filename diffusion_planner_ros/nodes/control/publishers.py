"""Who publishes on a topic: whom the graph lists, and who is heard."""

from collections.abc import Mapping
from dataclasses import dataclass
import time
from uuid import uuid4

from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier
from std_msgs.msg import Empty

from ...errors import PlannerError

Gid = bytes  # of a publisher; no two have the same
UNKNOWN: Gid = b''  # where rclpy does not tell who sent a message (before Kilted)
GID_LENGTH, PREFIX_LENGTH = 16, 12  # [bytes]
UNKNOWN_NAME = '_NODE_NAME_UNKNOWN_'  # as rmw calls a node whose name has not come yet
NAMELESS = 'a node whose name is not known yet'  # as we do
SILENCE = 0.5  # [s] after which a publisher that sent at the control rate counts as dead
N_INTERVALS = 3  # a slower sender may be silent for so many of its last interval
LEASE = 25.0  # [s] after which DDS has forgotten a process that was killed
LISTING_TIME = 1.0  # [s] that the middleware has to list a publisher of ours


def participant_of(node: Node) -> Gid:
    """
    Return what the gids of all publishers of this process begin with, the participant's prefix.

    (RTPS 2.5, section 9.3.1: a GUID is a prefix of 12 bytes and the entity's own 4.)

    :raises PlannerError: if the middleware does not list a publisher of ours.
    """
    topic = f'_{uuid4().hex}'  # nobody else has it
    publisher = node.create_publisher(Empty, topic, 1)
    deadline = time.monotonic() + LISTING_TIME
    while not (gids := list(listed(node, topic))):
        if time.monotonic() > deadline:
            raise PlannerError(f'{get_rmw_implementation_identifier()} does not list our own '
                               'publishers, expected a middleware that does, as rmw_fastrtps_cpp')
        time.sleep(LISTING_TIME / 100)
    node.destroy_publisher(publisher)
    return gids[0][:PREFIX_LENGTH]


def listed(node: Node, topic: str) -> dict[Gid, str]:
    """
    Return the full names of the nodes that publish on a topic, by the gid of their publishers.

    DDS goes on to list a process that was killed for up to 20 s, to those that knew it before.
    """
    return {bytes(info.endpoint_gid)[:GID_LENGTH]:
            NAMELESS if info.node_name == UNKNOWN_NAME
            else f'{info.node_namespace.rstrip("/")}/{info.node_name}'
            for info in node.get_publishers_info_by_topic(topic)}


def sender_of(info: Mapping) -> Gid:
    """Return who sent a message, by what rclpy tells of it."""
    gid = info.get('publisher_gid')
    return UNKNOWN if gid is None else bytes(gid['data'])[:GID_LENGTH]


@dataclass(frozen=True)
class _Heard:
    at: float
    """When the last message came [s]."""
    interval: float
    """From the one before it [s]; after the first one nobody knows."""
    number: int
    """How many messages the sender has sent, 0 where the middleware does not tell."""


class Senders:
    """Publishers that are alive, for their messages come. Thread-safe."""

    def __init__(self) -> None:
        self._heard: dict[Gid, _Heard] = {}

    def hear(self, info: Mapping) -> None:
        """Take note of a message by what rclpy tells of it."""
        sender, now = sender_of(info), time.monotonic()
        last = self._heard.get(sender)
        self._heard[sender] = _Heard(now, LEASE if last is None else now - last.at,
                                     info.get('publication_sequence_number') or 0)

    def clear(self) -> None:
        """Forget all."""
        self._heard = {}

    def number(self, sender: Gid) -> int:
        """Return how many messages it has sent, as far as is known."""
        heard = self._heard.get(sender)
        return 0 if heard is None else heard.number

    def has_heard(self, sender: Gid) -> bool:
        """Return whether it ever sent; where that cannot be known, whether anyone did."""
        return sender in self._heard or UNKNOWN in self._heard

    def alive(self) -> set[Gid]:
        """Return those that may be expected to send again."""
        now = time.monotonic()
        return {gid for gid, heard in self._heard.copy().items()
                if now - heard.at < max(SILENCE, N_INTERVALS * heard.interval)}
