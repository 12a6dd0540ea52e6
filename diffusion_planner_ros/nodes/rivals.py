"""Other nodes that command the same joints: two of them would fight for the robot."""

import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from std_msgs.msg import Float64MultiArray

from ..errors import RivalError

SILENCE = 0.5  # [s] without a command after which a publisher counts as dead


class Rivals:
    """
    Listen for commands of others while we send none ourselves.

    A publisher in the graph is no proof: DDS lists a killed process for up to 20 s more, and a
    planner that takes its place must not wait for that. What it sends is.

    :param topic: of the commands.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self._topic = topic
        self._heard_at = float('-inf')
        self._subscription: Subscription | None = None

    def listen(self) -> None:
        """Start to listen; ``SILENCE`` later ``check`` can tell."""
        if self._subscription is None:
            self._subscription = self._node.create_subscription(
                Float64MultiArray, self._topic, self._on_command,
                QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))

    def ignore(self) -> None:
        """Stop listening: from now on the commands are ours."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._heard_at = float('-inf')

    def _on_command(self, msg: Float64MultiArray) -> None:
        del msg
        self._heard_at = time.monotonic()

    def names(self) -> list[str]:
        """Return the full names of the other nodes that publish commands."""
        own = self._node.get_fully_qualified_name()
        infos = self._node.get_publishers_info_by_topic(self._topic)
        names = [f'{i.node_namespace.rstrip("/")}/{i.node_name}' for i in infos]
        if own in names:
            names.remove(own)
        return sorted(names)

    def check(self) -> None:
        """
        Refuse to command beside another node.

        :raises RivalError: if another node commands the joints.
        """
        names = self.names()
        if names and time.monotonic() - self._heard_at < SILENCE:
            raise RivalError(f"'{self._node.resolve_topic_name(self._topic)}' is commanded by "
                             f'{", ".join(names)}; deactivate it first')
