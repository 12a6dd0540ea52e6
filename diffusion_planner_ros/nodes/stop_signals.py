"""SIGINT and SIGTERM: the first asks a node to stop, the second ends its process for certain."""

import atexit
import os
import signal
import threading
import time

STOPPING = (signal.SIGINT, signal.SIGTERM)
IMPATIENT = 2  # signals after which a process has to end at once
GRACE = 2.0  # [s] that it then has to end by itself


class StopSignals:
    """
    Count SIGINT and SIGTERM from now on.

    A process that still runs ``GRACE`` after the second one is ended with exit code 1: a thread
    that goes on, or a library that waits for another process, would keep it for ever.

    :param name: of the process, for the line that says so.
    """

    def __init__(self, name: str) -> None:
        self.count = 0
        """Signals that came."""
        self._name = name
        # The handlers run in the main thread when it comes round to it. The pipe is written to at
        # once, by C code, and read by a thread that depends on nobody.
        self._pipe, writer = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(target=self._watch, name='stop_signals', daemon=True).start()
        signal.set_wakeup_fd(writer)
        for number in STOPPING:
            signal.signal(number, self._on_signal)
        atexit.register(_finish)

    @property
    def is_impatient(self) -> bool:
        """Whether the process has to end at once."""
        return self.count >= IMPATIENT

    def _on_signal(self, signum: int, frame: object) -> None:
        del signum, frame
        self.count += 1

    def _watch(self) -> None:
        n_signals = 0
        while n_signals < IMPATIENT:
            n_signals += sum(number in STOPPING for number in os.read(self._pipe, 1))
        time.sleep(GRACE)
        text = (f'{self._name}: still running {GRACE:g} s after the second signal, a thread of it '
                'or its end is blocked; ended by force\n')
        os.write(2, text.encode())  # sys.stderr has a lock
        os._exit(1)


def _finish() -> None:
    """
    Let the interpreter end in peace, but not for ever.

    It would go back to the default handlers, and a second signal look like a crash.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, GRACE)  # SIGALRM ends a process that has no handler
