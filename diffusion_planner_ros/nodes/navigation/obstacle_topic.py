# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Obstacles that a user publishes on topic ``~/obstacles`` while the robot moves."""

from dataclasses import dataclass
import threading

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from visualization_msgs.msg import Marker

from ...errors import ObstacleError
from ...goals.obstacle import nearest_obstacle, Obstacle
from ...goals.plane_goals import PlaneGoals
from ...messages.names import shortened
from ...messages.obstacle_markers import obstacle_from_marker
from ...messages.stamps import nanoseconds_from_stamp
from ...planning.navigation.obstacle_guide import n_foreseen_rows
from ...planning.planner import Plan, Planner
from ..common.topics import OBSTACLES, PLANNER

WARNING_PERIOD = 1.0  # [s], shortest time between two warnings of one kind
MAX_OBSTACLES = 64  # at a time: each one costs time in every plan


@dataclass(frozen=True)
class _Known:
    obstacle: Obstacle
    until: int | None
    """Time at which it is gone [ns]; None if it stays."""


class ObstacleTopic:
    """
    Take obstacles, and let planners keep clear of those that are there.

    Namespace and number identify one, as they do for rviz2. An obstacle with a lifetime is gone
    that long after it came, on the node's clock, and when time jumps.

    Messages come in the thread that serves subscriptions, and plans may be made in another one.

    :param node: gets the subscription.
    :param frame_id: frame in which obstacles are given.
    :param group: callback group of the subscription; the node's default one if there is none.
    """

    def __init__(self, node: Node, frame_id: str, group: CallbackGroup | None = None) -> None:
        self._node = node
        self._frame_id = frame_id
        self._known: dict[tuple[str, int], _Known] = {}
        self._lock = threading.Lock()
        self._told: tuple[Obstacle, ...] = ()  # to the planner, last
        self._unfit: tuple[str, ...] | None = None  # guides that were warned of
        self._subscription = PLANNER.subscription(node, OBSTACLES, self.on_marker, group=group)

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """Those that are there now."""
        now = self._node.get_clock().now().nanoseconds
        with self._lock:
            self._known = {key: known for key, known in self._known.items()
                           if known.until is None or now < known.until}
            return tuple(known.obstacle for known in self._known.values())

    def steer(self, planner: Planner) -> None:
        """Let a planner keep clear of them from its next plan on."""
        self._told = obstacles = self.obstacles
        if planner.avoids_obstacles:
            planner.avoid(obstacles)
        elif obstacles and self._unfit != (guides := planner.config.guides):
            self._unfit = guides
            self._node.get_logger().warning(
                f"obstacles on '{PLANNER.name_of(OBSTACLES)}' have no effect: guides is "
                f"{', '.join(guides)}, expected 'obstacles' among them, with its weight in "
                "guide_weights, as preset 'maze' has it")

    def watch(self, planner: Planner, plan: Plan) -> None:
        """Warn if a plan leads into an obstacle all the same."""
        space, obstacles = planner.bundle.robot.goal, self._told
        if not (isinstance(space, PlaneGoals) and obstacles and planner.avoids_obstacles):
            return
        ahead = plan.states[:1 + n_foreseen_rows(planner.bundle)]
        distance, _ = nearest_obstacle(obstacles, np.array([space.position(s) for s in ahead]))
        if distance.min() < space.clearance:
            self._node.get_logger().warning(
                f'no way round an obstacle is found: the plan leads {distance.min():.2f} m near '
                f'one, expected at least {space.clearance:g} m, the radius of the robot',
                throttle_duration_sec=WARNING_PERIOD)

    def forget(self) -> None:
        """Drop obstacles with a lifetime, because time jumped."""
        with self._lock:
            self._known = {key: known for key, known in self._known.items()
                           if known.until is None}

    def destroy(self) -> None:
        """Remove the subscription."""
        self._node.destroy_subscription(self._subscription)

    def on_marker(self, msg: Marker) -> None:
        """Take an obstacle, or take one or all away; the executor calls this."""
        key = msg.ns, msg.id
        try:
            with self._lock:
                if msg.action == Marker.DELETE:
                    self._known.pop(key, None)
                elif msg.action == Marker.DELETEALL:
                    self._known = {other: known for other, known in self._known.items()
                                   if msg.ns and other[0] != msg.ns}
                else:
                    self._known[key] = self._taken(msg, key)
        except ObstacleError as error:
            self._node.get_logger().warning(
                f"obstacle '{shortened([msg.ns])}' {msg.id} refused: {error}",
                throttle_duration_sec=WARNING_PERIOD)

    def _taken(self, msg: Marker, key: tuple[str, int]) -> _Known:
        if msg.action != Marker.ADD:
            raise ObstacleError(f'its action is {msg.action}, expected {Marker.ADD} (ADD), '
                                f'{Marker.DELETE} (DELETE) or {Marker.DELETEALL} (DELETEALL)')
        if msg.header.frame_id not in ('', self._frame_id):
            raise ObstacleError(f"it is in frame '{shortened([msg.header.frame_id])}', expected "
                                f"'{self._frame_id}' (frame_id)")
        obstacle = obstacle_from_marker(msg)
        if key not in self._known and len(self._known) >= MAX_OBSTACLES:
            raise ObstacleError(f'there are {MAX_OBSTACLES} already, expected no more: delete '
                                'others, or publish one around several')
        lifetime = nanoseconds_from_stamp(msg.lifetime)
        return _Known(obstacle, self._node.get_clock().now().nanoseconds + lifetime
                      if lifetime > 0 else None)
