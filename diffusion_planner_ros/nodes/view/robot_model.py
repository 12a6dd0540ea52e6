# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The robot that is drawn: its URDF, and where its links are."""

from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, RobotError, StateError
from ...messages.odometry import AXES, BaseJoint, pose_and_rates
from ...robots.robot_folder import robot_folder, URDF_FILE, urdf_file
from ...urdf_tree import MOVING, Urdf
from .link_shapes import link_shapes

Poses = dict[str, tuple[NDArray, NDArray]]
"""By link its rotation, (3, 3), and translation [m], (3,), in the root link's frame."""


class RobotModel:
    """
    A robot to draw.

    :param text: of its URDF.
    :param source: where that comes from, for people.
    :raises RobotError: if it is no URDF.
    """

    def __init__(self, text: str, source: str) -> None:
        self.urdf = Urdf.from_text(text, source)
        self.source = source
        self.shapes, self.lacking = link_shapes(text)
        """What to draw, and what of it cannot be drawn, in words."""
        self._moving = [joint.name for joint in self.urdf.joints if joint.type in MOVING]

    def unmeasured(self, positions: Mapping[str, float]) -> list[str]:
        """Return the joints that move and have no position."""
        return [joint for joint in self._moving if joint not in positions]

    def poses(self, positions: Mapping[str, float]) -> Poses:
        """
        Return where all links are.

        A joint without a position is drawn at 0, as there is nothing better to show; the page
        names it (``unmeasured``).
        """
        return self.urdf.link_poses({joint: positions.get(joint, 0.0) for joint in self._moving})

    @property
    def torso(self) -> str:
        """The link that the camera follows: the first one that is drawn, or else the root."""
        drawn = {shape.link for shape in self.shapes}
        return next((link for link in self.urdf.links if link in drawn), self.urdf.root)


def find_description(robot: str, facts: Mapping[str, str], hardware: str, published: str
                     ) -> tuple[str, str] | None:
    """
    Return the text of the URDF of a robot and where it comes from, ``None`` if nobody knows one.

    :param robot: name or folder that a user asked for; empty for none.
    :param facts: of the planner's diagnostics; they hold its parameter ``robot_description``.
    :param hardware: ``hardware_id`` of the diagnostics, as ``robot1/walker2d``; may be empty.
    :param published: last message of topic ``robot_description``; may be empty.
    :raises RobotError: if the robot that was asked for has no URDF.
    """
    if robot:
        return _read(robot_folder(robot) / URDF_FILE)
    for text, source in ((facts.get('robot_description', ''), "the planner's robot_description"),
                         (published, 'topic robot_description')):
        if text:
            return text, source
    file = urdf_file(hardware.rpartition('/')[2])
    return None if file is None else _read(file)


def _read(file: Path) -> tuple[str, str]:
    try:
        return file.read_text(encoding='utf-8'), str(file)
    except (OSError, UnicodeDecodeError) as error:
        raise RobotError(f'{file}: not a readable URDF file ({error})') from error


def base_joints(facts: Mapping[str, str]) -> tuple[BaseJoint, ...]:
    """
    Return the joints of the base that odometry measures, as the planner reports them.

    None where its report cannot be read: another version of the planner may have sent it.
    """
    try:
        texts = literal_eval(facts.get('odometry_joints', '()'))
        return tuple(BaseJoint.parse(text) for text in texts if text)
    except (ValueError, SyntaxError, TypeError, AttributeError, ConfigError):
        return ()


def base_positions(msg: object, joints: tuple[BaseJoint, ...]) -> dict[str, float]:
    """Return the positions of base joints [m, rad] by name; none of odometry that is refused."""
    try:
        pose = pose_and_rates(msg)
    except StateError:
        return {}
    return {j.joint: float(j.sign * pose[AXES.index(j.axis)]) for j in joints
            if np.isfinite(pose[AXES.index(j.axis)])}
