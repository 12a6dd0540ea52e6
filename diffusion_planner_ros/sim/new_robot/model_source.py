# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A file that describes a robot, MJCF or URDF, as a MuJoCo model with motors."""

from dataclasses import dataclass
import os
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import mujoco

from ...errors import RobotError
from ...urdf_tree import Urdf
from ..mjcf import quiet_compiler, refusal
from ..model_check import check_joints

ROOTS = {'mujoco': 'MJCF', 'robot': 'URDF'}
EXPECTED = 'expected MJCF, <mujoco>, or URDF, <robot>'
XACRO = 'xacro'  # in the tags or the namespaces of a file that is to be expanded first


@dataclass(frozen=True)
class ModelSource:
    """What a file describes, and what the folder of the robot gets of it."""

    path: Path
    kind: str
    """MJCF or URDF."""
    model: mujoco.MjModel
    text: str
    """The model as MJCF; of a URDF, MuJoCo's translation with a motor at each driven joint."""
    urdf: str | None
    """The URDF, where it was one; otherwise one has to be made."""
    is_complete: bool
    """Whether it names no other file: neither meshes nor parts that are included."""


def read_source(path: Path) -> ModelSource:
    """
    Read a robot.

    A URDF says nothing of motors. Every joint that moves and has an effort limit above 0 gets one,
    and the root link is fixed to the world.

    :raises RobotError: naming the file and what was expected, if it cannot be read, is neither
        format, has joints other than slides and hinges, or if MuJoCo does not load it.
    """
    try:
        text = path.read_text(encoding='utf-8')
        root = ElementTree.fromstring(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RobotError(f'{path}: not a readable file ({error}), {EXPECTED}') from error
    except ElementTree.ParseError as error:
        raise RobotError(f'{path}: not XML ({error}), {EXPECTED}; is it whole?') from error
    if root.tag not in ROOTS:
        raise RobotError(f"{path}: the first element is '{root.tag}', {EXPECTED}; convert it")
    if any(XACRO in element.tag for element in root.iter()):
        raise RobotError(f'{path}: a xacro file, expected a URDF; make one with: xacro {path} > '
                         f'{path.stem.partition(".")[0]}.urdf')
    try:
        with quiet_compiler():
            spec = mujoco.MjSpec.from_file(str(path))
            model = spec.compile()
            check_joints(model, str(path))
            if ROOTS[root.tag] == 'MJCF':
                return ModelSource(path, 'MJCF', model, text, None, _is_complete(root))
            _add_motors(spec, text, path)
            model = spec.compile()
            if spec.meshes:
                spec.meshdir = os.path.abspath(path.parent)
            return ModelSource(path, 'URDF', model, spec.to_xml(), text, not spec.meshes)
    except ValueError as error:
        raise RobotError(refusal(path, error)) from error


def _is_complete(root: Element) -> bool:
    return not any(element.tag == 'include' or 'file' in element.attrib
                   for element in root.iter())


def _add_motors(spec: mujoco.MjSpec, text: str, path: Path) -> None:
    """Put a motor at every joint of a URDF that has an effort limit."""
    limits = {name: effort for name, effort in Urdf.from_text(text, str(path)).effort_limits
              .items() if effort > 0}
    for joint in spec.joints:
        if (effort := limits.get(joint.name)) is None:
            continue
        motor = spec.add_actuator(
            name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT,
            ctrllimited=True, ctrlrange=[-1.0, 1.0])
        motor.set_to_motor()
        motor.gear[0] = effort
