# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The base of a robot from odometry: its axes, and its pose at any recent time."""

from collections import deque
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, NotFiniteError, StateError
from ..robot import QUANTITIES, Robot
from .joint_states import LARGEST

if TYPE_CHECKING:
    from nav_msgs.msg import Odometry

AXES = ('x', 'y', 'z', 'roll', 'pitch', 'yaw')
N_KEPT = 64  # odometries, 0.3 s at 200 Hz
NORM_TOLERANCE = 0.01  # of a quaternion's norm; rounding in drivers is smaller


@dataclass(frozen=True)
class BaseJoint:
    """A joint of the robot's base and the axis of the odometry that measures it."""

    joint: str
    axis: str
    sign: float

    @classmethod
    def parse(cls, text: str) -> 'BaseJoint':
        """
        Read ``joint=axis`` or ``joint=-axis``.

        :raises ConfigError: if the text is anything else.
        """
        joint, _, signed = text.partition('=')
        axis = signed.removeprefix('-')
        if not joint or axis not in AXES:
            raise ConfigError(f"odometry_joints has '{text}', expected joint=axis or joint=-axis "
                              f'with one of the axes {", ".join(AXES)}, as rooty=-pitch')
        return cls(joint, axis, -1.0 if signed.startswith('-') else 1.0)


def pose_and_rates(msg: 'Odometry') -> NDArray:
    """
    Return the pose in the world and its time derivative.

    The twist of an odometry is in the child frame (nav_msgs/Odometry, REP 105 and 147): the linear
    velocity is rotated into the world, the angular velocity becomes the derivative of roll, pitch
    and yaw (Diebel 2006, "Representing Attitude", eq. 76). There are two ways to write a rotation
    as Rz(yaw) Ry(pitch) Rx(roll). The one with roll within 90 degrees is taken: while a robot
    falls on its face, its pitch grows beyond 90 degrees, and roll and yaw stay as they are.

    :return: x y z [m], roll pitch yaw [rad], then their derivatives [m/s, rad/s], shape (12,).
    :raises StateError: if the norm of the quaternion is not 1, or pitch is within 0.001 rad of 90
        degrees.
    :raises NotFiniteError: if the quaternion is not finite.
    """
    pose, twist = msg.pose.pose, msg.twist.twist
    q = pose.orientation
    norm = math.sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z)
    if not math.isfinite(norm):
        raise NotFiniteError(f'the odometry has orientation x={q.x} y={q.y} z={q.z} w={q.w}, '
                             'expected a quaternion of finite numbers')
    if abs(norm - 1) > NORM_TOLERANCE:
        raise StateError(f'the quaternion of the odometry has norm {norm:.3g}, expected 1; does '
                         'its driver fill in the orientation?')
    w, x, y, z = q.w / norm, q.x / norm, q.y / norm, q.z / norm
    pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    if abs(roll) > math.pi / 2:
        roll, pitch, yaw = (math.remainder(angle, 2 * math.pi)
                            for angle in (roll + math.pi, math.pi - pitch, yaw + math.pi))
    if abs(cos_pitch := math.cos(pitch)) < 1e-3:
        raise StateError(f'the odometry has pitch {pitch:.4f} rad, where roll and yaw have no '
                         'meaning; expected anything but 90 degrees')
    v, (p, r, s) = twist.linear, (twist.angular.x, twist.angular.y, twist.angular.z)
    turn = math.sin(roll) * r + math.cos(roll) * s
    return np.array([
        pose.position.x, pose.position.y, pose.position.z, roll, pitch, yaw,
        (1 - 2 * (y * y + z * z)) * v.x + 2 * (x * y - w * z) * v.y + 2 * (x * z + w * y) * v.z,
        2 * (x * y + w * z) * v.x + (1 - 2 * (x * x + z * z)) * v.y + 2 * (y * z - w * x) * v.z,
        2 * (x * z - w * y) * v.x + 2 * (y * z + w * x) * v.y + (1 - 2 * (x * x + y * y)) * v.z,
        p + math.tan(pitch) * turn,
        math.cos(roll) * r - math.sin(roll) * s,
        turn / cos_pitch])


