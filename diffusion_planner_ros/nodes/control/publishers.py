# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who publishes on a topic: the publishers that DDS lists, and those whose messages come."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
import time
from uuid import uuid4

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.utilities import get_rmw_implementation_identifier
from std_msgs.msg import Empty

from ...errors import PlannerError

Gid = bytes  # of a publisher; no two have the same
UNKNOWN: Gid = b''  # of the sender of a message in rclpy before Kilted, which does not tell it
GID_LENGTH, PREFIX_LENGTH = 16, 12  # [bytes]
UNKNOWN_NAME = '_NODE_NAME_UNKNOWN_'  # what rmw lists until it has received the name of a node
NAMELESS = 'a node whose name is not known yet'  # what we call it in texts
SILENCE = 0.5  # [s] without a message after which a publisher counts as dead
N_INTERVALS = 3  # for a slow publisher, that time is this many times its last interval
LEASE = 25.0  # [s] after which DDS no longer lists a process that was killed
LISTING_TIME = 10.0  # [s] in which the middleware has to list a publisher of ours; it may be busy


def participant_of(node: Node) -> Gid:
    """
    Return the first bytes of the gids of all publishers of this process: its participant.

    (RTPS 2.5, section 9.3.1: a GUID is a prefix of 12 bytes and the entity's own 4.)

    :raises PlannerError: if the middleware does not list a publisher of ours.
    """
    publisher = node.create_publisher(Empty, f'_{uuid4().hex}', 1)  # a topic of nobody else
    try:
        return gid_of_new(node, publisher)[:PREFIX_LENGTH]
    finally:
        node.destroy_publisher(publisher)


def gid_of_new(node: Node, publisher: Publisher, *, participant: Gid = b'',
               before: Container[Gid] = ()) -> Gid:
    """
    Return the gid of a publisher that was just created; rclpy does not tell it.

    :param participant: as from ``participant_of``, where other processes use the topic, too.
    :param before: gids that were listed on the topic before it was created.
    :raises PlannerError: if the middleware does not list it for ``LISTING_TIME``.
    """
    deadline = time.monotonic() + LISTING_TIME
    while True:
        for gid in listed(node, publisher.topic_name):
            if gid.startswith(participant) and gid not in before:
                return gid
        if time.monotonic() > deadline:
            raise PlannerError(f'{get_rmw_implementation_identifier()} does not list our own '
                               'publishers, expected a middleware that does, as rmw_fastrtps_cpp')
        time.sleep(LISTING_TIME / 100)


def listed(node: Node, topic: str) -> dict[Gid, str]:
    """
    Return the full names of the nodes that publish on a topic, by the gids of their publishers.

    DDS lists a process that was killed for up to 20 s more, in all processes that knew it.
    """
    return {bytes(info.endpoint_gid)[:GID_LENGTH]:
            NAMELESS if info.node_name == UNKNOWN_NAME
            else f'{info.node_namespace.rstrip("/")}/{info.node_name}'
            for info in node.get_publishers_info_by_topic(topic)}


def sender_of(info: Mapping) -> Gid:
    """Return the gid of the sender of a message, from the message info of rclpy."""
    gid = info.get('publisher_gid')
    return UNKNOWN if gid is None else bytes(gid['data'])[:GID_LENGTH]


@dataclass(frozen=True)
class _Heard:
    at: float
    """When the last message came, on the steady clock [s]."""
    interval: float
    """Time between the last two messages [s]; ``LEASE`` after the first one."""
    number: int
    """How many messages the sender has sent, 0 if the middleware does not tell."""


class Senders:
    """Which publishers are alive, judged by when their messages came. Thread-safe."""

    def __init__(self) -> None:
        self._heard: dict[Gid, _Heard] = {}

    def hear(self, info: Mapping) -> None:
        """Note a message, by its message info of rclpy."""
        sender, now = sender_of(info), time.monotonic()
        last = self._heard.get(sender)
        self._heard[sender] = _Heard(now, LEASE if last is None else now - last.at,
                                     info.get('publication_sequence_number') or 0)

    def clear(self) -> None:
        """Forget all."""
        self._heard = {}

    def number(self, sender: Gid) -> int:
        """Return how many messages a publisher has sent; 0 if that is not known."""
        heard = self._heard.get(sender)
        return 0 if heard is None else heard.number

    def has_heard(self, sender: Gid) -> bool:
        """Return whether a message of it came; if senders are ``UNKNOWN``, of anyone."""
        return sender in self._heard or UNKNOWN in self._heard

    def alive(self) -> set[Gid]:
        """Return the gids of the publishers whose last message is recent."""
        now = time.monotonic()
        return {gid for gid, heard in self._heard.copy().items()
                if now - heard.at < max(SILENCE, N_INTERVALS * heard.interval)}
