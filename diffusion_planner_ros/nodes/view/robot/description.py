# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who describes the robot that is to be drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ....errors import RobotError
from ....robots.robot_folder import robot_folder, TASK_FILE, URDF_FILE
from ....robots.task import Task

MJCF_ROOT = 'mujoco'  # the first element of MJCF; that of a URDF is `robot`


@dataclass(frozen=True)
class Description:
    """URDF or MJCF."""

    text: str
    source: str
    """Where it comes from, for people."""
    file: Path | None = None
    """That holds it; ``None`` if it came alone."""

    @classmethod
    def read(cls, file: Path) -> 'Description':
        """
        Read a file.

        :raises RobotError: if it cannot be read.
        """
        try:
            return cls(file.read_text(encoding='utf-8'), str(file), file)
        except (OSError, UnicodeDecodeError) as error:
            raise RobotError(f'{file}: not a readable file ({error}), expected URDF or MJCF'
                             ) from error

    @property
    def is_mjcf(self) -> bool:
        """Whether it is MJCF, by its first element."""
        try:
            return ElementTree.fromstring(self.text).tag == MJCF_ROOT
        except ElementTree.ParseError:
            return False  # who reads the URDF says what is wrong


def find_description(robot: str, facts: Mapping[str, str], hardware: str, published: str
                     ) -> Description | None:
    """
    Return what describes a robot, ``None`` if nobody knows.

    :param robot: name, folder or file that a user asked for; empty for none.
    :param facts: of the planner's diagnostics; they hold its parameter ``robot_description``.
    :param hardware: ``hardware_id`` of the diagnostics, as ``robot1/walker2d``; may be empty.
    :param published: last message of topic ``robot_description``; may be empty.
    :raises RobotError: if the robot that was asked for has no description.
    """
    if robot:
        file = Path(robot)
        return Description.read(file) if file.is_file() else _of_folder(robot_folder(robot))
    for text, source in ((facts.get('robot_description', ''), "the planner's robot_description"),
                         (published, 'topic robot_description')):
        if text:
            return Description(text, source)
    try:
        folder = robot_folder(hardware.rpartition('/')[2])
    except RobotError:
        return None  # it is a robot of others
    return _of_folder(folder)


def _of_folder(folder: Path) -> Description:
    """
    Return the URDF of a robot's folder, or else the model that its task names.

    :raises RobotError: if it has neither, or the model is not to be found.
    """
    if (urdf := folder / URDF_FILE).is_file() or not (folder / TASK_FILE).is_file():
        return Description.read(urdf)
    task = Task.load(str(folder))
    try:
        from ....sim.mjcf import mjcf_path
    except ImportError as error:
        raise RobotError(f"{urdf}: is not there, and the model '{task.mjcf}' cannot be drawn, as "
                         f"'{error.name}' is not installed; expected the URDF, or pip install "
                         "'diffusion_planner_ros[sim]'") from error
    return Description.read(mjcf_path(task))
