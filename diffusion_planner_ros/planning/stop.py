# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""When a robot is stopped, and what its joints are told then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..settings import check_settings, document_settings, setting

AUTOMATIC = 0.0  # value of a time limit that follows from the control period
N_PERIODS = 4  # of an automatic time limit: three commands may be lost, or come late


@document_settings
@dataclass(frozen=True)
class StopConfig:
    """How to stop."""

    stop_behaviour: Literal['zero', 'damping', 'hold'] = setting(
        'zero', "Torque after a fault: none, 'damping' against the joints' velocities, or 'hold', "
        'damping and a spring towards where the joints were.', read_only=True)
    stop_damping: tuple[float, ...] = setting(
        (5.0,), 'Gain of damping and hold: one for all joints, or one for each in the order of '
        'the action layout.', unit='N m s/rad', low=0.0, high=1e4, read_only=True)
    stop_stiffness: tuple[float, ...] = setting(
        (50.0,), 'Gain of the spring of hold: one for all joints, or one for each.',
        unit='N m/rad', low=0.0, high=1e5, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)


def time_limit(value: float, control_period: float, *, least: float) -> float:
    """
    Return after how long without something the robot is stopped [s].

    :param value: as the user set it [s]; ``AUTOMATIC`` for ``N_PERIODS`` control periods.
    :param control_period: [s].
    :param least: shortest automatic limit, whatever the robot: of computers and networks [s].
    """
    return value if value != AUTOMATIC else max(N_PERIODS * control_period, least)


def per_joint(name: str, values: tuple[float, ...], n_joints: int) -> NDArray:
    """
    Return one value for each joint, shape (A,), from one for all or one for each.

    :param name: of the setting, for the error.
    :raises ConfigError: if there are neither 1 nor ``n_joints`` values.
    """
    if len(values) not in (1, n_joints):
        raise ConfigError(f'{name} has {len(values)} values, expected 1 or {n_joints}, one for '
                          'each joint of the action layout')
    return np.broadcast_to(np.array(values, dtype=np.float64), (n_joints,))


class StopBehaviour:
    """
    The torque that follows from a stop.

    :param joints: in the order of the action layout.
    :param limit: largest torque [N m], shape (A,).
    :raises ConfigError: if a gain has neither one value nor one for each joint.
    """

    def __init__(self, config: StopConfig, joints: list[str], limit: NDArray) -> None:
        self._kind = config.stop_behaviour
        self._joints = joints
        self._limit = limit
        self._damping = per_joint('stop_damping', config.stop_damping, len(joints))
        self._stiffness = per_joint('stop_stiffness', config.stop_stiffness, len(joints))
        self._held: NDArray | None = None

    @property
    def follows_state(self) -> bool:
        """Whether the torque depends on the measured joints, and so needs fresh ones."""
        return self._kind != 'zero'

    def release(self) -> None:
        """Forget where the joints were held: the next stop is another one."""
        self._held = None

    def torque(self, positions: Mapping[str, float] | None = None,
               velocities: Mapping[str, float] | None = None) -> NDArray:
        """
        Return the torque [N m], shape (A,), within the limits.

        The first positions of a stop are those that are held. Without fresh and finite joint
        states it is zero: torque that follows an old state is not a stop.

        :param positions: measured joint positions [rad] by name.
        :param velocities: measured joint velocities [rad/s] by name.
        """
        zero = np.zeros(len(self._joints))
        if not self.follows_state or positions is None or velocities is None:
            return zero
        position = np.array([positions.get(joint, np.nan) for joint in self._joints])
        velocity = np.array([velocities.get(joint, np.nan) for joint in self._joints])
        torque = -self._damping * velocity
        if self._kind == 'hold':
            if self._held is None:
                self._held = position
            torque = torque + self._stiffness * (self._held - position)
        return np.clip(torque, -self._limit, self._limit) if np.isfinite(torque).all() else zero
