# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Records episodes: states, torques, rewards, and the plans that led to them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import time
from typing import Any, Literal

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from ..data.executed_plans import LogWriter
from ..episode import Episode
from ..errors import ConfigError, StateError
from ..messages.joint_states import JointReader
from ..messages.odometry import BaseReader, OdometryHistory, pose_and_rates
from ..messages.rewards import reward_from_msg
from ..messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from ..planning.bundle import bundle_hash, FACTS_FILE, read_facts
from ..robot import Robot
from ..robots.robot_folder import DEFAULT_ROBOT
from ..settings import check_settings, document_settings, setting
from ..share import shipped_bundle
from .common.conversions import states_from_plan, torque_from_msg
from .common.diagnostics import msg_from_facts
from .common.parameters import declare
from .common.run_node import run_node
from .common.topics import COMMANDS, DIAGNOSTICS, JOINT_STATES, ODOMETRY, PLAN, RECORDER, REWARD
from .recording.episode_builder import EpisodeLog
from .recording.last_messages import LastMessages
from .recording.message_sorter import MessageSorter
from .state.state_source import StateConfig

HOLD = 0.5  # [s] that a message is held back, until those of other topics have come
LOOK_PERIOD = 0.05  # [s] between looks for messages that have waited long enough
ODOMETRY_WAIT = 2  # control periods that odometry may come after its joint states
DIAGNOSTICS_PERIOD = 1.0  # [s]
WARNING_PERIOD = 1.0  # [s], shortest time between two warnings of one kind


