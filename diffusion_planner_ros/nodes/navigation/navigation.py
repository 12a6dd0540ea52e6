# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals as ROS users give them: a pose, a path, and topics that say what becomes of them."""

from collections.abc import Sequence
import threading
from uuid import uuid4

from action_msgs.msg import GoalStatus, GoalStatusArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
import numpy as np
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Float64, String

from ...errors import GoalError
from ...messages.names import shortened
from ...planning.bundle import Bundle
from ...planning.conditions import Condition
from ...planning.navigation.holder import Holder
from ...planning.navigation.navigator import Navigator
from ..common.topics import (
    GOAL_PATH,
    GOAL_POSE,
    NAVIGATION_DISTANCE,
    NAVIGATION_RESULT,
    NAVIGATION_STATUS,
    PLANNER,
)

ACK_TIME = Duration(seconds=0.1)  # that the last messages have to arrive
N_KEPT = 10  # goals that have ended whose status is told
N_NAMED = 5  # goals that the log names


class Navigation:
    """
    Takes goals, says what is known of the plans that lead there, and tells how far they are.

    New goals replace those that are left, an empty path takes them away. Without goals the robot
    is held where it is; at the last one, it is held there. Goals outlive a leap of simulated time,
    as at the end of an episode.

    Messages come in the thread that serves subscriptions, and plans are made in another one.

    :param node: gets subscriptions and publishers.
    :param bundle: of a robot that knows goals.
    :param frame_id: frame in which goals are given.
    :param group: callback group of the subscriptions; the node's default one if there is none.
    """

    def __init__(self, node: Node, bundle: Bundle, frame_id: str,
                 group: CallbackGroup | None = None) -> None:
        self._node = node
        self._frame_id = frame_id
        self._lock = threading.RLock()  # one thread at a time
        self._is_closed = False
        self._current: GoalStatus | None = None  # of the goals that are headed for
        self._ended: list[GoalStatus] = []
        self._n_left = 0  # goals, as last told
        self._adopt(bundle, goals=())
        if not bundle.facts.get('training', {}).get('condition_share'):
            node.get_logger().warning(f'{bundle.path} was trained without conditions: its plans '
                                      'lead to no goal; train with a condition_share above 0')
        self._distance, self._status, self._result = self._publishers = [
            PLANNER.publisher(node, topic)
            for topic in (NAVIGATION_DISTANCE, NAVIGATION_STATUS, NAVIGATION_RESULT)]
        self._publish_status()
        self._subscriptions = [
            PLANNER.subscription(node, topic, callback, group=group)
            for topic, callback in ((GOAL_POSE, self.on_pose), (GOAL_PATH, self.on_path))]

    # Of every plan

    def condition(self, bundle: Bundle, state: NDArray, n_periods: int) -> Condition:
        """
        Return what is known of the next plan.

        :param bundle: that plans; it may have changed since the last plan.
        :param state: measured, shape (S,).
        :param n_periods: control periods since the last plan, at least 1.
        """
        with self._lock:
            if bundle is not self._bundle:
                self._adopt(bundle, self._navigator.goals)
            condition = self._navigator.advance(state, n_periods)
            return self._holder.condition(state) if condition is None else condition

    def tell(self, state: NDArray) -> None:
        """Publish how far a state (S,) is from the goal, and whether that is reached."""
        with self._lock:
            if self._current is None or self._is_closed:
                return
            navigator = self._navigator
            distance, goals = navigator.distance(state), navigator.goals
            self._distance.publish(Float64(data=distance))
            if len(goals) < self._n_left:
                self._n_left = len(goals)
                self._node.get_logger().info(f'heading for {_text(goals[0])}, {len(goals)} left')
            if navigator.has_arrived(state):
                self._end(GoalStatus.STATUS_SUCCEEDED,
                          f'reached {_text(goals[0])}, {distance:.3g} m away')

    @property
    def goals(self) -> list[NDArray]:
        """Goals that are left, and the last one, at which the robot stays [m], (2,) each."""
        with self._lock:
            return self._navigator.goals

    def forget(self) -> None:
        """Set out for the goals anew, because time jumped and the robot is elsewhere."""
        with self._lock:
            self._adopt(self._bundle, () if self._current is None else self._navigator.goals)

    @property
    def n_left(self) -> int:
        """Goals that are still to be reached."""
        with self._lock:
            return 0 if self._current is None else len(self._navigator.goals)

    def close(self, cause: str) -> None:
        """Give the goals up, and remove subscriptions and publishers."""
        with self._lock:
            if self._is_closed:
                return
            self._end(GoalStatus.STATUS_ABORTED, f'given up: {cause}')
            self._is_closed = True
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for publisher in self._publishers:
            publisher.wait_for_all_acked(ACK_TIME)  # what a publisher leaves behind is lost
            self._node.destroy_publisher(publisher)

    # What comes

    def on_pose(self, msg: PoseStamped) -> None:
        """Head for a pose, of which x and y count; the executor calls this."""
        self._go([msg], '')

    def on_path(self, msg: Path) -> None:
        """Head for poses, one after the other, or for none; the executor calls this."""
        if msg.poses:
            self._go(msg.poses, msg.header.frame_id)
            return
        with self._lock:
            if self._is_closed:
                return
            self._end(GoalStatus.STATUS_CANCELED, 'cancelled')
            self._adopt(self._bundle, goals=())

    def _go(self, poses: Sequence[PoseStamped], frame_id: str) -> None:
        goals = [np.array([p.pose.position.x, p.pose.position.y]) for p in poses]
        with self._lock:
            if self._is_closed:
                return
            try:
                for pose in poses:
                    self._check_frame(pose.header.frame_id or frame_id)
                self._navigator.go(goals)
            except GoalError as error:
                self._ended.append(self._new_status(GoalStatus.STATUS_ABORTED))
                self._node.get_logger().warning(f'goal refused: {error}')
                self._say(f'refused: {error}')
                return
            self._end(GoalStatus.STATUS_CANCELED, 'replaced by another goal')
            self._current, self._n_left = self._new_status(GoalStatus.STATUS_EXECUTING), len(goals)
            self._holder.release()
            named = ', then '.join(map(_text, goals[:N_NAMED]))
            more = f' and {len(goals) - N_NAMED} more' if len(goals) > N_NAMED else ''
            self._node.get_logger().info(f'heading for {named}{more}')
            self._publish_status()

    def _check_frame(self, frame_id: str) -> None:
        if frame_id not in ('', self._frame_id):
            raise GoalError(f"goal is in frame '{shortened([frame_id])}', expected "
                            f"'{self._frame_id}' (frame_id)")

    # Shared

    def _adopt(self, bundle: Bundle, goals: Sequence[NDArray]) -> None:
        """Plan with a bundle from now on, and set out anew."""
        self._bundle = bundle
        self._navigator = Navigator(bundle.robot, horizon=bundle.horizon)
        self._navigator.go(goals)
        self._holder = Holder(bundle.robot, horizon=bundle.horizon)

    def _new_status(self, status: int) -> GoalStatus:
        msg = GoalStatus(status=status)
        msg.goal_info.goal_id.uuid = np.frombuffer(uuid4().bytes, dtype=np.uint8)
        msg.goal_info.stamp = self._node.get_clock().now().to_msg()
        return msg

    def _end(self, status: int, text: str) -> None:
        """Note and tell how what is under way has ended, if anything is."""
        current, self._current = self._current, None
        if current is not None:
            current.status = status
            self._ended.append(current)
            self._node.get_logger().info(f'goal {text}')
            self._say(text)

    def _say(self, text: str) -> None:
        self._result.publish(String(data=text))
        self._publish_status()

    def _publish_status(self) -> None:
        del self._ended[:-N_KEPT]
        under_way = [] if self._current is None else [self._current]
        self._status.publish(GoalStatusArray(status_list=[*self._ended, *under_way]))


def _text(goal: NDArray) -> str:
    return f'({goal[0]:g}, {goal[1]:g}) m'
