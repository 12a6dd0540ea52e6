# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot that is drawn, whatever describes it."""

from collections.abc import Mapping
from typing import Protocol

from ....errors import RobotError
from .description import Description
from .link_shapes import LinkShape, Poses
from .urdf_robot import UrdfRobot


class RobotModel(Protocol):
    """What to draw of a robot, and where it is."""

    shapes: list[LinkShape]
    lacking: list[str]
    """What of it cannot be drawn, in words."""
    torso: str
    """The link that the camera follows: the first one that is drawn, or else the root."""
    mass: float
    """[kg]; 0 where the description does not say."""
    effort_limits: dict[str, float]
    """Largest torque by joint [N m, N], of joints that have one."""

    def unmeasured(self, positions: Mapping[str, float]) -> list[str]:
        """Return the joints that move and have no position."""

    def poses(self, positions: Mapping[str, float]) -> Poses:
        """
        Return where all links are at positions of joints [m, rad].

        A joint without a position is drawn at 0, as there is nothing better to show; the page
        names it (``unmeasured``).
        """


def read_robot(description: Description) -> RobotModel:
    """
    Read a robot.

    :raises RobotError: if its description is neither URDF nor MJCF, or MJCF where MuJoCo is not
        installed.
    """
    if not description.is_mjcf:
        return UrdfRobot(description.text, description.source)
    try:
        from .mjcf_robot import MjcfRobot
    except ImportError as error:
        raise RobotError(
            f"{description.source}: it is MJCF, and '{error.name}' is not installed, which reads "
            "it; expected a URDF, or pip install 'diffusion_planner_ros[sim]'. diffusion_planner "
            'urdf makes a URDF of MJCF') from error
    return MjcfRobot(description.text, description.source, description.file)