@document_settings
@dataclass(frozen=True)
class RecorderConfig:
    """Parameters of the recorder."""

    file: str = setting('', 'HDF5 file to write; it must not be there yet.', read_only=True)
    bundle: str = setting(
        '', 'Folder of the model bundle that plans, for the layout of states and '
        'actions; empty takes the shipped Walker2D.', read_only=True)
    torque_source: Literal['effort', 'commands'] = setting(
        'effort', "Where the executed torque is taken from: the 'effort' of the joint states that "
        "follow it, or the last one of the 'commands' before them.", read_only=True)
    odometry_joints: tuple[str, ...] = setting(
        ('',), "Joints of the base that topic 'odometry' measures, as the parameter of the "
        'planner.', read_only=True)
    max_episode_steps: int = setting(
        10_000, 'Steps after which an episode is cut and written; the next one goes on from '
        'there.', unit='control periods', low=1, high=1_000_000, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.file:
            raise ConfigError("file is '', expected the name of a file to write")

    @property
    def bundle_folder(self) -> Path:
        """Where the facts of the model are."""
        return Path(self.bundle) if self.bundle else shipped_bundle(DEFAULT_ROBOT)


class Recorder(Node):
    """
    Write what planner and robot publish to a file, as episodes.

    All subscriptions are best effort, so that no publisher waits for this node. A state or reward
    that gets lost ends an episode. Action k of an episode is the torque that acted between the
    states k and k + 1.
    """

    def __init__(self) -> None:
        super().__init__(RECORDER.node_name)
        config = declare(self, RecorderConfig)
        facts = read_facts(config.bundle_folder)
        robot = Robot.from_dict(facts['robot'], str(config.bundle_folder / FACTS_FILE))
        state_config = StateConfig(odometry_joints=config.odometry_joints)
        joints = state_config.base_joints
        self._robot = robot
        self._horizon = int(facts['horizon'])
        self._takes_effort = config.torque_source == 'effort'
        self._joints = JointReader(robot, {j.joint for j in joints})
        self._base = BaseReader(robot, joints) if joints else None
        self._odometry = OdometryHistory(round(state_config.max_odometry_gap * NANOSECONDS))
        period = round(robot.control_period * NANOSECONDS)
        self._odometry_wait = ODOMETRY_WAIT * period
        self._command = np.full(robot.action_dim, np.nan)  # the last one [N m]
        self._writer = LogWriter(Path(config.file), robot, bundle_hash=bundle_hash(facts))
        self._log = EpisodeLog(period=period, horizon=self._horizon, on_episode=self._write,
                               max_steps=config.max_episode_steps)
        self._messages = MessageSorter(HOLD)
        self._n_steps = self._n_plans = self._n_refused = 0
        self._last = LastMessages(HOLD)
        for topic, handle in (
                (JOINT_STATES, self._on_joint_states),
                (PLAN, self._on_plan),
                *([] if self._takes_effort else [(COMMANDS, self._on_command)]),
                *([] if self._base is None else [(ODOMETRY, self._on_odometry)]),
                (REWARD, self._on_reward)):
            RECORDER.subscription(self, topic, partial(self._put, handle))
        self._diagnostics = RECORDER.publisher(self, DIAGNOSTICS)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD, self._look, clock=wall)
        self.create_timer(DIAGNOSTICS_PERIOD, self._report, clock=wall)
        self.get_logger().info(f"recording '{robot.name}' to {config.file}")

    # The life of the process

    def stop(self) -> None:
        """Be done when all messages that were published so far have come."""
        self._last.stop()

    @property
    def is_done(self) -> bool:
        """Whether all messages that were published before ``stop`` was called have come."""
        return self._last.have_come

    def close(self) -> None:
        """Write what has not been written, unless the file cannot be written."""
        if not self._writer.has_failed:
            self._messages.release_all()
            self._log.close()

    # Messages in the order of arrival

    def _put(self, handle: Callable[[Any], None], msg: Any, info: dict[str, Any]) -> None:
        sent = info['source_timestamp'] or time.time_ns()
        if isinstance(msg, JointTrajectory):
            self._log.announce_plan(nanoseconds_from_stamp(msg.header.stamp))
        elif isinstance(msg, Odometry):
            sent -= self._odometry_wait  # handled before its joint states, even if it came later
        elif handle == self._on_joint_states:
            self._last.see(sent)
            if self._last.is_late(sent):
                return  # we may be gone before its reward comes
        self._messages.put(sent, time.monotonic(), partial(self._handle, handle, msg))

    def _look(self) -> None:
        self._messages.release(time.monotonic())
        self._log.hand_over_ended(time.monotonic_ns())

    # Messages in the order of publication

    def _handle(self, handle: Callable[[Any], None], msg: Any) -> None:
        try:
            handle(msg)
        except StateError as error:
            self._n_refused += 1
            self.get_logger().warning(f'not recorded: {error}',
                                      throttle_duration_sec=WARNING_PERIOD)

    def _on_joint_states(self, msg: JointState) -> None:
        stamp = nanoseconds_from_stamp(msg.header.stamp)
        if not self._log.is_due(stamp):
            return
        reading = self._joints.read(msg)
        if self._base is not None:
            if (pose := self._odometry.at(stamp)) is None:
                raise StateError('no odometry within max_odometry_gap of the joint states; is it '
                                 'published, and fast enough?')
            self._base.fill(pose, reading.state, reading.positions, reading.velocities)
        clip = self._robot.state_clip
        torque = self._effort(msg) if self._takes_effort else self._command
        self._log.add_state(time.monotonic_ns(), stamp, np.clip(reading.state, -clip, clip),
                            torque / self._robot.torque_limit)

    def _effort(self, msg: JointState) -> NDArray:
        """Return the torque that was applied before these joint states [N m], shape (A,)."""
        effort = dict(zip(msg.name, msg.effort, strict=False))
        torque = np.array([effort.get(e.joint, np.nan) for e in self._robot.action])
        if not np.isfinite(torque).all():
            self.get_logger().warning(
                f'the joint states have the efforts {torque.tolist()}, expected finite numbers '
                "[N m], or torque_source 'commands' where the driver measures none",
                throttle_duration_sec=WARNING_PERIOD)
        return torque

    def _on_command(self, msg: Float64MultiArray) -> None:
        torque, _ = torque_from_msg(msg)
        if torque.shape == self._command.shape and np.isfinite(torque).all():
            self._command = torque  # a controller ignores all others

    def _on_plan(self, msg: JointTrajectory) -> None:
        if len(msg.points) != self._horizon:
            raise StateError(f'the plan has {len(msg.points)} states, expected {self._horizon}, '
                             'the horizon of the bundle; does the planner use another one?')
        self._log.add_plan(nanoseconds_from_stamp(msg.header.stamp),
                           states_from_plan(msg, self._robot))

    def _on_reward(self, msg: JointState) -> None:
        reward, terminated = reward_from_msg(msg)
        self._log.add_reward(time.monotonic_ns(), nanoseconds_from_stamp(msg.header.stamp),
                             reward, terminated)

    def _on_odometry(self, msg: Odometry) -> None:
        pose = pose_and_rates(msg)
        if self._base is not None:
            self._base.check(pose)
        stamp = nanoseconds_from_stamp(msg.header.stamp)
        if self._odometry.newest is not None and stamp < self._odometry.newest:
            self._odometry.clear()  # time jumped back
        self._odometry.add(stamp, pose)

    def _write(self, episode: Episode, n_left_out: int) -> None:
        number = self._writer.n_episodes
        self._writer.write(episode)
        plans = episode.plans
        n_plans = 0 if plans is None else int(np.isfinite(plans[:, 0, 0]).sum())
        self._n_steps += len(episode)
        self._n_plans += n_plans
        self.get_logger().info(
            f'episode {number}: {len(episode)} steps, {n_plans} plans, '
            f'{"with" if episode.has_rewards else "no"} rewards, '
            f'{"ended in a fall" if episode.terminated else "cut off"}'
            + (f'; {n_left_out} steps without a reward before or after it left out'
               if n_left_out else ''))

    def _report(self) -> None:
        is_hearing = self._last.has_heard
        self._diagnostics.publish(msg_from_facts(
            self, self._robot.name,
            'recording' if is_hearing else 'waiting for joint states',
            {'state': 'recording' if is_hearing else 'waiting',
             'file': self._writer.file, 'episodes': self._writer.n_episodes,
             'steps': self._n_steps, 'plans': self._n_plans, 'refused': self._n_refused,
             'plan_publishers': self.count_publishers(PLAN.path),
             'reward_publishers': self.count_publishers(REWARD.path)},
            level=DiagnosticStatus.OK if is_hearing else DiagnosticStatus.WARN,
            stamp=self.get_clock().now().to_msg()))


def main(argv: list[str] | None = None) -> None:
    """Run the recorder."""
    run_node(Recorder, argv)
