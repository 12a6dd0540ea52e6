# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Find recordings in other units than those of the robot.

Limits of positions and torques tell, and positions tell of velocities.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ...errors import DatasetError
from ...robot import Robot, StateEntry

MAX_SHARE = 0.1  # of the values may be far outside; more are of another unit
POSITION_MARGIN = 0.5  # of the range: a simulated joint gives way by less
TORQUE_MARGIN = 1.5  # times the limit: measured torques overshoot by less
N_PERIODS = 10  # control periods in which joints move by more than the noise of sensors
MOTION = 0.02  # [m, rad] root mean square: with less, nothing is said of velocities
VELOCITY_FACTOR = 10  # 57 if in degrees; the simulated robots that ship have 1 to 2
MAX_CLIPPED = 0.8  # share of the velocities at the clip of the layout; a knee that walks has 0.4


def check_units(episodes: Sequence[Episode], robot: Robot,
                limits: Mapping[str, tuple[float, float]]) -> None:
    """
    Refuse positions and velocities in degrees, velocities that nobody measured, torques in N mm.

    :param limits: lowest and highest position by joint [m, rad], of joints that have some.
    :raises DatasetError: naming the joint, what was found and expected. The text begins with the
        joint, not with the recording.
    """
    states = np.concatenate([e.observations for e in episodes])
    positions = {e.joint: (i, e) for i, e in enumerate(robot.state) if e.quantity == 'position'}
    for k, entry in enumerate(robot.state):
        if entry.quantity == 'position' and entry.joint in limits:
            low, high = limits[entry.joint]
            margin = POSITION_MARGIN * (high - low)
            found = states[:, k]
            if np.mean((found < low - margin) | (found > high + margin)) > MAX_SHARE:
                other = 'degrees' if entry.unit == 'rad' else 'another unit'
                raise DatasetError(
                    f"joint '{entry.joint}' is at {found.min():.4g} to {found.max():.4g} "
                    f'{entry.unit}, expected {low:.4g} to {high:.4g} {entry.unit}, its limits; '
                    f'are these in {other}? Record them in {entry.unit}')
        elif entry.quantity == 'velocity':
            if entry.clip is not None:
                _check_clip(states[:, k], entry, entry.clip)
            if entry.joint in positions:
                _check_velocity(episodes, robot.control_period, positions[entry.joint],
                                (k, entry))
    actions = np.concatenate([e.actions for e in episodes])
    for k, action in enumerate(robot.action):
        torque = np.abs(actions[:, k])
        if np.mean(torque > TORQUE_MARGIN) > MAX_SHARE:
            raise DatasetError(
                f"the torque of joint '{action.joint}' reaches {torque.max() * action.limit:.4g}, "
                f'expected at most {action.limit:g} N m, its limit; is it in another unit? In '
                'recordings it is in N m, in data sets a share of that limit; or mend the limit '
                'in the YAML file of --robot')


def _check_clip(velocities: NDArray, entry: StateEntry, clip: float) -> None:
    """Refuse velocities (n,) most of which the layout cuts off."""
    share = np.mean(abs(velocities) >= clip)
    if share > MAX_CLIPPED:
        raise DatasetError(
            f"the velocity of joint '{entry.joint}' is beyond its clip, {clip:g} "
            f'{entry.unit}, in {share:.0%} of the states, expected at most {MAX_CLIPPED:.0%}; is '
            f'it in another unit? Record it in {entry.unit}, or mend the clip in the YAML file of '
            '--robot')


def _check_velocity(episodes: Sequence[Episode], period: float, position: tuple[int, StateEntry],
                    velocity: tuple[int, StateEntry]) -> None:
    """Refuse velocities that are not how fast positions change; index and entry of each."""
    (i, at), (k, entry) = position, velocity
    moved, said = [], []
    for states in (e.observations for e in episodes):
        path = np.unwrap(states[:, i]) if at.unit == 'rad' else states[:, i]
        integral = np.append(0.0, np.cumsum((states[1:, k] + states[:-1, k]) / 2)) * period
        moved.append(path[N_PERIODS:] - path[:-N_PERIODS])
        said.append(integral[N_PERIODS:] - integral[:-N_PERIODS])
    if not any(map(len, moved)):
        return  # all episodes are too short
    found, expected = (float(np.sqrt(np.square(np.concatenate(d)).mean())) for d in (said, moved))
    low, high = sorted((found, expected))
    if high > MOTION and high > VELOCITY_FACTOR * low:
        raise DatasetError(
            f"the velocity of joint '{entry.joint}' moves it by {found:.3g} {at.unit} in "
            f'{N_PERIODS * period:g} s, expected {expected:.3g} {at.unit}, as its position says '
            f'(root mean squares); is it measured, and in {entry.unit}? Record both so')
