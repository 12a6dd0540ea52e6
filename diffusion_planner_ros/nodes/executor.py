"""Spin a node that does not die of a message or a request that rclpy refuses."""

import traceback

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

PACKAGE = __name__.partition('.')[0]
WARNING_PERIOD = 1.0  # [s]


def is_ours(error: BaseException) -> bool:
    """Return whether code of this package was at work below the executor."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(frame.f_globals.get('__name__', '').startswith(PACKAGE) for frame in frames
               if frame.f_globals is not globals())


class NodeExecutor(SingleThreadedExecutor):
    """
    Spins one node, in this thread.

    A negative ``/clock`` or a parameter of a type that there is not raise in rclpy before any
    code of ours is asked; without us, anybody in the network could end the node with one message.
    Whatever our own code raises ends the node.

    :param node: to spin.
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._logger = node.get_logger()
        self.add_node(node)

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Handle one message, request or timer, or wait for it [s]."""
        try:
            super().spin_once(timeout_sec)
        except ValueError as error:
            if is_ours(error):
                raise
            self._logger.warning(f'refused by rclpy: {error}',
                                 throttle_duration_sec=WARNING_PERIOD)
