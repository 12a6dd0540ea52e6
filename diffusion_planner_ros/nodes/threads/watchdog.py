# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Notice that something no longer happens, in a thread that does nothing else."""

from collections.abc import Callable
import threading
import time


class Watchdog:
    """
    Call a function when ``feed`` was not called in time, and again until it is called.

    It uses the steady clock, which is never set back, and a thread of its own, so that it works
    when the watched threads hang. ``feed`` is called at the control rate, so it takes no lock.

    :param name: of the thread.
    :param timeout: longest time between two calls of ``feed``, and the time between two calls of
        ``on_timeout`` [s].
    :param on_timeout: called in the watchdog's thread with the time since the last ``feed`` [s].
    """

    def __init__(self, name: str, timeout: float, on_timeout: Callable[[float], None]) -> None:
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._fed_at: float | None = None
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=name)
        self._thread.start()

    def feed(self, age: float = 0.0) -> None:
        """
        Note that what is watched has happened; the first call starts the watch.

        :param age: how long ago it happened [s].
        """
        self._fed_at = time.monotonic() - age

    def suspend(self) -> None:
        """Stop watching until the next ``feed``."""
        self._fed_at = None

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()
        self._thread.join()

    def _watch(self) -> None:
        remaining = self._timeout
        while not self._is_closed.wait(remaining):
            fed_at = self._fed_at
            age = 0.0 if fed_at is None else time.monotonic() - fed_at
            if age >= self._timeout:
                self._on_timeout(age)
                age = 0.0
            remaining = self._timeout - age
