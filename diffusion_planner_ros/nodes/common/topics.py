# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Every topic and service of the nodes: its name, type and quality of service, and what it is for.

To add a topic, add it here and to the interface of each node that publishes or subscribes to it;
the nodes, the tests and the table of the documentation read it from here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, Twist, Vector3
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry, Path
from rcl_interfaces.srv import SetParameters
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.service import Service as RosService
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

PLANNER_NAME, BRIDGE_NAME = 'planner', 'mujoco_bridge'
RECORDER_NAME, MCAP_RECORDER_NAME = 'recorder', 'mcap_recorder'
VIEWER_NAME = 'viewer'


@dataclass(frozen=True)
class Topic:
    """The name and the type of what is published."""

    name: str
    """Without ``/`` at its front, it is below the namespace of the robot."""
    type: type
    """Class of the messages."""
    owner: str = ''
    """Node whose name is put before it, as ``planner`` before ``plan``; '' for none."""

    @property
    def path(self) -> str:
        """Name for a node in the same namespace, as ``planner/plan``."""
        return f'{self.owner}/{self.name}' if self.owner else self.name

    @property
    def ros_type(self) -> str:
        """Name of the type in ROS, as ``sensor_msgs/JointState``."""
        return f'{self.type.__module__.partition(".")[0]}/{self.type.__name__}'


@dataclass(frozen=True)
class Service(Topic):
    """The name and the type of a service; ``type`` is the class of the service."""

    description: str = ''
    """What a call does."""

    def client(self, node: Node) -> Client:
        """Create a client of it in a node of the same namespace."""
        return node.create_client(self.type, self.path)


@dataclass(frozen=True)
class Endpoint:
    """A topic as one node publishes it or subscribes to it."""

    topic: Topic
    qos: QoSProfile
    description: str
    """What it is, with units, or what the node does with it."""


def reliable(depth: int = 1) -> QoSProfile:
    """Return the quality of service of messages that are sent again until they have come."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def kept(depth: int = 1) -> QoSProfile:
    """Return the quality of service of messages that whoever comes later receives as well."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE,
                      durability=DurabilityPolicy.TRANSIENT_LOCAL)


def best_effort(depth: int = 1) -> QoSProfile:
    """Return the quality of service for which no publisher waits, whatever it offers itself."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def reliability_of(qos: QoSProfile) -> str:
    """Return ``reliable`` or ``best effort``."""
    return qos.reliability.name.lower().replace('_', ' ')


@dataclass(frozen=True)
class Interface:
    """
    What a node publishes, subscribes to and serves.

    Without what every rclpy node has, and every managed node: ``/rosout``, the services of
    parameters and of the lifecycle.
    """

    node_name: str
    published: tuple[Endpoint, ...] = ()
    subscribed: tuple[Endpoint, ...] = ()
    services: tuple[Service, ...] = ()

    def name_of(self, topic: Topic) -> str:
        """
        Return the name by which the node itself calls a topic or a service.

        Its own are ``~/plan``, so that they are renamed with the node.
        """
        return f'~/{topic.name}' if topic.owner == self.node_name else topic.path

    def publisher(self, node: Node, topic: Topic) -> Publisher:
        """
        Create the node's publisher of a topic.

        :raises KeyError: if the interface does not have it.
        """
        qos = _endpoint(self.published, topic).qos
        return node.create_publisher(topic.type, self.name_of(topic), qos)

    def subscription(self, node: Node, topic: Topic, callback: Callable[..., None], *,
                     group: CallbackGroup | None = None, raw: bool = False,
                     name: str | None = None, kind: type | None = None) -> Subscription:
        """
        Create the node's subscription of a topic.

        :param group: callback group; the node's default one if there is none.
        :param raw: whether the callback gets serialised messages.
        :param name: where the topic is, if not at its own name, as ``robot1/planner/markers``.
        :param kind: type of the messages, where a parameter asks for another one than the topic's.
        :raises KeyError: if the interface does not have it.
        """
        qos = _endpoint(self.subscribed, topic).qos
        return node.create_subscription(kind or topic.type, name or self.name_of(topic), callback,
                                        qos, callback_group=group, raw=raw)

    def service(self, node: Node, service: Service, callback: Callable[[Any, Any], Any], *,
                group: CallbackGroup | None = None) -> RosService:
        """Create one of the node's services; ``group`` is as for ``subscription``."""
        return node.create_service(service.type, self.name_of(service), callback,
                                   callback_group=group)


def _endpoint(endpoints: tuple[Endpoint, ...], topic: Topic) -> Endpoint:
    return {endpoint.topic: endpoint for endpoint in endpoints}[topic]


