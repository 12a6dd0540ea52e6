# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Records what the nodes of a robot publish, for the tools of others: MCAP."""

from collections import deque
from dataclasses import dataclass
from functools import partial
import os
from pathlib import Path
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock

from ..errors import ConfigError
from ..messages.stamps import nanoseconds_from_stamp
from ..settings import check_settings, document_settings, setting
from .common.diagnostics import msg_from_facts
from .common.parameters import declare
from .common.run_node import run_node
from .common.topics import (
    best_effort,
    CLOCK,
    CMD_VEL,
    DIAGNOSTICS,
    JOINT_STATES,
    kept,
    MCAP_RECORDER,
    PLAN,
    RECORDER_DEPTH,
    REWARD,
)
from .recording.last_messages import LastMessages
from .recording.loss_counter import LossCounter
from .recording.mcap_writer import McapWriter
from .recording.message_sorter import MessageSorter

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # it is not among the wheels of ROS
    TRANSFORMS: dict[str, tuple[type, QoSProfile]] = {}
else:
    TRANSFORMS = {'/tf': (TFMessage, best_effort(RECORDER_DEPTH)),
                  '/tf_static': (TFMessage, kept(RECORDER_DEPTH))}

HOLD = 0.5  # [s] that a message is held back, until those of other topics have come
LOOK_PERIOD = 0.05  # [s] between looks for messages that have waited long enough
FLUSH_PERIOD = 1.0  # [s] of messages that a kill costs, beside those that are held back
DIAGNOSTICS_PERIOD = 1.0  # [s]
NICENESS = 5  # the robot goes first; a core that others want as well still leaves it a quarter
N_EARLY = 1000  # messages that wait for the first clock


