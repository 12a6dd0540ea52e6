# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Go on after a message or a request that rclpy refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
import traceback

from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

PACKAGE = __name__.partition('.')[0]
SERVING = (__name__, f'{PACKAGE}.nodes.threads.group_server')  # modules that call callbacks
WARNING_PERIOD = 1.0  # [s]


def _is_ours(error: Exception) -> bool:
    """Return whether the error came out of a callback of this package."""
    modules = [frame.f_globals.get('__name__', '')
               for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(name.startswith(PACKAGE) and name not in SERVING for name in modules)


class WarningExecutor(SingleThreadedExecutor):
    """
    Warns where rclpy refuses a message or a request, instead of ending the node.

    rclpy itself raises an exception for a negative ``/clock``, for a parameter of a type that does
    not exist and, in Jazzy, for a transition that is not possible. So anybody in the network could
    end a node with one message. Here, such a request gets no answer. An exception that our own
    code raises ends the node.
    """

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Handle one message, request or timer, or wait for it [s]."""
        with warning_of(*self.get_nodes()):
            super().spin_once(timeout_sec)


@contextmanager
def warning_of(*nodes: Node) -> Iterator[None]:
    """Warn of what rclpy refuses, in the name of these nodes, and go on after the block."""
    try:
        yield
    except InvalidHandle as error:
        # Another thread destroyed a subscription when rclpy was about to wait for its events; the
        # next call waits without it.
        if _is_ours(error):
            raise
    except (ValueError, rclpy_implementation.RCLError) as error:
        if _is_ours(error):
            raise
        for node in nodes:
            node.get_logger().warning(f'refused by rclpy: {error}',
                                      throttle_duration_sec=WARNING_PERIOD)
