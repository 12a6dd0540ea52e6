"""Do something at a steady rate whatever the executor is doing."""

from collections.abc import Callable
import threading


class PeriodicThread:
    """
    Call a function again and again, and when woken, in a thread of its own.

    :param period: time between the end of a call and the next [s].
    """

    def __init__(self, name: str, period: float, function: Callable[[], None]) -> None:
        self._period = period
        self._function = function
        self._is_closed = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def wake(self) -> None:
        """Call the function now."""
        self._wake.set()

    def close(self) -> None:
        """End the thread; the function is not called again."""
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
