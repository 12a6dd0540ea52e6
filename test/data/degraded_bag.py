# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
A data set as if it had been recorded from a robot: with noise, jitter, loss and disorder.

``python test/data/degraded_bag.py write DATA OUT`` writes the first episodes of a data set twice:
as they are, OUT/direct-v0, and as a recording of ``ros2 bag``, OUT/bag. ``compare`` says what came
back of it. docs/results/recordings.md compares models of both.
"""

from dataclasses import dataclass, replace
import os
from pathlib import Path

from bag_writer import DELAY, Sent, START, WALL, write_in_order
from nav_msgs.msg import Odometry
import numpy as np
import tyro

from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.minari_format import write_minari
from diffusion_planner_ros.nodes.common.conversions import (
    msg_from_joints,
    msg_from_reward,
    msg_from_torque,
    stamp_from_nanoseconds,
)
from diffusion_planner_ros.robot import Robot

AHEAD = 500  # states that may be lost in a row
LEAP = 20_000_000_000  # [ns] of simulated time between two episodes, as the bridge has it
BASE = ('rootx', 'rootz', 'rooty')  # along x and z, and about y


@dataclass(frozen=True)
class Faults:
    """What happens to what a robot measures, and to messages on their way to the recorder."""

    position_noise: float = 0.001
    """Standard deviation [m, rad]."""
    velocity_noise: float = 0.01
    """Standard deviation [m/s, rad/s]."""
    jitter: float = 0.001
    """Largest error of the stamps [s], uniform."""
    lost: float = 0.01
    """Share of the messages of every topic that do not come."""
    delay: float = 0.0005
    """Mean time until a message is recorded [s], exponential."""
    late: float = 0.01
    """Share of the messages that come three control periods later than the others."""


class Recorder:
    """
    Turns episodes into messages of joint states, odometry, rewards and commands.

    :param robot: that of the episodes.
    :param faults: what happens to them.
    """

    def __init__(self, robot, faults, seed=0):
        self._robot, self._faults = robot, faults
        self._rng = np.random.default_rng(seed)
        self._period = round(robot.control_period * 1e9)
        self._names = list(dict.fromkeys(e.joint for e in robot.state))
        self._now = START

    def messages(self, episode):
        """Return the messages of an episode in the order in which they are recorded."""
        sent, states = [], self._measured(episode.observations)
        torques = episode.actions * self._robot.torque_limit
        jitter = round(1e9 * self._faults.jitter)
        for k, state in enumerate(states):
            at = self._now + k * self._period
            stamp = at + int(self._rng.integers(-jitter, jitter + 1))
            position, velocity = (self._by_joint(state, q) for q in ('position', 'velocity'))
            effort = dict(zip((e.joint for e in self._robot.action), torques[k - 1], strict=True)
                          ) if k else {}
            self._send(sent, at, '/joint_states', msg_from_joints(
                self._names, *(np.array([numbers.get(n, 0.0) for n in self._names])
                               for numbers in (position, velocity, effort)), stamp))
            if set(BASE) <= set(self._names):
                self._send(sent, at, '/odometry', odometry(position, velocity, stamp))
            if k:
                falls = episode.terminated and k == len(episode)
                self._send(sent, at, '/reward', msg_from_reward(
                    episode.rewards[k - 1], falls, stamp))
            if k < len(episode):
                self._send(sent, at + DELAY, '/effort_controller/commands', msg_from_torque(
                    torques[k], stamp))
        self._now += len(states) * self._period + LEAP
        return sorted(sent, key=lambda s: s.received)

    def _measured(self, states):
        return states + self._rng.normal(size=states.shape) * noise_of(self._robot, self._faults)

    def _by_joint(self, state, quantity):
        return {e.joint: value for e, value in zip(self._robot.state, state, strict=True)
                if e.quantity == quantity}

    def _send(self, sent, at, topic, msg):
        if self._rng.random() >= self._faults.lost:
            delay = self._rng.exponential(1e9 * self._faults.delay)
            if self._rng.random() < self._faults.late:
                delay += 3 * self._period
            sent.append(Sent(WALL + at + int(delay), topic, msg))


def noise_of(robot, faults):
    """Return the standard deviation of the noise of every entry of the state, shape (S,)."""
    return np.array([faults.position_noise if e.quantity == 'position' else faults.velocity_noise
                     for e in robot.state])


def odometry(position, velocity, stamp):
    """Return the base of a robot in a plane, its velocity in its own frame."""
    x, z, pitch = BASE
    msg = Odometry()
    msg.header.stamp = stamp_from_nanoseconds(stamp)
    msg.pose.pose.position.x, msg.pose.pose.position.z = position.get(x, 0.0), position[z]
    angle = position[pitch]
    msg.pose.pose.orientation.w, msg.pose.pose.orientation.y = np.cos(angle / 2), np.sin(angle / 2)
    cos, sin = np.cos(angle), np.sin(angle)
    linear, angular = msg.twist.twist.linear, msg.twist.twist.angular
    linear.x = cos * velocity[x] - sin * velocity[z]
    linear.z = sin * velocity[x] + cos * velocity[z]
    angular.y = velocity[pitch]
    return msg


def write(data: Path, out: Path, /, faults: tyro.conf.OmitArgPrefixes[Faults],
          episodes: int = 200, robot: str = 'walker2d', seed: int = 0) -> None:
    """
    Write the first episodes of a data set as they are, and as a recording.

    :param data: data set, as ``train`` takes it.
    :param out: folder to make.
    :param faults: what happens to the recording.
    :param episodes: how many of them.
    :param robot: name of a robot.
    :param seed: of noise, loss and disorder.
    """
    layout = Robot.load(robot)
    chosen = [replace(e, policy_actions=None) for e in read_episodes(data, layout)[:episodes]]
    out.mkdir(parents=True)
    os.environ.setdefault('MINARI_DATASETS_PATH', '')
    write_minari(out, 'direct-v0', chosen, environment=None, algorithm='recorded',
                 description=f'The first {len(chosen)} episodes of {data.name}', metadata={})
    recorder = Recorder(layout, faults, seed)
    write_in_order(out / 'bag', (sent for e in chosen for sent in recorder.messages(e)))


def places(written, imported, robot, faults):
    """
    Yield which of the states that were written every imported episode begins with.

    :param written: states, shape (n, S), in the order in which they were recorded.
    :param imported: episodes, in that order, too.
    """
    noise = noise_of(robot, faults)
    end = 0
    for episode in imported:
        found = episode.observations[:len(episode)]
        firsts = range(end, min(end + AHEAD, len(written) - len(found) + 1))
        first = min(firsts, key=lambda k: np.square(
            (written[k:k + len(found)] - found) / noise).sum())
        end = first + len(found)
        yield first


def compare(direct: Path, imported: Path, /, faults: tyro.conf.OmitArgPrefixes[Faults],
            robot: str = 'walker2d') -> None:
    """
    Print how many steps came back, and how many of them with another torque.

    :param direct: data set that was written directly.
    :param imported: data set that was imported.
    :param faults: what happened to the recording.
    :param robot: name of a robot.
    """
    layout = Robot.load(robot)
    written = read_episodes(direct, layout)
    states = np.concatenate([e.observations[:len(e)] for e in written])
    actions = np.concatenate([e.actions for e in written])
    episodes = read_episodes(imported, layout, needs_rewards=False)
    n_wrong = sum(wrong_torques(e, actions[first:]) for e, first in zip(
        episodes, places(states, episodes, layout, faults), strict=True))
    n_steps = sum(map(len, episodes))
    print(f'{len(states)} steps, {n_steps} came back, {n_wrong} of them ({n_wrong / n_steps:.1%}) '
          'with another torque')


def wrong_torques(episode, actions):
    """Count the steps of an episode whose actions are not those that were written, in order."""
    return int((np.abs(episode.actions - actions[:len(episode)]).max(axis=1) > 1e-6).sum())


if __name__ == '__main__':
    tyro.extras.subcommand_cli_from_dict({'write': write, 'compare': compare})
