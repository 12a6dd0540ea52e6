# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What Ctrl-C leaves of long work, and how to go on; said in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import signal

NOTHING_KEPT = 'there is no result yet; begin again with the same command'
RESUME = 'go on with the same command and --resume'
SAME_COMMAND = 'what is done is kept; go on with the same command'
EXIT_CODE = 130  # 128 and the number of SIGINT, as shells say it


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what it left and how to go on."""


@contextmanager
def leaving(remedy: str | Callable[[], str]) -> Iterator[None]:
    """
    Say how to go on after Ctrl-C.

    :param remedy: what was kept, and what to do; or a function that says so then.
    :raises Interrupted: in place of KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(remedy if isinstance(remedy, str) else remedy()) from error


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """
    Let Ctrl-C wait for a moment at which all is whole; a second one does not wait.

    :return: a function to be called at such moments; it raises KeyboardInterrupt after Ctrl-C.
    """
    is_asked = False

    def on_signal(*_: object) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True

    def check() -> None:
        if is_asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
