# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Write files so that a full disk leaves nothing behind that looks complete, and say so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """
    Give the name of a scratch file to write to; complete, it takes the place of ``file``.

    A device or a pipe has no place to take and is written to itself.

    :raises OutputError: naming the file, if it cannot be written.
    """
    target = file.resolve()
    is_replaced = target.is_file() or not target.exists()
    # The same ending: writers of pictures choose the format by it.
    scratch = target.with_name(f'.partial.{target.name}') if is_replaced else file
    try:
        yield scratch
        if is_replaced:
            scratch.replace(target)
    except OSError as error:
        raise OutputError(f'{file}: cannot be written ({error.strerror or error}), expected a '
                          'file in a folder that is there, yours to write to and not full'
                          ) from error
    finally:
        if is_replaced:
            scratch.unlink(missing_ok=True)


@contextmanager
def in_words(file: Path, *faults: type[Exception]) -> Iterator[None]:
    """
    Say in one line why a new file cannot be written.

    :param faults: what its writer raises beside ``OSError``.
    :raises OutputError: naming the file, if it is there already or cannot be written.
    """
    refused: tuple[type[Exception], ...] = (OSError, *faults)
    try:
        yield
    except FileExistsError as error:
        raise OutputError(f'{file}: is there already, expected a new file; name another one or '
                          'delete it') from error
    except refused as error:
        reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())
        raise OutputError(f'{file}: cannot be written ({reason}), expected a file in a folder '
                          'that is there, yours to write to and not full') from error


def check_new(file: Path) -> None:
    """
    Check that a new file can be made, and leave none.

    :raises OutputError: naming the file, if it is there already or cannot be written.
    """
    with in_words(file):
        file.open('xb').close()
        file.unlink()
