# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Call a function periodically, whatever the executor is doing."""

from collections.abc import Callable
import threading


class PeriodicThread:
    """
    Call a function periodically in a thread of its own, and also whenever ``wake`` is called.

    :param name: of the thread.
    :param period: time between the end of a call and the next call [s].
    """

    def __init__(self, name: str, period: float, function: Callable[[], None]) -> None:
        self._period = period
        self._function = function
        self._is_closed = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread call the function now."""
        self._wake.set()

    def close(self) -> None:
        """Wait for the call at hand, and end the thread."""
        self._is_closed = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._period)
            self._wake.clear()
            if self._is_closed:
                return
            self._function()
