# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Messages of an MCAP file that was cut off: it has neither an index nor an end.

Records are read one after the other (https://mcap.dev/spec), also those of a chunk whose end is
missing, up to the first one that is not complete.
"""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
import struct
import sys
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor

from ...errors import DatasetError
from .bag_message import BagMessage

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdDecompressor, ZstdError

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x03, 0x04, 0x05, 0x06  # opcodes of records
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, times when recorded and published [ns]
CHUNK_HEAD = 28  # [bytes] of times, size and checksum

# What is there of a compressed chunk, decompressed.
DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    '': lambda data: data,
    'lz4': lambda data: LZ4FrameDecompressor().decompress(data),
    'zstd': lambda data: ZstdDecompressor().decompress(data)}


def mcap_messages(file: Path) -> Iterator[BagMessage]:
    """
    Yield the messages of a file, as far as it goes, in the order in which they were written.

    :raises DatasetError: if it does not begin as an MCAP file does, or is compressed in an unknown
        way.
    """
    with file.open('rb') as stream:
        begin = stream.read(len(MAGIC))
        if begin != MAGIC:
            raise DatasetError(f'{file}: begins with {begin!r}, expected {MAGIC!r} of an MCAP '
                               'file; is it a copy of a whole file?')
        yield from _messages(file, stream, {}, {})


def _records(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yield opcode and content of every record, and whether it is complete; only a last is not."""
    while len(head := stream.read(9)) == 9:
        opcode, size = struct.unpack('<BQ', head)
        content = stream.read(size)
        yield opcode, content, len(content) == size


def _messages(file: Path, stream: BinaryIO, schemas: dict[int, str],
              channels: dict[int, tuple[str, str]]) -> Iterator[BagMessage]:
    """
    Yield the messages of a stream of records.

    :param schemas: names of the types by number; completed here.
    :param channels: names of topic and type by number; completed here.
    """
    for opcode, content, is_complete in _records(stream):
        if opcode == CHUNK:
            if (records := _chunk(file, content)) is not None:
                yield from _messages(file, BytesIO(records), schemas, channels)
        elif not is_complete:
            return
        elif opcode == SCHEMA:
            (number,) = struct.unpack_from('<H', content)
            schemas[number] = _text(content, 2)
        elif opcode == CHANNEL:
            number, schema = struct.unpack_from('<HH', content)
            channels[number] = _text(content, 4), schemas.get(schema, '')
        elif opcode == MESSAGE:
            number, _, received, _ = MESSAGE_HEAD.unpack_from(content)
            if number in channels:
                yield BagMessage(*channels[number], received, content[MESSAGE_HEAD.size:])


def _chunk(file: Path, content: bytes) -> bytes | None:
    """Return the records of a chunk, as far as they go; None if its head is missing or damaged."""
    if len(content) < CHUNK_HEAD + 4:
        return None
    (size,) = struct.unpack_from('<I', content, CHUNK_HEAD)
    begin = CHUNK_HEAD + 4 + size + 8  # of the records, after the name of the compression
    if len(content) < begin:
        return None
    compression = _text(content, CHUNK_HEAD)
    if compression not in DECOMPRESS:
        raise DatasetError(f"{file}: is compressed with '{compression}', expected one of "
                           'none, lz4 and zstd; convert it with: mcap compress')
    try:
        return DECOMPRESS[compression](content[begin:])
    except (RuntimeError, ZstdError):  # of lz4 and of zstd
        return None


def _text(content: bytes, at: int) -> str:
    (size,) = struct.unpack_from('<I', content, at)
    return content[at + 4:at + 4 + size].decode(errors='replace')