@document_settings
@dataclass(frozen=True)
class McapRecorderConfig:
    """Parameters of the recorder of all topics."""

    file: str = setting('', 'MCAP file to write; it must not be there yet.', read_only=True)
    use_stamped_vel: bool = setting(
        False, 'Whether `cmd_vel` is a `TwistStamped`, as the parameter of the planner.',
        read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.file:
            raise ConfigError("file is '', expected the name of a file to write")


@dataclass(eq=False)
class _Topic:
    """A topic that is recorded."""

    name: str
    """Its full name."""
    type: type
    number: int | None = None
    """In the file; None before its first message."""


@dataclass(frozen=True)
class _Message:
    """A message of a topic, serialised, and when it was published and received [ns]."""

    topic: _Topic
    data: bytes
    published: int
    received: int
    sequence: int


class McapRecorder(Node):
    """
    Write the messages of planner and robot to a file as they are, in the order of publication.

    Nearly all subscriptions are best effort, so that no publisher waits for this node; only
    topics whose last message is kept for late subscribers are heard reliably. With
    ``use_sim_time``, messages are recorded at simulated time, which is that of the newest clock
    that was published before them.
    """

    def __init__(self) -> None:
        super().__init__(MCAP_RECORDER.node_name)
        config = declare(self, McapRecorderConfig)
        self._is_simulated = bool(self.get_parameter('use_sim_time').value)
        self._now: int | None = None  # simulated time [ns]
        self._early: deque[_Message] = deque(maxlen=N_EARLY)  # messages before the first clock
        self._losses = LossCounter()
        self._messages = MessageSorter(HOLD)
        self._last = LastMessages(HOLD)
        self._n_told = 0  # messages of which a warning said that they got lost
        self._writer = McapWriter(Path(config.file))
        self._topics = {}
        for end in MCAP_RECORDER.subscribed:
            is_stamped = end.topic == CMD_VEL and config.use_stamped_vel
            topic = _Topic(self.resolve_topic_name(MCAP_RECORDER.name_of(end.topic)),
                           TwistStamped if is_stamped else end.topic.type)
            MCAP_RECORDER.subscription(self, end.topic, partial(self._put, topic), raw=True,
                                       kind=topic.type)
            self._topics[end.topic] = topic
        for name, (kind, qos) in TRANSFORMS.items():
            self.create_subscription(kind, name, partial(self._put, _Topic(
                self.resolve_topic_name(name), kind)), qos, raw=True)
        self._diagnostics = MCAP_RECORDER.publisher(self, DIAGNOSTICS)
        wall = RosClock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD, self._look, clock=wall)
        self.create_timer(FLUSH_PERIOD, self._writer.flush, clock=wall)
        self.create_timer(DIAGNOSTICS_PERIOD, self._report, clock=wall)
        self.get_logger().info(f'recording to {config.file}')

    # The life of the process

    def stop(self) -> None:
        """Be done when all messages that were published so far have come."""
        self._last.stop()

    @property
    def is_done(self) -> bool:
        """Whether all messages that were published before ``stop`` was called have come."""
        return self._last.have_come

    def close(self) -> None:
        """Write what has not been written, unless the file cannot be written."""
        if not self._writer.has_failed:
            self._messages.release_all()
            self._writer.close()
            self._warn()
            self.get_logger().info(f'{self._writer.file}: {self._writer.n_messages} messages of '
                                   f'{self._writer.n_topics} topics')

    # Messages

    def _put(self, topic: _Topic, data: bytes, info: dict[str, Any]) -> None:
        now = time.time_ns()
        self._losses.see(info)
        published = info['source_timestamp'] or now
        self._last.see(published)
        message = _Message(topic, data, published, info['received_timestamp'] or now,
                           (info['publication_sequence_number'] or 0) % 2**32)
        self._messages.put(published, time.monotonic(), partial(self._handle, message))

    def _look(self) -> None:
        self._messages.release(time.monotonic())

    def _handle(self, message: _Message) -> None:
        """Write a message; those of all topics come in the order in which they were published."""
        if not self._is_simulated:
            self._write(message, message.received)
            return
        if message.topic is self._topics[CLOCK]:
            clock = deserialize_message(message.data, Clock).clock
            self._now = max(0, nanoseconds_from_stamp(clock))
            while self._early:
                self._write(self._early.popleft(), self._now)
        if self._now is None:
            self._losses.n_lost += len(self._early) == N_EARLY
            self._early.append(message)
        else:
            self._write(message, self._now)

    def _write(self, message: _Message, received: int) -> None:
        topic = message.topic
        if topic.number is None:
            publishers = self.get_publishers_info_by_topic(topic.name)
            hashes = [str(p.topic_type_hash) for p in publishers]
            topic.number = self._writer.add_topic(
                topic.name, topic.type, offered=[p.qos_profile for p in publishers],
                type_hash=hashes[0] if hashes else '')
        self._writer.write(topic.number, message.data, received=received,
                           published=message.published, sequence=message.sequence)

    # What it tells

    def _warn(self) -> None:
        """Warn of messages that got lost since the last warning."""
        if (n_lost := self._losses.n_lost) > self._n_told:
            self._n_told = n_lost
            self.get_logger().warning(
                f'{n_lost} messages did not get here in time and are not in {self._writer.file}; '
                'is the computer or its disk too busy?')

    def _report(self) -> None:
        self._warn()
        is_hearing = self._topics[JOINT_STATES].number is not None
        self._diagnostics.publish(msg_from_facts(
            self, '', 'recording' if is_hearing else 'waiting for joint states',
            {'state': 'recording' if is_hearing else 'waiting',
             'file': self._writer.file, 'topics': self._writer.n_topics,
             'messages': self._writer.n_messages, 'lost': self._losses.n_lost,
             'plan_publishers': self.count_publishers(PLAN.path),
             'reward_publishers': self.count_publishers(REWARD.path)},
            level=DiagnosticStatus.OK if is_hearing else DiagnosticStatus.WARN,
            stamp=self.get_clock().now().to_msg()))


def main(argv: list[str] | None = None) -> None:
    """Run the recorder of all topics."""
    os.nice(NICENESS)
    run_node(McapRecorder, argv)
