# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM: the first asks a node to stop, the second ends its process in any case."""

import atexit
import os
import signal
import threading
import time

STOPPING = (signal.SIGINT, signal.SIGTERM)
N_TO_END = 2  # requests to stop after which a process has to end at once
GRACE = 2.0  # [s] after that request, until the process is ended by force
FINISH_TIME = 10.0  # [s] until the interpreter is ended by force; on a busy machine DDS is slow
SAME_REQUEST = 0.5  # [s] in which several signals count as one: terminal and ros2 launch both send


class StopSignals:
    """
    Count the requests to stop that come as SIGINT or SIGTERM from now on.

    If the process still runs ``GRACE`` after the second one, it is ended with exit code 1. A
    thread that does not end, or a library that waits for another process, could keep it for ever.

    :param name: of the process, for the line that says so.
    """

    def __init__(self, name: str) -> None:
        self.count = 0
        """Requests that came."""
        self._name = name
        # Python runs signal handlers in the main thread, which may be blocked. C code writes to
        # this pipe at once, and a thread reads it that waits for nothing else.
        self._pipe, writer = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(target=self._watch, name='stop_signals', daemon=True).start()
        signal.set_wakeup_fd(writer)
        for number in STOPPING:
            signal.signal(number, _note)
        atexit.register(_finish)

    @property
    def must_end(self) -> bool:
        """Whether the process has to end at once."""
        return self.count >= N_TO_END

    def _watch(self) -> None:
        counted = float('-inf')
        while not self.must_end:
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
    """Do nothing; Python writes only signals that have a handler to the pipe."""


def _finish() -> None:
    """
    Ignore further signals while the interpreter ends, for at most ``FINISH_TIME``.

    With the default handlers, a second signal would look like a crash.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, FINISH_TIME)  # SIGALRM without a handler ends a process
