# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Obstacles from markers, as users publish them."""

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ObstacleError
from ..goals.obstacle import Box, Disc, Obstacle

if TYPE_CHECKING:
    from visualization_msgs.msg import Marker

UPRIGHT = math.cos(math.radians(5.0))  # of the angle that an upright marker may lean


def obstacle_from_marker(msg: 'Marker') -> Obstacle:
    """
    Return the foot of a cylinder or of a cube.

    A cylinder that is no circle becomes the disc around it.

    :raises ObstacleError: if it is of another type, leans, or has a value that is not finite or no
        size.
    """
    if msg.type not in (msg.CYLINDER, msg.CUBE):
        raise ObstacleError(f'its type is {msg.type}, expected {msg.CYLINDER} (CYLINDER) or '
                            f'{msg.CUBE} (CUBE): publish a cylinder around it')
    position, turn, scale = msg.pose.position, msg.pose.orientation, msg.scale
    numbers = [position.x, position.y, turn.x, turn.y, turn.z, turn.w, scale.x, scale.y]
    if not np.isfinite(numbers).all():
        raise ObstacleError(f'position x and y, orientation, scale x and y are {numbers}, '
                            'expected finite numbers')
    if min(scale.x, scale.y) <= 0:
        raise ObstacleError(f'its scale is {scale.x:g} by {scale.y:g} m, expected sizes above 0')
    length = math.hypot(turn.x, turn.y, turn.z, turn.w)
    if length < 1e-3:
        raise ObstacleError('its orientation is zero, expected a quaternion, as w: 1.0 alone for '
                            'none')
    x, y, z, w = (part / length for part in (turn.x, turn.y, turn.z, turn.w))
    if abs(1 - 2 * (x * x + y * y)) < UPRIGHT:
        raise ObstacleError(f'its orientation ({x:.3g}, {y:.3g}, {z:.3g}, {w:.3g}) leans, '
                            'expected it upright, turned about z alone')
    centre = position.x, position.y
    if msg.type == msg.CYLINDER:
        return Disc(centre, max(scale.x, scale.y) / 2)
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return Box(centre, (scale.x / 2, scale.y / 2), yaw)
