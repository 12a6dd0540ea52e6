# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Read messages of joint states in the order of a robot's layout, by joint name."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import NotFiniteError, StateError
from ..robot import QUANTITIES, Robot
from .names import shortened

if TYPE_CHECKING:
    from sensor_msgs.msg import JointState

LARGEST = 1e9  # of any measured number [SI], so that what is computed from it is finite, too


@dataclass(frozen=True)
class JointReading:
    """What one message says about the joints of a robot."""

    state: NDArray
    """In the order and units of ``robot.state``, NaN for joints measured elsewhere, (S,)."""
    positions: dict[str, float]
    """Positions by joint [m, rad], without joints that have no finite one."""
    velocities: dict[str, float]
    """Velocities by joint [m/s, rad/s], likewise."""
    efforts: dict[str, float]
    """Measured torques by joint [N m], likewise."""


class JointReader:
    """
    Reads the joints of a robot from messages that may have other joints as well, in any order.

    :param robot: its state and action layouts name the joints; all others are ignored.
    :param elsewhere: joints that another topic measures; they are ignored, too.
    """

    def __init__(self, robot: Robot, elsewhere: Collection[str] = ()) -> None:
        self._robot = robot
        self._entries = [(k, e) for k, e in enumerate(robot.state) if e.joint not in elsewhere]
        self._joints = [joint for joint in robot.joints if joint not in elsewhere]
        # For each quantity, the indices of its entries in the state, (n,).
        self._rows = {q: np.array([k for k, e in self._entries if e.quantity == q], dtype=int)
                      for q in QUANTITIES}
        self._names: list[str] | None = None  # of the last message; the next two belong to them
        self._columns: dict[str, NDArray] = {}
        self._index: list[tuple[str, int]] = []

    def read(self, msg: 'JointState') -> JointReading:
        """
        Read one message.

        :raises StateError: naming the joint that is missing, named twice or without a number.
        :raises NotFiniteError: naming the joint and the quantity that is NaN or infinite.
        """
        if msg.name != self._names:
            self._match(msg.name)
        state = np.full(self._robot.state_dim, np.nan)
        for quantity, numbers in (('position', msg.position), ('velocity', msg.velocity)):
            columns = self._columns[quantity]
            if len(columns) and len(numbers) <= columns.max():
                self._refuse_short(quantity, len(numbers), len(msg.name))
            state[self._rows[quantity]] = np.asarray(numbers)[columns]
        for k, entry in self._entries:
            if not abs(state[k]) <= LARGEST:  # a NaN neither
                raise NotFiniteError(f"joint '{entry.joint}' has {entry.quantity} {state[k]}, "
                                     f'expected a finite number [{entry.unit}] of at most '
                                     f'{LARGEST:g}')
        return JointReading(state, *(self._by_joint(numbers) for numbers in (
            msg.position, msg.velocity, msg.effort)))

    def _match(self, names: list[str]) -> None:
        """Find the place of every joint in a list of names."""
        index = {name: i for i, name in enumerate(names)}
        for joint in dict.fromkeys(entry.joint for _, entry in self._entries):
            if joint not in index:
                raise StateError(f"joint '{joint}' is missing in the joint states, found "
                                 f'{shortened(names) or "no joint"}')
        if len(index) < len(names):
            ((twice, n_times),) = Counter(names).most_common(1)
            raise StateError(f"joint '{shortened([twice])}' is named {n_times} times in one "
                             'message of joint states, expected once')
        self._columns = {q: np.array([index[e.joint] for _, e in self._entries
                                      if e.quantity == q], dtype=int) for q in QUANTITIES}
        self._index = [(joint, index[joint]) for joint in self._joints if joint in index]
        self._names = list(names)

    def _refuse_short(self, quantity: str, n_numbers: int, n_joints: int) -> None:
        missing = next(e.joint for (_, e), column in zip(
            [entry for entry in self._entries if entry[1].quantity == quantity],
            self._columns[quantity], strict=True) if column >= n_numbers)
        raise StateError(f"joint '{missing}' has no {quantity}: the joint states hold {n_numbers} "
                         f'of them for {n_joints} joints, expected one for each')

    def _by_joint(self, numbers: list[float]) -> dict[str, float]:
        return {joint: numbers[i] for joint, i in self._index
                if i < len(numbers) and isfinite(numbers[i])}