CLOCK = Topic('/clock', Clock)
DIAGNOSTICS = Topic('/diagnostics', DiagnosticArray)
JOINT_STATES = Topic('joint_states', JointState)
ODOMETRY = Topic('odometry', Odometry)
CMD_VEL = Topic('cmd_vel', Twist)
REWARD = Topic('reward', JointState)
ROBOT_DESCRIPTION = Topic('robot_description', String)
COMMANDS = Topic('effort_controller/commands', Float64MultiArray)
PLAN = Topic('plan', JointTrajectory, PLANNER_NAME)
PLAN_PATH = Topic('plan_path', Path, PLANNER_NAME)
MARKERS = Topic('markers', MarkerArray, PLANNER_NAME)
DENOISING = Topic('denoising', MarkerArray, PLANNER_NAME)
PUSH = Topic('push', Vector3, BRIDGE_NAME)
ROBOT_DESCRIPTION = Topic('robot_description', String)
GOAL_POSE = Topic('goal_pose', PoseStamped)
GOAL_PATH = Topic('path', Path, PLANNER_NAME)
OBSTACLES = Topic('obstacles', Marker, PLANNER_NAME)
NAVIGATION_STATUS = Topic('navigate/status', GoalStatusArray, PLANNER_NAME)
NAVIGATION_DISTANCE = Topic('navigate/distance', Float64, PLANNER_NAME)
NAVIGATION_RESULT = Topic('navigate/result', String, PLANNER_NAME)
NAVIGATION = (GOAL_POSE, GOAL_PATH, OBSTACLES, NAVIGATION_STATUS, NAVIGATION_DISTANCE,
              NAVIGATION_RESULT)
"""What the planner has only while it is active, and only of a robot that knows goals."""

RESET = Service('reset', Trigger, BRIDGE_NAME, 'start the episode of parameter `seed`, 20 s later')
PAUSE = Service('pause', SetBool, BRIDGE_NAME, 'stop simulated time, or go on')
CHANGE_PLANNER_STATE = Service('change_state', ChangeState, PLANNER_NAME, 'lifecycle transition')
SET_PLANNER_PARAMETERS = Service('set_parameters', SetParameters, PLANNER_NAME)
SET_BRIDGE_PARAMETERS = Service('set_parameters', SetParameters, BRIDGE_NAME)

PLANNER = Interface(
    PLANNER_NAME,
    published=(
        Endpoint(COMMANDS, reliable(),
                 "torques [N m] in the order of the bundle's action layout"),
        Endpoint(PLAN, reliable(), 'chosen plan: joint positions [m, rad], velocities '
                 '[m/s, rad/s] and torques [N m], stamped with the state that it starts from; '
                 'published when subscribed'),
        Endpoint(PLAN_PATH, reliable(), 'torso along the chosen plan [m]; drawn when subscribed'),
        Endpoint(MARKERS, reliable(), 'candidates, chosen plan, ghosts, executed path [m]; drawn '
                 'when subscribed'),
        Endpoint(DENOISING, reliable(), 'a plan that was executed, as it was denoised, step by '
                 'step [m]; computed when subscribed'),
        Endpoint(NAVIGATION_STATUS, kept(), 'goals that were given, the newest last: executing, '
                 'succeeded, canceled (also: replaced) or aborted (also: refused); of a robot '
                 'that knows goals'),
        Endpoint(NAVIGATION_RESULT, kept(), 'how the last goal ended: reached, cancelled, '
                 'replaced, given up or refused, and why; of a robot that knows goals'),
        Endpoint(NAVIGATION_DISTANCE, reliable(), 'straight distance to the goal [m], with every '
                 'plan; of a robot that knows goals'),
        Endpoint(DIAGNOSTICS, reliable(10), 'health of the node')),
    subscribed=(
        Endpoint(JOINT_STATES, best_effort(), 'measured positions [m, rad], velocities '
                 '[m/s, rad/s] and torques [N m], matched by joint name, in any order'),
        # More than one, so that a late executor keeps the neighbours of a state.
        Endpoint(ODOMETRY, best_effort(5), 'base of the robot [m, rad, m/s, rad/s], with '
                 'parameter `odometry_joints`'),
        Endpoint(GOAL_POSE, reliable(), "goal in the frame `frame_id` [m], x and y alone count: "
                 "rviz2's `2D Goal Pose`; of a robot that knows goals"),
        Endpoint(GOAL_PATH, reliable(), 'goals, one after the other [m]; an empty one cancels; of '
                 'a robot that knows goals'),
        # One message for each: many may come at once.
        Endpoint(OBSTACLES, reliable(100), 'obstacle in the frame `frame_id` [m]: a cylinder or a '
                 'cube that stands upright, with guide `obstacles`; `ns` and `id` identify it, '
                 '`DELETE` and `DELETEALL` take away; of a robot that knows goals'),
        Endpoint(CMD_VEL, best_effort(), 'commanded speed: `linear.x` [m/s], with guide `speed` '
                 'or a model that is told one; with parameter `use_stamped_vel` a `TwistStamped`'),
        Endpoint(COMMANDS, best_effort(10), 'whether others command; only until it has commanded '
                 'for some seconds'),
        Endpoint(CLOCK, best_effort(), 'simulated time, with `use_sim_time`')))

