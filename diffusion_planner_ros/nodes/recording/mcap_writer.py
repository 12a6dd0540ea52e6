# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Write serialised messages to an MCAP file, as ``ros2 bag`` does."""

from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TYPE_CHECKING

from rclpy.duration import Duration
from rclpy.qos import QoSProfile
import yaml

from ...errors import OutputError
from ...files import check_new, in_words
from ...messages.stamps import NANOSECONDS
from .message_definition import message_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcap.writer import Writer


def check_mcap(file: Path) -> None:
    """
    Check that a file can be recorded, and leave none.

    :raises OutputError: if it is there already, cannot be written, or mcap is missing.
    """
    _library(file)
    check_new(file)


def _library(file: Path) -> 'type[Writer]':
    try:
        from mcap.writer import Writer
    except ImportError as error:
        raise OutputError(f'{file}: cannot be written without mcap; install it (pip install mcap, '
                          'or the extra mcap of this package)') from error
    return Writer


class McapWriter:
    """
    Writes one message after the other, in compressed chunks.

    Whatever happens after ``flush``, the messages before it stay readable. Schemas and metadata
    are those that ``ros2 bag`` writes, https://mcap.dev/spec/registry#ros2.

    :param file: to be made.
    :raises OutputError: if it is there already, cannot be written, or mcap is missing.
    """

    def __init__(self, file: Path) -> None:
        writer = _library(file)
        self.file = file
        self.n_topics = self.n_messages = 0
        self.has_failed = False
        """Whether something could not be written; nothing else is then."""
        self._schemas: dict[type, int] = {}
        with in_words(file):
            self._stream = file.open('xb')
        with self._in_words():
            self._writer = writer(self._stream)
            self._writer.start(profile='ros2')
            self._stream.flush()

    def add_topic(self, name: str, kind: type, *, offered: Iterable[QoSProfile],
                  type_hash: str) -> int:
        """
        Add a topic; return its number.

        :param name: its full name.
        :param kind: class of its messages.
        :param offered: quality of service of its publishers.
        :param type_hash: of ``kind``, as ROS computes it; '' where that is not known.
        :raises OutputError: if the file cannot be written.
        """
        with self._in_words():
            if kind not in self._schemas:
                self._schemas[kind] = self._writer.register_schema(
                    f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}', 'ros2msg',
                    message_definition(kind).encode())
            number = self._writer.register_channel(name, 'cdr', self._schemas[kind], {
                'offered_qos_profiles': yaml.safe_dump([_facts(qos) for qos in offered]),
                'topic_type_hash': type_hash})
        self.n_topics += 1
        return number

    def write(self, topic: int, data: bytes, *, received: int, published: int, sequence: int
              ) -> None:
        """
        Write a message.

        :param topic: its number.
        :param data: serialised.
        :param received: time on the clock of ROS [ns].
        :param published: time on the clock of the computer [ns].
        :param sequence: its number among those of its publisher.
        :raises OutputError: if the file cannot be written.
        """
        with self._in_words():
            self._writer.add_message(topic, received, data, published, sequence)
        self.n_messages += 1

    def flush(self) -> None:
        """
        Let what was written survive the end of the process.

        :raises OutputError: if the file cannot be written.
        """
        with self._in_words():
            self._writer.flush()

    def close(self) -> None:
        """
        Write the index and close the file.

        :raises OutputError: if the file cannot be written.
        """
        with self._in_words():
            self._writer.finish()
            self._stream.close()

    @contextmanager
    def _in_words(self) -> 'Iterator[None]':
        if self.has_failed:
            raise OutputError(f'{self.file}: something before could not be written, and '
                              'nothing more is')
        try:
            with in_words(self.file):
                yield
        except OutputError:
            self.has_failed = True
            with suppress(OSError):  # it tries to write again
                self._stream.close()
            raise


def _facts(qos: QoSProfile) -> dict[str, Any]:
    """Return a profile as recordings hold it; all versions of ``ros2 bag`` read the numbers."""
    def time(duration: Duration) -> dict[str, int]:
        sec, nsec = divmod(duration.nanoseconds, NANOSECONDS)
        return {'sec': sec, 'nsec': nsec}
    return {
        'history': int(qos.history), 'depth': qos.depth, 'reliability': int(qos.reliability),
        'durability': int(qos.durability), 'deadline': time(qos.deadline),
        'lifespan': time(qos.lifespan), 'liveliness': int(qos.liveliness),
        'liveliness_lease_duration': time(qos.liveliness_lease_duration),
        'avoid_ros_namespace_conventions': qos.avoid_ros_namespace_conventions}
