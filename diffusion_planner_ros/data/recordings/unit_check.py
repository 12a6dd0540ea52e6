"""Find recordings in other units than those of the robot, as far as its limits tell."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...episode import Episode
from ...errors import DatasetError
from ...robot import Robot

MAX_SHARE = 0.1  # of the values may be far outside; more are of another unit
POSITION_MARGIN = 0.5  # of the range: a simulated joint gives way by less
TORQUE_MARGIN = 1.5  # times the limit: measured torques overshoot by less


def check_units(episodes: Sequence[Episode], robot: Robot,
                limits: Mapping[str, tuple[float, float]]) -> None:
    """
    Refuse positions in degrees and torques in N mm.

    :param limits: lowest and highest position by joint [m, rad], of joints that have some.
    :raises DatasetError: naming the joint, what was found and expected. The text begins with the
        joint, not with the recording.
    """
    states = np.concatenate([e.observations for e in episodes])
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
    actions = np.concatenate([e.actions for e in episodes])
    for k, action in enumerate(robot.action):
        torque = np.abs(actions[:, k])
        if np.mean(torque > TORQUE_MARGIN) > MAX_SHARE:
            raise DatasetError(
                f"the torque of joint '{action.joint}' reaches {torque.max() * action.limit:.4g}, "
                f'expected at most {action.limit:g} N m, its limit; is it in another unit? Record '
                'it in N m, or mend the limit in the YAML file of --robot')
