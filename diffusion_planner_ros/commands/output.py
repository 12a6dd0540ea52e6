# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the verbs print: progress while they work, a report at the end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
import os
import sys
import time
from typing import Any, Protocol

from tqdm import tqdm

from ..errors import OutputError, PlannerError
from .interrupted import Interrupted, NOTHING_KEPT

FOR_FILES = ('run', 'course')
"""Parts of a report that a page is made of; they are too long for a person at a terminal."""


FIRST_LINE, LOG_PERIOD = 2.0, 10.0  # [s] until, and between, lines where there is no terminal


class Progress(Protocol):
    """Shows how far a piece of work is; call it with the steps done since the last call."""

    @property
    def n(self) -> int:
        """Steps done so far."""

    def __call__(self, n_done: int, **figures: str) -> None:
        """Move on by ``n_done`` steps and show figures beside them, until there are others."""

    def expect(self, n_more: int) -> None:
        """Count on more steps than were known before."""


class _Bar:
    """A progress bar for a terminal."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    @property
    def n(self) -> int:
        return int(self._bar.n)

    def __call__(self, n_done: int, **figures: str) -> None:
        if figures:
            self._bar.set_postfix(figures, refresh=False)
        self._bar.update(n_done)

    def expect(self, n_more: int) -> None:
        self._bar.total = (self._bar.total or 0) + n_more


class _Lines:
    """Plain lines now and then, for a file or a pipe."""

    def __init__(self, title: str, total: int | None, unit: str, done: int) -> None:
        self.n = done
        self._title, self._total, self._unit, self._done = title, total, unit, done
        self._figures: dict[str, str] = {}
        self._begin = time.monotonic()
        self._due = self._begin + FIRST_LINE

    def __call__(self, n_done: int, **figures: str) -> None:
        self.n += n_done
        self._figures = figures or self._figures
        at_end = self._total is not None and self.n >= self._total  # which has its own line
        if time.monotonic() >= self._due and not at_end:
            self._due = time.monotonic() + LOG_PERIOD
            self.show()

    def expect(self, n_more: int) -> None:
        self._total = (self._total or 0) + n_more

    def show(self) -> None:
        """Write a line: how far, how long still, the newest figures."""
        passed, n_new = time.monotonic() - self._begin, self.n - self._done
        words = [f'{self._title}: {self.n:,}']
        if self._total:
            words[0] += f' of {self._total:,}'
        words[0] += f' {self._unit}'
        if self._total and n_new and self.n < self._total:
            left = tqdm.format_interval(passed / n_new * (self._total - self.n))
            words.append(f'{left} left')
        else:
            words.append(f'took {tqdm.format_interval(passed)}')
        print(', '.join([*words, *(f'{k} {v}' for k, v in self._figures.items())]),
              file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int | None, *, unit: str, done: int = 0) -> Iterator[Progress]:
    """
    Show on standard error how far a piece of work is, how long it still takes, and its figures.

    A terminal gets a bar, a file or a pipe plain lines. A fault takes the bar away, so that the
    line about it stands alone, and so does Ctrl-C.

    :param total: steps to be done, if that is known.
    :raises Interrupted: in place of KeyboardInterrupt; it says that nothing was kept, unless
        something within says more.
    """
    if not sys.stderr.isatty():
        lines = _Lines(title, total, unit, done)
        with _interruptible():
            yield lines
        lines.show()
        return
    with tqdm(total=total, desc=title, unit=f' {unit}', initial=done, file=sys.stderr,
              mininterval=0.5, dynamic_ncols=True) as bar, _interruptible():
        try:
            yield _Bar(bar)
        except (PlannerError, KeyboardInterrupt):
            bar.leave = False
            raise


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(NOTHING_KEPT) from error


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
