# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Collect the markers of a running planner until there is something to draw."""

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from ...errors import PlannerError
from ...nodes.common.join_graph import join_graph
from ...nodes.common.topics import DENOISING, MARKERS, SNAPSHOT
from ...nodes.display.markers import diffusion_time


class PlanMarkers:
    """Takes the first plan that has something to draw."""

    topic = MARKERS
    what = 'markers'

    def __init__(self) -> None:
        self.arrays: list[MarkerArray] = []
        """What was taken, oldest first."""

    @property
    def is_complete(self) -> bool:
        """Whether there is something to draw."""
        return bool(self.arrays)

    def add(self, array: MarkerArray) -> None:
        """Take a message."""
        if not self.arrays and any(len(marker.points) > 1 for marker in array.markers):
            self.arrays.append(array)


class DenoisingMarkers:
    """Takes the denoising steps of one plan, from the first to the last."""

    topic = DENOISING
    what = 'all denoising steps of one plan'

    def __init__(self) -> None:
        self.arrays: list[MarkerArray] = []
        """What was taken, oldest first."""
        self.is_complete = False
        """Whether all steps of a plan were taken."""

    def add(self, array: MarkerArray) -> None:
        """Take a message."""
        if self.is_complete or (time := diffusion_time(array)) is None:
            return
        t, n_steps = time
        if t == n_steps:
            self.arrays = [array]
        elif self.arrays and array.markers[0].header == self.arrays[0].markers[0].header:
            self.arrays.append(array)
            self.is_complete = t == 0


def capture(topic: str, collector: PlanMarkers | DenoisingMarkers, timeout: float) -> None:
    """
    Give the messages of the collector's topic to it until it has enough.

    :param topic: where it is, as ``robot1/planner/markers``.
    :param timeout: longest time to wait [s].
    :raises PlannerError: with what there is to hear, if the time runs out before.
    """
    join_graph()  # rclpy's own handlers raise nothing: Ctrl-C would go unnoticed
    try:
        node = Node(SNAPSHOT.node_name)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        topic = SNAPSHOT.subscription(node, collector.topic, collector.add, name=topic).topic_name
        deadline = time.monotonic() + timeout
        while not collector.is_complete and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        n_publishers = node.count_publishers(topic)
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    if not collector.is_complete:
        raise PlannerError(
            f"no {collector.what} on topic '{topic}' in {timeout:g} s, which "
            f'has {n_publishers} publisher{"" if n_publishers == 1 else "s"}; '
            + ('the planner publishes only while it plans: does the robot run?' if n_publishers
               else 'expected a planner in the same ROS domain; does it have another name or '
               'namespace (--topic)?'))
