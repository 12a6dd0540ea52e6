"""SIGINT and SIGTERM: the first asks a node to stop, the second ends its process for certain."""

import atexit
import os
import signal
import threading
import time

STOPPING = (signal.SIGINT, signal.SIGTERM)
IMPATIENT = 2  # requests to stop after which a process has to end at once
GRACE = 2.0  # [s] that it then has to end by itself
FINISH_TIME = 10.0  # [s] that the interpreter has to end; on a busy machine DDS takes its time
SAME_REQUEST = 0.5  # [s] in which further signals are one: a terminal and ros2 launch both send


class StopSignals:
    """
    Count the requests to stop that come as SIGINT or SIGTERM from now on.

    A process that still runs ``GRACE`` after the second one is ended with exit code 1: a thread
    that goes on, or a library that waits for another process, would keep it for ever.

    :param name: of the process, for the line that says so.
    """

    def __init__(self, name: str) -> None:
        self.count = 0
        """Requests that came."""
        self._name = name
        # Python calls handlers in the main thread when it comes round to it. The pipe is written
        # to at once, by C code, and read by a thread that depends on nobody.
        self._pipe, writer = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(target=self._watch, name='stop_signals', daemon=True).start()
        signal.set_wakeup_fd(writer)
        for number in STOPPING:
            signal.signal(number, _note)
        atexit.register(_finish)

    @property
    def is_impatient(self) -> bool:
        """Whether the process has to end at once."""
        return self.count >= IMPATIENT

    def _watch(self) -> None:
        counted = float('-inf')
        while not self.is_impatient:
            number = os.read(self._pipe, 1)[0]
            if number in STOPPING and time.monotonic() - counted > SAME_REQUEST:
                counted = time.monotonic()
                self.count += 1
        time.sleep(GRACE)
        text = (f'{self._name}: still running {GRACE:g} s after the second signal, a thread of it '
                'or its end is blocked; ended by force\n')
        os.write(2, text.encode())  # sys.stderr has a lock
        os._exit(1)


def _note(signum: int, frame: object) -> None:
    """Do nothing: only signals with a handler are written to the pipe."""


def _finish() -> None:
    """
    Let the interpreter end in peace, but not for ever.

    It would go back to the default handlers, and a second signal look like a crash.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, FINISH_TIME)  # SIGALRM ends a process that has no handler
