"""Run a node until a signal, so that it can still publish when it is told to stop."""

from collections.abc import Callable
import gc
import signal
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import PlannerError

SWITCH_INTERVAL = 0.0005  # [s]
POLL_PERIOD = 0.1  # [s], longest wait before a signal is noticed


def run_node(build: Callable[[], Node], argv: list[str] | None = None) -> None:
    """
    Spin a node until SIGINT, SIGTERM or until it sets ``is_done``; then call its ``close``.

    A node that cannot be built because of its settings or its model ends with one line that says
    why and exit code 1.

    :param build: makes the node; it has ``is_done`` and ``close()``, which publishes the stop
        command and raises what went wrong in its threads.
    """
    # rclpy's own handlers end the context at once, and with it every publisher.
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    stopping = False

    def stop(signum: int, frame: object) -> None:
        nonlocal stopping
        del signum, frame
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        try:
            node = build()
        except (PlannerError, ParameterException) as error:
            sys.exit(f'{build.__name__}: {error}')
        # What was built so far lives as long as the node: never search it for garbage again, which
        # would cost milliseconds in the middle of a control period.
        gc.collect()
        gc.freeze()
        # Python lets a thread compute for 5 ms before another gets its turn, most of a period.
        sys.setswitchinterval(SWITCH_INTERVAL)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not stopping and not node.is_done:
                executor.spin_once(timeout_sec=POLL_PERIOD)
        finally:
            node.close()
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
