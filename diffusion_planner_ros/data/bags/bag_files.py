# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Open a recording of ``ros2 bag``: whole ones through ``rosbags``, damaged ones by ourselves."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import re
import struct
import sys

import apsw
from rosbags.rosbag2 import Reader, ReaderError

from ...errors import DatasetError
from .bag_message import BagMessage
from .cut_mcap import mcap_messages
from .cut_sqlite import sqlite_messages

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError

METADATA_FILE = 'metadata.yaml'
COMPRESSED = '.zstd'
STORAGES: Mapping[str, Callable[[Path], Iterator[BagMessage]]] = {
    '.mcap': mcap_messages, '.db3': sqlite_messages}
# What rosbags and the libraries below it raise for a damaged file.
FAULTS = (ReaderError, OSError, EOFError, struct.error, TypeError, RuntimeError, apsw.Error,
          ZstdError)


class BagDamageError(Exception):
    """A recording is damaged; it can be read as far as it goes."""


@dataclass(frozen=True)
class BagTopic:
    """What a recording has of a topic."""

    type: str
    """Name of its type, or of several."""
    n_messages: int


@dataclass(frozen=True)
class Bag:
    """An open recording."""

    topics: Mapping[str, BagTopic]
    """By their full names."""
    messages: Callable[[Collection[str]], Iterator[BagMessage]]
    """Returns the messages of topics in the order in which they were recorded; raises
    ``BagDamageError``."""
    damage: str = ''
    """Why it was read as far as it goes; empty for a whole recording."""


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a recording: its folder, or a file in it."""
    return path.suffix in STORAGES or (path.is_dir() and (
        (path / METADATA_FILE).is_file() or any(storage_files(path))))


@contextmanager
def open_whole(path: Path) -> Iterator[Bag]:
    """
    Open a recording that nothing is missing of.

    :raises BagDamageError: if it is damaged.
    """
    try:
        reader = Reader(path)
        reader.open()
    except FAULTS as error:
        raise BagDamageError(str(error)) from error
    try:
        topics: dict[str, BagTopic] = {}
        for name, info in reader.topics.items():
            types = sorted({c.msgtype for c in info.connections})
            topics[name] = BagTopic(' and '.join(types), info.msgcount)

        def messages(names: Collection[str]) -> Iterator[BagMessage]:
            connections = [c for c in reader.connections if c.topic in names]
            try:
                for connection, received, data in reader.messages(connections):
                    yield BagMessage(connection.topic, connection.msgtype, received, data)
            except FAULTS as error:
                raise BagDamageError(str(error)) from error
        yield Bag(topics, messages)
    finally:
        reader.close()


def open_damaged(path: Path, damage: str) -> Bag:
    """
    Open a recording as far as it goes.

    :param damage: what ``rosbags`` says about it.
    :raises DatasetError: if there is nothing to read.
    """
    files = [file for file in storage_files(path) if file.stat().st_size]
    if not files:
        advice = (f'decompress those that end in {COMPRESSED} with zstd -d' if any(
            file.suffix == COMPRESSED for file in path.iterdir()) else
            f'put them beside {METADATA_FILE}')
        raise DatasetError(f'{path}: not readable ({damage}), expected files that end in '
                           f'{" or ".join(STORAGES)}; {advice}')

    def messages(names: Collection[str] | None = None) -> Iterator[BagMessage]:
        for file in files:
            try:
                for message in STORAGES[file.suffix](file):
                    if names is None or message.topic in names:
                        yield message
            except OSError as error:
                raise DatasetError(f'{file}: cannot be read ({error.strerror}), expected a file '
                                   'that is yours to read') from error
    counts = Counter((message.topic, message.type) for message in messages())
    return Bag({topic: BagTopic(kind, n) for (topic, kind), n in counts.items()}, messages, damage)


def storage_files(path: Path) -> list[Path]:
    """
    Return the files of a recording in the order in which they were written, _9 before _10.

    :param path: its folder, or one file of it, which stands for itself.
    """
    if not path.is_dir():
        return [path]
    return sorted((f for f in path.iterdir() if f.suffix in STORAGES), key=lambda file: [
        int(part) if part.isdigit() else part for part in re.split(r'(\d+)', file.name)])
