# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Write the folder of a new robot, and check it by simulating it."""

from contextlib import ExitStack
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shutil

import mujoco
import numpy as np

from ...errors import OutputError, RobotError
from ...robot import Robot
from ...robots.robot_folder import LAYOUT_FILE, TASK_FILE, URDF_FILE
from ...robots.task import Task
from ...urdf_tree import Urdf
from ..mjcf import quiet_compiler
from ..mujoco_environment import MujocoEnvironment
from ..perturbation import UNPERTURBED
from ..urdf_export import ROOT_LINK, urdf_from_mjcf
from .layout_text import layout_text
from .model_source import ModelSource, read_source
from .robot_facts import robot_facts, RobotFacts
from .task_text import task_text

NAME = re.compile(r'\w[-\w]*')  # as data sets and topics take it
N_TRIED = 10  # control periods that a new robot is simulated
UNSTABLE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL,
            mujoco.mjtWarning.mjWARN_BADQACC)


@dataclass(frozen=True)
class NewRobot:
    """A folder that was written, and what its user has to see to."""

    folder: Path
    model: str
    """MuJoCo's model, as a path from the folder."""
    facts: RobotFacts
    to_do: tuple[str, ...]


def write_robot(file: Path, folder: Path, control_period: float | None = None) -> NewRobot:
    """
    Write layout, task and URDF of a robot, and simulate it for a moment.

    The model is copied into the folder, unless it names further files: then it stays where it is.

    :param file: MJCF or URDF.
    :param folder: to be made; its name becomes the robot's. It is complete or not there.
    :param control_period: [s]; by default the multiple of the timestep nearest to 20 ms.
    :raises RobotError: if the file does not describe a robot that can be planned for.
    :raises ConfigError: if the control period does not fit.
    :raises OutputError: if the folder is there or cannot be made.
    """
    source = read_source(file)
    facts = robot_facts(source.model, str(file), control_period)
    if not NAME.fullmatch(folder.resolve().name):
        raise OutputError(f"{folder}: the robot's name would be '{folder.resolve().name}', "
                          'expected letters, digits, _ and -')
    if folder.exists():
        raise OutputError(f'{folder}: exists already, expected the name of a new folder; choose '
                          'another --out')
    with ExitStack() as failed:
        try:
            folder.mkdir(parents=True)
            failed.callback(shutil.rmtree, folder)
            made = _write(source, folder, facts)
        except OSError as error:
            raise OutputError(f'{folder}: cannot be written ({error.strerror or error}), expected '
                              'a place that is yours to write to and not full') from error
        failed.pop_all()
    return made


def _write(source: ModelSource, folder: Path, facts: RobotFacts) -> NewRobot:
    file, name = source.path, folder.resolve().name
    if source.kind == 'MJCF' and not source.is_complete:
        mjcf = os.path.relpath(file, folder)
    else:
        mjcf = f'{name}.xml'
        (folder / mjcf).write_text(source.text, encoding='utf-8')
    (folder / LAYOUT_FILE).write_text(layout_text(name, file.name, facts), encoding='utf-8')
    (folder / TASK_FILE).write_text(task_text(file.name, mjcf, facts), encoding='utf-8')
    to_do = _to_do(source, mjcf, facts) + _write_urdf(source, folder, folder / mjcf)
    _try(folder)
    return NewRobot(folder, mjcf, facts, to_do)


def _write_urdf(source: ModelSource, folder: Path, mjcf: Path) -> tuple[str, ...]:
    """Write what is drawn of the robot; return what is left to do for that."""
    try:
        text = urdf_from_mjcf(mjcf) if source.urdf is None else source.urdf
        root = Urdf.from_text(text, str(source.path)).root
    except RobotError as error:
        return (f'{URDF_FILE} is missing: {error}. The robot moves without it, but rviz2 shows '
                'nothing; put a URDF with the same joints there',)
    (folder / URDF_FILE).write_text(text, encoding='utf-8')
    return () if root == ROOT_LINK else (
        f"{URDF_FILE}: its root link is '{root}'; start the planner with frame_id:={root}, so "
        'that what it draws is in place',)


def _to_do(source: ModelSource, mjcf: str, facts: RobotFacts) -> tuple[str, ...]:
    to_do = []
    if source.urdf is not None:
        to_do.append(f'{mjcf} is made of the URDF: its root link is fixed to the world, there is '
                     'no ground, and motors have no rotor inertia; add what your robot has')
    if not source.is_complete:
        to_do.append(f'{mjcf} names further files, which stay where they are')
    to_do += [
        f'{LAYOUT_FILE}, control_period: {facts.control_period:g} s; is that the rate at which '
        'your robot takes torques?',
        f'{LAYOUT_FILE}, action: are these the torques that your motors may give?']
    endless = [j.name for j in facts.motors if j.range is None and not j.is_slide]
    if endless:
        to_do.append(f'{LAYOUT_FILE}, state: {", ".join(endless)} may turn without end; where '
                     'that is a wheel, delete the entry of its position')
    to_do += [
        f'{TASK_FILE}, forward_joint: {facts.forward_joint} is a guess',
        f'{TASK_FILE}, healthy: in which states has your robot fallen?',
        f'{TASK_FILE}, reward: what is it to do?']
    return tuple(to_do)


def _try(folder: Path) -> None:
    """
    Read the folder as every verb does, and simulate it with no torque.

    :raises RobotError: if layout, task and model do not fit, or the model is not stable.
    """
    path = str(folder.resolve())
    with quiet_compiler():
        robot = MujocoEnvironment(Robot.load(path), Task.load(path), UNPERTURBED)
        robot.reset(seed=0)
        for _ in range(N_TRIED):
            robot.step(np.zeros(len(robot.actuated_joints)))
    # MuJoCo begins anew from the initial state then, and counts it.
    if any(robot.data.warning[kind].number for kind in UNSTABLE):
        raise RobotError(f'{folder}: the simulation is not stable, states are huge or not finite '
                         f'within {N_TRIED} control periods without torque, expected finite ones; '
                         "the model's timestep may be too long, try a shorter one")