class BaseReader:
    """
    Reads the joints of a robot's base from poses and their derivatives.

    :param robot: its state layout has to name the joints.
    :param joints: the joints that the odometry measures.
    :raises ConfigError: if a joint is not in the layout, or is named twice.
    """

    def __init__(self, robot: Robot, joints: tuple[BaseJoint, ...]) -> None:
        known = dict.fromkeys(entry.joint for entry in robot.state)
        by_name = {joint.joint: joint for joint in joints}
        for name in by_name:
            if name not in known:
                raise ConfigError(f"odometry_joints names '{name}', expected joints of the state "
                                  f"of '{robot.name}': {', '.join(known)}")
        if len(by_name) < len(joints):
            raise ConfigError('odometry_joints names a joint twice: '
                              f'{", ".join(j.joint for j in joints)}')
        self._entries = [e for e in robot.state if e.joint in by_name]
        self._rows = np.array([k for k, e in enumerate(robot.state) if e.joint in by_name],
                              dtype=int)
        measured = [by_name[e.joint] for e in self._entries]
        self._columns = np.array(
            [AXES.index(j.axis) + len(AXES) * QUANTITIES.index(e.quantity)
             for j, e in zip(measured, self._entries, strict=True)], dtype=int)
        self._signs = np.array([j.sign for j in measured])
        self._joints = [(j.joint, AXES.index(j.axis), j.sign) for j in joints]
        # Columns that have to be finite, with the velocities that extrapolate positions.
        self._needed = {column: (e.joint, e.quantity, e.unit) for column, e in zip(
            self._columns.tolist(), self._entries, strict=True)}
        for column, (joint, quantity, unit) in list(self._needed.items()):
            if quantity == 'position':
                self._needed.setdefault(column + len(AXES), (joint, 'velocity', f'{unit}/s'))

    def check(self, pose: NDArray) -> None:
        """
        Check the numbers that the base joints need.

        :param pose: as from ``pose_and_rates``, shape (12,).
        :raises NotFiniteError: naming the joint and the quantity.
        """
        for column, (joint, quantity, unit) in self._needed.items():
            if not abs(pose[column]) <= LARGEST:  # a NaN neither
                raise NotFiniteError(f"the odometry gives joint '{joint}' {quantity} "
                                     f'{pose[column]}, expected a finite number [{unit}] of at '
                                     f'most {LARGEST:g}')

    def fill(self, pose: NDArray, state: NDArray, positions: dict[str, float],
             velocities: dict[str, float]) -> None:
        """Write the base joints of a pose (12,) into a state (S,), positions and velocities."""
        state[self._rows] = self._signs * pose[self._columns]
        for joint, column, sign in self._joints:
            positions[joint] = sign * float(pose[column])
            velocities[joint] = sign * float(pose[column + len(AXES)])


class OdometryHistory:
    """
    The last poses and their derivatives, each as from ``pose_and_rates``.

    :param max_gap: largest time between a stamp and the nearest pose [ns].
    """

    def __init__(self, max_gap: int) -> None:
        self._max_gap = max_gap
        self._poses: deque[tuple[int, NDArray]] = deque(maxlen=N_KEPT)

    @property
    def newest(self) -> int | None:
        """Stamp of the newest pose [ns]."""
        return self._poses[-1][0] if self._poses else None

    def add(self, stamp: int, pose: NDArray) -> None:
        """Add a pose (12,), which must not be older than the others; its stamp is in [ns]."""
        if stamp == self.newest:
            self._poses.pop()
        self._poses.append((stamp, pose))

    def clear(self) -> None:
        """Forget all."""
        self._poses.clear()

    def distance(self, stamp: int) -> int | None:
        """Return the time from a stamp [ns] to the nearest pose [ns]; ``None`` without poses."""
        return min((abs(stamp - s) for s, _ in self._poses), default=None)

    def at(self, stamp: int) -> NDArray | None:
        """
        Return the pose at a time, and its derivative.

        Between two poses it is interpolated, angles along the shorter way. After the newest or
        before the oldest pose, it is extrapolated with the velocity of that pose.

        :param stamp: the time [ns].
        :return: as from ``pose_and_rates``, shape (12,); ``None`` if the nearest pose is farther
            away than ``max_gap``.
        """
        before = after = None
        for pose in reversed(self._poses):
            if pose[0] <= stamp:
                before = pose
                break
            after = pose
        near = [p for p in (before, after) if p is not None]
        if not near or min(abs(stamp - s) for s, _ in near) > self._max_gap:
            return None
        with np.errstate(over='ignore', invalid='ignore'):  # in entries that no joint needs
            if len(near) == 2:
                (s0, pose0), (s1, pose1) = near
                step = pose1 - pose0
                step[3:6] = np.remainder(step[3:6] + np.pi, 2 * np.pi) - np.pi
                return pose0 + (stamp - s0) / (s1 - s0) * step
            s0, pose0 = near[0]
            moved = pose0.copy()
            moved[:6] += (stamp - s0) * 1e-9 * pose0[6:]
            return moved
