# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a person may do to a robot through ROS; nothing here knows of the page."""

from collections.abc import Callable
import time
from typing import Any

from geometry_msgs.msg import PoseStamped, Twist, Vector3
from nav_msgs.msg import Path
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from std_srvs.srv import SetBool, Trigger

from ..common.topics import (
    CMD_VEL,
    GOAL_PATH,
    GOAL_POSE,
    PAUSE,
    PUSH,
    RESET,
    SET_PLANNER_PARAMETERS,
    Topic,
    VIEWER,
)
from .remote_calls import RemoteCalls

SPEED_PERIOD = 0.1  # [s] between two commanded speeds; the planner forgets them after 0.5 s
SERVICES = (PAUSE, RESET, SET_PLANNER_PARAMETERS)
TOPICS = (PUSH, CMD_VEL, GOAL_POSE, GOAL_PATH)

Tell = Callable[[bool, str], None]
"""Is called with whether it was done, and with what the node says about it."""


class RobotControls:
    """
    Sends to planner and bridge what a person asks for.

    Only while it is open it has publishers and clients. All methods are for the thread of the
    executor.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._calls = RemoteCalls(node)
        self._publishers: dict[Topic, Publisher] = {}
        self._speed: float | None = None
        self._speed_due = 0.0

    def open(self) -> None:
        """Let the other nodes discover what will be sent."""
        self._calls.open(*SERVICES)
        self._publishers = {topic: VIEWER.publisher(self._node, topic) for topic in TOPICS}

    def close(self) -> None:
        """Send nothing more; a commanded speed ends."""
        self._calls.close()
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers, self._speed = {}, None

    def turn(self, now: float) -> None:
        """Hand over answers, and repeat the commanded speed; call it often."""
        self._calls.turn(now)
        if self._speed is not None and now >= self._speed_due:
            self._speed_due = now + SPEED_PERIOD
            twist = Twist()
            twist.linear.x = self._speed
            self._publish(CMD_VEL, twist)

    # Simulation

    @property
    def is_simulated(self) -> bool:
        """Whether there is a simulator that can be paused."""
        return self._calls.is_there(PAUSE)

    def pause(self, is_paused: bool, tell: Tell) -> None:
        """Stop simulated time, or let it go on."""
        self._call(PAUSE, SetBool.Request(data=is_paused), tell)

    def reset(self, tell: Tell) -> None:
        """Start the episode anew."""
        self._call(RESET, Trigger.Request(), tell)

    def push(self, x: float, z: float, tell: Tell) -> None:
        """Push the robot forward and up [N s]."""
        if self._publish(PUSH, Vector3(x=x, z=z)):
            tell(True, 'pushed')
        else:
            tell(False, 'no simulator listens to pushes')

    # Planner

    @property
    def knows_goals(self) -> bool:
        """Whether there is a planner that takes goals."""
        return self._count(GOAL_POSE) > 0

    @property
    def takes_speeds(self) -> bool:
        """Whether there is a planner that listens to commanded speeds."""
        return self._count(CMD_VEL) > 0

    def set_planner(self, name: str, value: Any, tell: Tell) -> None:
        """Change a parameter of the planner."""
        def then(response: Any) -> None:
            if response is None:
                tell(False, 'the planner does not answer')
                return
            result = response.results[0]
            tell(result.successful, f'{name} is {value} now' if result.successful
                 else result.reason)
        change = Parameter(name, value=value).to_parameter_msg()
        self._calls.call(SET_PLANNER_PARAMETERS, SetParameters.Request(parameters=[change]), then,
                         time.monotonic())

    def command_speed(self, speed: float | None) -> None:
        """Command a speed [m/s] from now on, or none."""
        self._speed = speed

    def go_to(self, x: float, y: float, frame_id: str, tell: Tell) -> None:
        """Send the robot to a goal [m]; whether it is refused comes on ``navigate/result``."""
        goal = PoseStamped()
        goal.header.frame_id = frame_id
        goal.pose.position.x, goal.pose.position.y = x, y
        goal.pose.orientation.w = 1.0
        is_heard = self._publish(GOAL_POSE, goal)
        tell(is_heard, f'goal ({x:g}, {y:g}) m' if is_heard else 'no planner listens to goals')

    def give_up(self, tell: Tell) -> None:
        """Cancel all goals."""
        is_heard = self._publish(GOAL_PATH, Path())
        tell(is_heard, 'goals cancelled' if is_heard else 'no planner listens to goals')

    # Shared

    def _call(self, service: Any, request: Any, tell: Tell) -> None:
        def then(response: Any) -> None:
            if response is None:
                tell(False, f"service '{service.path}' does not answer")
            else:
                tell(response.success, response.message)
        self._calls.call(service, request, then, time.monotonic())

    def _publish(self, topic: Topic, msg: Any) -> bool:
        """Publish; return whether somebody listens."""
        publisher = self._publishers.get(topic)
        if publisher is None or not publisher.get_subscription_count():
            return False
        publisher.publish(msg)
        return True

    def _count(self, topic: Topic) -> int:
        publisher = self._publishers.get(topic)
        return 0 if publisher is None else publisher.get_subscription_count()
