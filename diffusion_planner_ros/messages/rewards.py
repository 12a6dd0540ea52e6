# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The reward of a control period, as our bridge publishes it."""

from math import isfinite
from typing import TYPE_CHECKING

from ..errors import StateError
from .names import shortened

if TYPE_CHECKING:
    from sensor_msgs.msg import JointState


def reward_from_msg(msg: 'JointState') -> tuple[float, bool]:
    """
    Return a reward, and whether the episode ended in a fall: not, if the message does not say.

    :raises StateError: if the reward is missing, or one of the two is not finite.
    """
    numbers = dict(zip(msg.name, msg.position, strict=False))
    reward, terminated = numbers.get('reward', float('nan')), numbers.get('terminated', 0.0)
    if not isfinite(reward):
        raise StateError(f"the reward is {reward}, expected a finite number named 'reward', found "
                         f'{shortened(msg.name) or "no name"}')
    if not isfinite(terminated):
        raise StateError(f"'terminated' of the reward is {terminated}, expected 0 or 1")
    return reward, bool(terminated)
