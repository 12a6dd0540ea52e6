# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot: MuJoCo as a ROS 2 node."""

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Vector3
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock as ClockMsg
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from ..planning.stop import StopConfig
from ..sim.bridge_episode import (
    BridgeConfig,
    BridgeEpisode,
    JointSnapshot,
    REPEAT_PERIOD,
    WARNING_PERIOD,
)
from ..sim.environment import make_environment
from .common.conversions import (
    msg_from_joints,
    msg_from_reward,
    stamp_from_nanoseconds,
    torque_from_msg,
)
from .common.diagnostics import msg_from_facts
from .common.parameters import declare
from .common.percentiles import Percentiles
from .common.run_node import run_node
from .common.topics import (
    BRIDGE,
    CLOCK,
    COMMANDS,
    DIAGNOSTICS,
    GOAL_POSE,
    JOINT_STATES,
    PAUSE,
    PUSH,
    RESET,
    REWARD,
)
from .control.publishers import listed, Senders, UNKNOWN
from .threads.control_thread import ControlThread
from .threads.scheduling import schedule, SchedulingConfig

DIAGNOSTICS_PERIOD = 1.0  # [s]
FRAME = 'world'  # of the simulation


class MujocoBridge(Node):
    """
    Connect a ``BridgeEpisode`` to topics, services, parameters and diagnostics.

    Joint states, rewards and the clock go out, commands and pushes come in. The end of an episode
    and the beginning of a stop are reported at once on ``/diagnostics``, which otherwise follows
    every ``DIAGNOSTICS_PERIOD``. The control thread serves all but the parameters.
    """

    def __init__(self) -> None:
        super().__init__(BRIDGE.node_name)
        self._config = declare(self, BridgeConfig)
        stop = declare(self, StopConfig)
        scheduling = declare(self, SchedulingConfig)
        self._stop_behaviour = stop.stop_behaviour
        self.is_done = False
        self._failure: BaseException | None = None
        self._latency = Percentiles('latency', 'ms', 1e3)
        self._senders = Senders()  # of commands
        self._conflicts: dict[str, list[str]] = {}  # nodes, if a topic has more than one
        self._robot = make_environment(self._config.robot)
        self._episode = BridgeEpisode(self._robot, self._config, stop, self, time.monotonic)
        self._control = ControlThread(self, self._on_control_fault)
        group = self._control.group

        self._states = BRIDGE.publisher(self, JOINT_STATES)
        self._clock_publisher = BRIDGE.publisher(self, CLOCK)
        self._rewards = BRIDGE.publisher(self, REWARD)
        self._diagnostics = BRIDGE.publisher(self, DIAGNOSTICS)
        self._goals: Publisher | None = None
        if self._config.send_goals and self._robot.goal is not None:
            self._goals = BRIDGE.publisher(self, GOAL_POSE)
        self._sent: int | None = None  # start of the episode whose goal was sent [ns]
        self._commands = BRIDGE.subscription(self, COMMANDS, self._on_command, group=group)
        BRIDGE.subscription(self, PUSH, self._on_push, group=group)
        BRIDGE.service(self, RESET, self._on_reset, group=group)
        BRIDGE.service(self, PAUSE, self._on_pause, group=group)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._repeats = self.create_timer(REPEAT_PERIOD, self._episode.repeat, group, wall)
        self.create_timer(DIAGNOSTICS_PERIOD, self._on_diagnostics_timer, group, wall)
        if not self._config.lockstep:
            self._ticks = self.create_timer(
                self._episode.wall_period, self._episode.tick, group, wall)
        self._episode.begin()
        self._control.start()
        schedule(scheduling, self._control.identifiers, self.get_logger().warning)

    # The life of the process

    def stop(self) -> None:
        """End the simulation."""
        self.is_done = True

    def close(self) -> None:
        """End the simulation's thread, and raise what ended it before."""
        self._control.close()
        if self._failure is not None:
            raise self._failure

    def _on_control_fault(self, fault: BaseException) -> None:
        self._failure = fault
        self.is_done = True

    # What comes in

    def _on_command(self, msg: Float64MultiArray, info: dict[str, Any]) -> None:
        self._senders.hear(info)
        self._episode.command(*torque_from_msg(msg))

    def _on_push(self, msg: Vector3) -> None:
        self._episode.push(np.array([msg.x, msg.y, msg.z]))

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        seed = self.get_parameter('seed').value
        self._episode.reset(seed)
        response.success, response.message = True, f'seed {seed}'
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._episode.pause(request.data)
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    # What goes out: BridgeOutput

    def show_clock(self, time: int) -> None:
        """Publish simulated time [ns]."""
        self._clock_publisher.publish(ClockMsg(clock=stamp_from_nanoseconds(time)))

    def show_state(self, state: JointSnapshot) -> None:
        """Publish the joints, which is repeated after ``REPEAT_PERIOD``."""
        self._states.publish(msg_from_joints(self._robot.joint_names, state.positions,
                                             state.velocities, state.efforts, state.time))
        self._repeats.reset()
        self._send_goal()

    def _send_goal(self) -> None:
        """Send the robot to the goal of its episode, once it moves and somebody listens."""
        episode, start, point = self._episode, self._episode.start_time, self._robot.goal
        if (self._goals is None or point is None or start == self._sent
                or episode.state != 'running' or not self._goals.get_subscription_count()):
            return
        goal = PoseStamped()
        goal.header.frame_id, goal.header.stamp = FRAME, stamp_from_nanoseconds(episode.time)
        goal.pose.position.x, goal.pose.position.y = map(float, point)
        self._goals.publish(goal)
        self._sent = start

    def show_reward(self, reward: float, fell: bool, time: int) -> None:
        """Publish the reward of the step that led to the state of this time [ns]."""
        self._rewards.publish(msg_from_reward(reward, fell, time))

    def restart_ticks(self) -> None:
        """Let the next control period end one period from now."""
        self._ticks.reset()

    def add_latency(self, latency: float) -> None:
        """Record the time from a state to its command [s]."""
        self._latency.add(latency)

    def report_end(self) -> None:
        """Report the end of an episode."""
        self._publish_diagnostics()

    def report_stop(self, is_stopped: bool, age: float) -> None:
        """Report that a stop began or ended; the last command was of this age [s]."""
        if not is_stopped:
            self.get_logger().info('commands come again', throttle_duration_sec=WARNING_PERIOD)
            return
        self.get_logger().warning(
            f'{self._episode.stop_cause} for {age:.3f} s: stopped (behaviour '
            f'{self._stop_behaviour}); expected one every {self._episode.command_timeout} s '
            '(command_timeout)', throttle_duration_sec=WARNING_PERIOD)
        self._publish_diagnostics()  # a short stop would pass between two reports

    def warn(self, text: str) -> None:
        """Log something that was refused."""
        self.get_logger().warning(text)

    # Diagnostics

    def _on_diagnostics_timer(self) -> None:
        self._check_publishers()
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        level, message = self._health()
        facts = {**self._episode.facts(), **self._latency.facts(),
                 'command_publishers': self.count_publishers(self._commands.topic_name),
                 'conflicts': ', '.join(self._conflicts)}
        self._diagnostics.publish(msg_from_facts(
            self, self._robot.robot.name, message, facts, level=level,
            stamp=stamp_from_nanoseconds(self._episode.time)))

    def _health(self) -> tuple[bytes, str]:
        """Return how bad the state is, and the state in words for people."""
        level = DiagnosticStatus.WARN if self._episode.has_fallen else DiagnosticStatus.OK
        messages = {'waiting': 'waiting for a command', 'over': 'episode over',
                    'stopped': f'stopped: {self._episode.stop_cause}'}
        state = self._episode.state
        if state == 'stopped' or self._conflicts:
            level = DiagnosticStatus.ERROR
        return level, messages.get(state, state)

    def _check_publishers(self) -> None:
        """Report if more than one node commands the robot or publishes the clock."""
        commands, clock = self._commands.topic_name, self.resolve_topic_name(CLOCK.name)
        # ROS lists a process for a while after it was killed. A planner that crashed and came back
        # is no conflict: of both, only the new one sends commands.
        alive = self._senders.alive()
        publishers = listed(self, commands)
        found = {commands: (sorted(set(publishers.values())) if UNKNOWN in alive else
                            [name for gid, name in publishers.items() if gid in alive]),
                 clock: list(listed(self, clock).values())}
        for topic, names in found.items():
            if len(names) > 1 and topic not in self._conflicts:
                self.get_logger().error(
                    f'{len(names)} publishers on {topic}, expected one; end all but one of '
                    f'{", ".join(sorted(names))}, or give each robot a namespace and its own '
                    'clock (-r /clock:=clock)')
        self._conflicts = {topic: names for topic, names in found.items() if len(names) > 1}


def main(argv: list[str] | None = None) -> None:
    """Run the simulated robot."""
    run_node(MujocoBridge, argv)
