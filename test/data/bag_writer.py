# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of ``ros2 bag``, of messages as our nodes build and ROS serialises them."""

from dataclasses import dataclass

import numpy as np
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from rosgraph_msgs.msg import Clock

from diffusion_planner_ros.nodes.common.conversions import (
    msg_from_joints,
    msg_from_reward,
    msg_from_torque,
    stamp_from_nanoseconds,
)
from diffusion_planner_ros.robot import Robot

PERIOD = 8_000_000  # [ns]
START = 20_000_000_000  # [ns] of simulated time
WALL = 1_700_000_000_000_000_000  # [ns], when simulated time was 0
DELAY = 1_000_000  # [ns] from a state to the reward, and to the command
STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite': StoragePlugin.SQLITE3}


@dataclass
class Sent:
    """A message and when it was recorded [ns]."""

    received: int
    topic: str
    msg: object


@dataclass(frozen=True)
class Walk:
    """What a simulated robot did, all joints included."""

    names: list
    qpos: np.ndarray
    """Positions of all joints, shape (n + 1, J)."""
    qvel: np.ndarray
    states: np.ndarray
    """Shape (n + 1, S)."""
    torques: np.ndarray
    """[N m], shape (n, A)."""
    rewards: np.ndarray
    actuated: list

    def __len__(self):
        return len(self.torques)

    def stamp(self, k):
        return START + k * PERIOD

    def joint_states(self, k, *, names=None, stamp=None):
        """Return the message of state k, as the bridge publishes it."""
        effort = np.zeros(len(self.names))
        if k:
            effort[[self.names.index(j) for j in self.actuated]] = self.torques[k - 1]
        order = [self.names.index(n) for n in names or self.names]
        return msg_from_joints([self.names[i] for i in order], self.qpos[k][order],
                               self.qvel[k][order], effort[order],
                               self.stamp(k) if stamp is None else stamp)

    def sent(self):
        """Return all messages that the bridge and the planner send, in order."""
        messages = []
        for k in range(len(self) + 1):
            at = WALL + self.stamp(k)
            messages.append(Sent(at, '/joint_states', self.joint_states(k)))
            if k:
                messages.append(Sent(at + DELAY // 2, '/reward', msg_from_reward(
                    self.rewards[k - 1], False, self.stamp(k))))
            messages.append(Sent(at + DELAY // 2 + 1, '/clock', Clock(
                clock=stamp_from_nanoseconds(self.stamp(k)))))
            if k < len(self):
                messages.append(Sent(at + DELAY, '/effort_controller/commands', msg_from_torque(
                    self.torques[k], self.stamp(k))))
        return messages


def ros_type(msg):
    return f'{type(msg).__module__.partition(".")[0]}/msg/{type(msg).__name__}'


def write_bag(folder, messages, storage='mcap', *, chunk=None):
    """
    Write messages in the order in which they were recorded; return the folder.

    :param chunk: of MCAP: messages after which a chunk is closed.
    """
    return write_in_order(folder, sorted(messages, key=lambda s: s.received), storage, chunk=chunk)


def write_in_order(folder, messages, storage='mcap', *, chunk=None):
    """Write messages as they come; otherwise as ``write_bag``."""
    store = get_typestore(Stores.LATEST)
    with Writer(folder, version=9, storage_plugin=STORAGES[storage]) as writer:
        connections = {}
        for n, sent in enumerate(messages):
            if (key := (sent.topic, ros_type(sent.msg))) not in connections:
                connections[key] = writer.add_connection(*key, typestore=store)
            writer.write(connections[key], sent.received, serialize_message(sent.msg))
            if chunk and n % chunk == chunk - 1:
                writer.storage.close_chunk()
    return folder


def file_of(folder):
    """Return the only storage file of a recording."""
    file, = (f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3'))
    return file


def made_up_walk(n=40):
    """Return numbers that no robot measured, within all limits."""
    rng = np.random.default_rng(0)
    robot = Robot.load('walker2d')
    names = ['rootx', *dict.fromkeys(e.joint for e in robot.state if e.joint != 'rootx')]
    phase = rng.uniform(0, 2 * np.pi, 9) + 20.0 * PERIOD / 1e9 * np.arange(n + 1)[:, None]
    qpos, qvel = 0.25 * np.sin(phase) - 0.25, 5.0 * np.cos(phase)
    return Walk(names, qpos, qvel, np.concatenate([qpos[:, 1:], qvel], axis=1),
                rng.uniform(-50, 50, (n, 6)), rng.uniform(0, 1, n),
                [e.joint for e in robot.action])