BRIDGE = Interface(
    BRIDGE_NAME,
    published=(
        Endpoint(JOINT_STATES, reliable(), 'all joints [m, rad; m/s, rad/s], the base included, '
                 'and the applied torques [N m]'),
        Endpoint(REWARD, reliable(), 'of every step, `name: [reward, terminated]`, values in '
                 '`position`, stamped with the state that it led to'),
        Endpoint(CLOCK, reliable(), 'simulated time, after the state of the same step; it goes on '
                 'across episodes'),
        Endpoint(GOAL_POSE, reliable(), 'goal of every episode [m], with parameter `send_goals`; '
                 'of a robot that knows goals'),
        Endpoint(DIAGNOSTICS, reliable(10), 'the episode; at once at its end')),
    subscribed=(
        Endpoint(COMMANDS, reliable(), 'a torque for every motor [N m]'),
        Endpoint(PUSH, reliable(), "impulse [N s] on the task's pushed_body during the next "
                 'control period, world frame, at most 100; on a planar robot y has no effect')),
    services=(RESET, PAUSE))

RECORDER_DEPTH = 1000  # messages that wait for the recorder, which a busy machine serves last
RECORDER = Interface(
    RECORDER_NAME,
    published=(Endpoint(DIAGNOSTICS, reliable(10), 'what was recorded'),),
    subscribed=(
        Endpoint(JOINT_STATES, best_effort(RECORDER_DEPTH),
                 'states, and the torques [N m] that were applied before them'),
        Endpoint(PLAN, best_effort(RECORDER_DEPTH), 'plans, matched to states by stamp'),
        Endpoint(REWARD, best_effort(RECORDER_DEPTH),
                 'as the bridge publishes it; any node may, or none'),
        Endpoint(COMMANDS, best_effort(RECORDER_DEPTH),
                 'torques [N m], with `torque_source: commands`'),
        Endpoint(ODOMETRY, best_effort(RECORDER_DEPTH),
                 'base of the robot [m, rad, m/s, rad/s], with parameter `odometry_joints`')))

NOT_IN_MCAP = (PLAN_PATH, DENOISING)
"""Drawn only when subscribed: the first repeats the plan, the second costs a plan of its own."""


def _recorded() -> tuple[Endpoint, ...]:
    """Return the topics of planner and bridge to record, their own and those they listen to."""
    ends = (*PLANNER.published, *PLANNER.subscribed, *BRIDGE.published, *BRIDGE.subscribed)
    is_kept = {e.topic: False for e in ends} | {
        e.topic: True for e in ends if e.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL}
    return tuple(
        Endpoint(topic, kept(RECORDER_DEPTH) if is_kept[topic] else best_effort(RECORDER_DEPTH),
                 'recorded as it is')
        for topic in is_kept if topic not in NOT_IN_MCAP)


MCAP_RECORDER = Interface(
    MCAP_RECORDER_NAME,
    published=(Endpoint(DIAGNOSTICS, reliable(10), 'what was recorded, and what got lost'),),
    subscribed=(
        *_recorded(),
        Endpoint(ROBOT_DESCRIPTION, kept(RECORDER_DEPTH), 'URDF, recorded for those who draw')))

VIEWER = Interface(
    VIEWER_NAME,
    published=(
        Endpoint(PUSH, reliable(), 'pushes [N s], by a button'),
        Endpoint(CMD_VEL, reliable(), 'commanded speed [m/s] at 10 Hz, while it is switched on'),
        Endpoint(GOAL_POSE, reliable(), 'a goal [m], by a button'),
        Endpoint(GOAL_PATH, reliable(), 'an empty path: gives the goals up, by a button')),
    # Depth 1: a page shows only what is newest.
    subscribed=(
        Endpoint(DIAGNOSTICS, best_effort(10), 'health; while a browser is connected, as all that '
                 'follows'),
        Endpoint(JOINT_STATES, best_effort(), 'where the robot is, and its torques; at most at '
                 '`draw_rate`, but all of them while predictions are shown'),
        Endpoint(ODOMETRY, best_effort(), 'its base, where the planner takes it from there'),
        Endpoint(MARKERS, reliable(), 'candidates, chosen plan, executed path, goals, walls'),
        Endpoint(DENOISING, reliable(10), 'a plan as it was denoised; only while it is switched '
                 'on'),
        Endpoint(PLAN, best_effort(), 'predicted states; only while an entry is chosen'),
        Endpoint(NAVIGATION_RESULT, kept(), 'how the last goal ended'),
        Endpoint(ROBOT_DESCRIPTION, kept(), 'URDF or MJCF of a robot that is not known here')))

SESSION = Interface(
    'walk',
    published=(Endpoint(PUSH, reliable(), 'pushes of a soak test [N s]'),),
    subscribed=(
        Endpoint(DIAGNOSTICS, reliable(10), 'the course of the episode'),
        Endpoint(JOINT_STATES, best_effort(10), 'states, to report the walk'),
        Endpoint(PLAN, best_effort(10), 'plans, to report the walk')))

SNAPSHOT = Interface(
    'snapshot',
    subscribed=(
        Endpoint(MARKERS, reliable(10), 'a plan to draw [m]'),
        Endpoint(DENOISING, reliable(10), 'the denoising of a plan to draw [m]')))

NODES = (PLANNER, BRIDGE, RECORDER, MCAP_RECORDER)
"""The interfaces of the nodes that a robot runs with, for the documentation and the tests."""
