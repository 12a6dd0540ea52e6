# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the messages of a recording say, topic by topic, in the order of the recording."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import get_typestore, Stores

from ...errors import NotFiniteError, StateError
from ...messages.joint_states import JointReader
from ...messages.odometry import BaseReader, pose_and_rates
from ...messages.rewards import reward_from_msg
from ...messages.stamps import nanoseconds_from_stamp, NO_STATE, stamp_from_label
from ...robot import Robot
from ..recordings.on_progress import OnProgress
from ..recordings.tally import Tally
from .bag_config import BagConfig
from .bag_files import Bag
from .bag_message import BagMessage
from .bag_topics import BagTopics

# [bytes] without meaning at the end of a message that was serialised by ROS outside of DDS: it
# makes room for an alignment that empty lists do not need. ``rosbags`` refuses more than 3.
PADDING = (0, 4, 8)


@dataclass
class Stream:
    """The messages of one topic, in the order of the recording."""

    orders: list[int] = field(default_factory=list)
    """Positions among all messages that were read."""
    stamps: list[int] = field(default_factory=list)
    """When something was measured [ns]."""
    values: list[Any] = field(default_factory=list)

    def add(self, order: int, stamp: int, value: Any) -> None:
        """Take a message."""
        self.orders.append(order)
        self.stamps.append(stamp)
        self.values.append(value)


class BagStreams:
    """
    Read all messages of a recording that are of a robot.

    Joints are matched by name, as the planner does. A message that cannot be used is dropped.

    :param tally: counts what is dropped.
    :param on_progress: see ``OnProgress``.
    :raises BagDamageError: if the recording is damaged.
    """

    def __init__(self, bag: Bag, topics: BagTopics, robot: Robot, config: BagConfig,
                 tally: Tally, on_progress: OnProgress) -> None:
        self.joint_states = Stream()
        """Values are states (S,), NaN in joints of the base, with the efforts (A,) [N m] that they
        report, NaN where they report none."""
        self.commands = Stream()
        """Values are torques (A,) [N m]. Stamps are those of the states that they answer, -1 where
        their sender does not say."""
        self.odometry = Stream()
        """Values are poses and rates (12,)."""
        self.rewards = Stream()
        """Values are the reward of a control period and whether the robot fell in it."""
        self.marks: list[int] = []
        """Positions among all messages at which an episode begins."""
        self._robot, self._tally, self._time = robot, tally, config.time
        joints = config.base_joints
        elsewhere = {j.joint for j in joints}
        self._own = {e.joint for e in robot.state} - elsewhere
        self._joints = JointReader(robot, elsewhere)
        self._base = BaseReader(robot, joints) if joints else None
        self._incomplete: list[StateError] = []  # of joint states before the first complete ones
        self._clock: int | None = None  # simulated time [ns]
        self._padding: dict[str, int] = {}  # of the last message by topic [bytes]
        self._deserialize = get_typestore(Stores.LATEST).deserialize_cdr
        handlers: dict[str, Callable[[int, BagMessage], None]] = {
            topics.joint_states: self._on_joint_states, topics.commands: self._on_command,
            topics.odometry: self._on_odometry, topics.reward: self._on_reward,
            topics.episodes: self._on_mark, topics.clock: self._on_clock}
        handlers.pop('', None)
        for order, message in enumerate(bag.messages(handlers)):
            try:
                handlers[message.topic](order, message)
            except SerdeError as error:
                tally.drop('not readable', f'a message of {message.topic}: {error}')
            on_progress(1, 0)
        self._drop_incomplete()

    def _read(self, message: BagMessage) -> Any:
        faults = []
        for n in dict.fromkeys((self._padding.get(message.topic, 0), *PADDING)):
            try:
                msg = self._deserialize(message.data[:len(message.data) - n], message.type)
            except SerdeError as error:
                faults.append(error)
            else:
                self._padding[message.topic] = n  # mostly that of the next one as well
                return msg
        raise faults[0]

    def _stamp(self, message: BagMessage, msg: Any) -> int | None:
        """Return when something was measured [ns]; None if simulated time has not come yet."""
        if self._time == 'received':
            return message.received
        if self._time == 'header':
            return nanoseconds_from_stamp(msg.header.stamp)
        if self._clock is None:
            self._tally.drop('late joiner', f'{message.topic} came before the clock')
        return self._clock

    def _on_joint_states(self, order: int, message: BagMessage) -> None:
        msg = self._read(message)
        if (stamp := self._stamp(message, msg)) is None:
            return
        try:
            reading = self._joints.read(msg)
        except NotFiniteError as error:
            self._tally.drop('not finite', error)
        except StateError as error:
            self._refuse(msg, error)
        else:
            effort = np.array([reading.efforts.get(e.joint, np.nan) for e in self._robot.action])
            self.joint_states.add(order, stamp, (reading.state, effort))

    def _refuse(self, msg: Any, error: StateError) -> None:
        """Drop joint states that are not those of the robot."""
        if self._own.isdisjoint(msg.name):
            self._tally.drop('other joints', error)
        elif self._own <= set(msg.name) and len(set(msg.name)) < len(msg.name):
            self._tally.drop('joint twice', error)
        elif self.joint_states.orders:
            self._tally.drop('joints missing', error)
        else:
            self._incomplete.append(error)

    def _drop_incomplete(self) -> None:
        """Count joint states before the first complete ones, if these came at all."""
        if self._incomplete:
            self._tally.drop('late joiner' if self.joint_states.orders else 'joints missing',
                             self._incomplete[0], len(self._incomplete))

    def _on_command(self, order: int, message: BagMessage) -> None:
        msg = self._read(message)
        torque = np.array(msg.data)
        if len(torque) != self._robot.action_dim:
            names = ', '.join(e.joint for e in self._robot.action)
            self._tally.drop('number of commands', f'a command holds {len(torque)} numbers, '
                             f'expected {self._robot.action_dim}: {names}')
        elif not np.isfinite(torque).all():  # a controller ignores it, too
            self._tally.drop('not finite', f'a command is {torque.tolist()}, expected finite '
                             'numbers [N m]')
        else:
            label = msg.layout.dim[0].label if msg.layout.dim else ''
            answered = stamp_from_label(label)
            self.commands.add(order, NO_STATE if answered is None else answered, torque)

    def _on_odometry(self, order: int, message: BagMessage) -> None:
        msg = self._read(message)
        if self._base is None or (stamp := self._stamp(message, msg)) is None:
            return
        try:
            pose = pose_and_rates(msg)
            self._base.check(pose)
        except StateError as error:
            self._tally.drop('odometry refused', error)
        else:
            self.odometry.add(order, stamp, pose)

    def _on_reward(self, order: int, message: BagMessage) -> None:
        msg = self._read(message)
        if (stamp := self._stamp(message, msg)) is None:
            return
        try:
            self.rewards.add(order, stamp, reward_from_msg(msg))
        except StateError as error:
            self._tally.drop('reward refused', error)

    def _on_mark(self, order: int, message: BagMessage) -> None:
        self.marks.append(order)

    def _on_clock(self, order: int, message: BagMessage) -> None:
        self._clock = nanoseconds_from_stamp(self._read(message).clock)
