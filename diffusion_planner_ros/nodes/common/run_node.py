"""Run a node until a signal, so that it can still publish when it is told to stop."""

from collections.abc import Callable
import gc
import os
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ...errors import PlannerError
from .stop_signals import StopSignals
from .tolerant_executor import TolerantExecutor

SWITCH_INTERVAL = 0.0005  # [s]
POLL_PERIOD = 0.1  # [s], longest wait before a signal is noticed


def settle() -> None:
    """
    Never search what was built so far for garbage again: it lives as long as the node.

    A search would cost milliseconds in the middle of a control period.
    """
    gc.collect()
    gc.freeze()


def run_node(build: Callable[[], Node], argv: list[str] | None = None) -> None:
    """
    Spin a node until it ``is_done``, which ``stop`` asks for on SIGINT and SIGTERM; then close it.

    A node that cannot be built because of its settings or its model ends with one line that says
    why and exit code 1. A second signal closes a node that takes time to stop, and ends a process
    that does not end then.

    :param build: makes the node; it has ``is_done``, ``stop()`` and ``close()``, which sends what
        is to be sent last.
    """
    # Fast DDS's shared memory has locks: one that a killed process held stops whoever talks to it
    # for seconds, the robot's driver too. (Ignored by rmw_fastrtps where discovery is LOCALHOST.)
    os.environ.setdefault('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
    # rclpy's own handlers end the context at once, and with it every publisher.
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    signals = StopSignals(build.__name__)
    is_told = False
    try:
        try:
            node = build()
        except (PlannerError, ParameterException) as error:
            sys.exit(f'{build.__name__}: {error}')
        settle()
        # Python lets a thread compute for 5 ms before another gets its turn, most of a period.
        sys.setswitchinterval(SWITCH_INTERVAL)
        executor = TolerantExecutor()
        executor.add_node(node)
        try:
            try:
                while not signals.is_impatient:
                    if signals.count and not is_told:
                        node.stop()
                        is_told = True
                    if node.is_done:
                        break
                    executor.spin_once(timeout_sec=POLL_PERIOD)
            finally:
                node.close()
        except PlannerError as error:
            sys.exit(f'{build.__name__}: {error}')
        finally:
            executor.shutdown()
            node.destroy_node()
            # A node that is never collected never takes leave of DDS, which would list it and its
            # services for 20 s more.
            gc.unfreeze()
    finally:
        rclpy.try_shutdown()
