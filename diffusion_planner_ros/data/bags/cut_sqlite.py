# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of an SQLite file of ``ros2 bag`` that was cut off."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from ...errors import DatasetError
from .bag_message import BagMessage

VFS_NAME = 'whole-pages'
SMALLEST_PAGE = 512  # [bytes]
FileName = str | apsw.URIFilename | None
PAGE_SIZE_AT = 16  # in the head of a file, two bytes, big-endian; 1 is 65536


class _WholePages(apsw.VFS):
    """
    Files without a last page that is not complete.

    SQLite would take what is missing of that page to be zero, and so a part of a message.
    """

    def __init__(self, name: str, page_size: int) -> None:
        super().__init__(name, '')
        self.name = name
        self.page_size = page_size

    def xOpen(self, name: FileName, flags: list[int]) -> 'apsw.VFSFile':  # noqa: N802
        return _WholePagesFile(name, flags, self.page_size)


class _WholePagesFile(apsw.VFSFile):

    def __init__(self, name: FileName, flags: list[int], page_size: int) -> None:
        super().__init__('', name, flags)
        self._page_size = page_size

    def xFileSize(self) -> int:  # noqa: N802
        return super().xFileSize() // self._page_size * self._page_size


def sqlite_messages(file: Path) -> Iterator[BagMessage]:
    """
    Yield the messages of a file, as far as it goes, in the order in which they were written.

    :raises DatasetError: if it is no recording, or its first pages are missing.
    """
    with file.open('rb') as stream:
        head = stream.read(PAGE_SIZE_AT + 2)
    size = int.from_bytes(head[PAGE_SIZE_AT:], 'big')
    files = _WholePages(VFS_NAME, 65536 if size == 1 else max(size, SMALLEST_PAGE))
    try:
        connection = apsw.Connection(
            f'{file.resolve().as_uri()}?immutable=1',
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=files.name)
    except apsw.Error as error:
        raise _not_readable(file, error) from error
    with closing(connection):
        try:
            # SQLite opens a file that is shorter than its head says only if its schema may be
            # mended.
            connection.execute('PRAGMA writable_schema = ON')
            topics = {number: (name, kind) for number, name, kind in connection.execute(
                'SELECT id, name, type FROM topics')}
            rows = connection.execute('SELECT topic_id, timestamp, data FROM messages ORDER BY id')
        except apsw.Error as error:
            raise _not_readable(file, error) from error
        while (row := _next(rows)) is not None:
            number, received, data = row
            if number in topics:
                yield BagMessage(*topics[number], received, data)


def _next(rows: apsw.Cursor) -> tuple[int, int, bytes] | None:
    """Return the next row; None after the last that is there."""
    try:
        return next(rows, None)
    except apsw.Error:
        return None


def _not_readable(file: Path, error: apsw.Error) -> DatasetError:
    return DatasetError(f'{file}: not readable as an SQLite file of ros2 bag ({error}), expected '
                        'tables topics and messages; is it a copy of a whole file?')
