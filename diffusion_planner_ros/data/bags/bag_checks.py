# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether the files of a recording can be what their names say, before they are read."""

from pathlib import Path

from ...errors import DatasetError
from .bag_files import METADATA_FILE, storage_files

BEGINS = {'.mcap': b'\x89MCAP', '.db3': b'SQLite format 3'}  # of files, by the end of their names


def check_files(path: Path) -> None:
    """
    Check that messages are in the files that are read, and in files of the storage that is named.

    :param path: folder of a recording, or one file of it.
    :raises DatasetError: if all files are empty, one is of another storage, or a recorder was
        killed that kept messages in SQLite's write-ahead log.
    """
    files = storage_files(path)
    for file in files:
        _check_merged(file)
        _check_storage(file)
    if files and not any(file.stat().st_size for file in files):
        raise DatasetError(f'{files[0]}: is empty, expected messages; copy it again, or record '
                           'again: was the recorder killed?')


def _check_merged(file: Path) -> None:
    log = file.with_name(f'{file.name}-wal')
    if log.is_file() and log.stat().st_size:
        raise DatasetError(f'{log}: holds messages that are not in {file.name} yet, expected '
                           'none; was the recorder killed? Merge them: sqlite3 '
                           f"{file} 'PRAGMA wal_checkpoint(TRUNCATE)'")


def _check_storage(file: Path) -> None:
    try:
        with file.open('rb') as stream:
            begin = stream.read(max(map(len, BEGINS.values())))
    except OSError as error:
        raise DatasetError(f'{file}: cannot be read ({error.strerror}), expected a file that is '
                           'yours to read; change its permissions') from error
    for suffix, text in BEGINS.items():
        if suffix != file.suffix and begin.startswith(text):
            raise DatasetError(f'{file}: is what a file that ends in {suffix} holds, expected '
                               f'what one that ends in {file.suffix} does; rename it, and delete '
                               f'{METADATA_FILE} beside it')
