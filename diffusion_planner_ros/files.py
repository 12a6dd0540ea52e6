"""Write files so that a full disk leaves nothing behind that looks complete."""

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
