"""Run a node as a process; after a signal it can still publish before it ends."""

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
from .warning_executor import WarningExecutor

SWITCH_INTERVAL = 0.0005  # [s]
POLL_PERIOD = 0.1  # [s], longest wait before a signal is noticed


def freeze_garbage() -> None:
    """
    Exempt all objects that exist now from garbage collection: they live as long as the node.

    To search them would take milliseconds in the middle of a control period.
    """
    gc.collect()
    gc.freeze()


def run_node(build: Callable[[], Node], argv: list[str] | None = None) -> None:
    """
    Spin a node until it ``is_done``; then close it.

    On SIGINT or SIGTERM it calls the node's ``stop()``, and goes on until the node ``is_done``. A
    second signal closes the node at once, and ends the process by force if it still runs then. If
    the node cannot be built because of its settings or its model, the process prints one line that
    says why, and its exit code is 1.

    :param build: makes the node, which has ``is_done``, ``stop()`` and ``close()``; ``close`` may
        still publish.
    :param argv: arguments of ROS; those of the process by default.
    """
    # If a process is killed while it holds a lock of Fast DDS's shared memory, all processes that
    # talk to it block for seconds, the robot's driver too. (rmw_fastrtps ignores this variable if
    # discovery is LOCALHOST.)
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
        freeze_garbage()
        # By default Python lets a thread compute for 5 ms, most of a period, before another may.
        sys.setswitchinterval(SWITCH_INTERVAL)
        executor = WarningExecutor()
        executor.add_node(node)
        try:
            try:
                while not signals.must_end:
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
            # A node that is not collected does not announce its end, and DDS would list it and
            # its services for 20 s more.
            gc.unfreeze()
    finally:
        rclpy.try_shutdown()
