"""Notice that something stopped happening, from a thread that does nothing else."""

from collections.abc import Callable
import threading
import time


class Watchdog:
    """
    Call back when it was not fed in time, and again and again until it is fed.

    It runs on steady time, which no clock can set back, and in a thread of its own, so that it
    outlives the threads that it watches. It is fed at the control rate, so feeding takes no lock.

    :param timeout: longest time between two meals, and time between two calls [s].
    :param on_timeout: called in the watchdog's thread with the time since the last meal [s].
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
        Say that all is well; the first call starts the watch.

        :param age: since when it was well [s]: what comes late is not fresh.
        """
        self._fed_at = time.monotonic() - age

    def rest(self) -> None:
        """Watch no longer, until it is fed again."""
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
