"""What the verbs print: progress while they work, a report at the end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
import os
import sys
import time
from typing import Any

from tqdm import tqdm

from ..errors import OutputError, PlannerError

FOR_FILES = ('run', 'course')
"""Parts of a report that a page is made of; they are too long for a person at a terminal."""


class Progress:
    """A progress bar; call it with the number of steps done since the last call."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    @property
    def n(self) -> int:
        """Steps done so far."""
        return int(self._bar.n)

    def __call__(self, n_done: int, **figures: str) -> None:
        """Move on by ``n_done`` steps and show figures beside the bar."""
        if figures:
            self._bar.set_postfix(figures, refresh=False)
        self._bar.update(n_done)


@contextmanager
def progress(title: str, total: int | None, *, unit: str, done: int = 0) -> Iterator[Progress]:
    """
    Show a progress bar with speed and time left on standard error.

    A fault takes the bar away, so that the line about it stands alone.

    :param total: steps to be done, if that is known.
    """
    with tqdm(total=total, desc=title, unit=f' {unit}', initial=done, file=sys.stderr,
              mininterval=0.5, dynamic_ncols=True) as bar:
        try:
            yield Progress(bar)
        except PlannerError:
            bar.leave = False
            raise


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.4g}'
    if isinstance(value, list):
        return ', '.join(map(_text, value))
    return str(value)


def _lines(facts: Mapping[str, Any], indent: str) -> Iterator[str]:
    width = max((len(str(k)) for k in facts), default=0)
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield f'{indent}{key}:'
            yield from _lines(value, indent + '  ')
        else:
            yield f'{indent}{key:<{width}}  {_text(value)}'


def report(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """
    Print the result of a verb on standard output, for a person or as JSON.

    :raises OutputError: if it cannot be written.
    """
    shown = {key: value for key, value in facts.items() if key not in FOR_FILES}
    print_text(json.dumps(facts, indent=2) if as_json else '\n'.join(_lines(shown, '')))


def print_text(text: str) -> None:
    """
    Print on standard output.

    :raises OutputError: if it cannot be written.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        # Keep Python from flushing once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f'standard output: cannot be written ({error.strerror})') from error


class LiveLine:
    """One line on standard error that is written again and again; plain lines in a log file."""

    _LOG_PERIOD = 2.0  # [s] between lines where there is no terminal

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = 0.0
        self._text = ''

    def __enter__(self) -> 'LiveLine':
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_terminal and self._text:
            print(file=sys.stderr)

    def show(self, text: str) -> None:
        """Replace the line."""
        if text == self._text:
            return
        if self._is_terminal:
            print(f'\r\033[K{text}', end='', file=sys.stderr, flush=True)
        elif time.monotonic() - self._shown_at >= self._LOG_PERIOD:
            print(text, file=sys.stderr, flush=True)
            self._shown_at = time.monotonic()
        self._text = text
