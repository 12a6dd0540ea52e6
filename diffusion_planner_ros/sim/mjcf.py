# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""MuJoCo's models: where they are, and how they are loaded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gymnasium
import mujoco

from ..errors import RobotError
from ..goals.grid_map import GridMap
from ..goals.obstacle import Obstacle
from ..robots.task import Task
from .walls import add_obstacles, add_walls

ASSETS = Path(gymnasium.__file__).parent / 'envs' / 'mujoco' / 'assets'


def mjcf_path(task: Task) -> Path:
    """
    Return the file of the model that a task names.

    :raises RobotError: if it is neither where the task is nor in Gymnasium's assets.
    """
    places = [task.file.parent / task.mjcf, ASSETS / task.mjcf]
    for file in places:
        if file.is_file():
            return file
    raise RobotError(f"{task.file}: mjcf is '{task.mjcf}', expected a file that is there: neither "
                     f'{" nor ".join(map(str, places))} is')


def load_model(file: Path, walls: GridMap | None = None, wall_height: float = 0.0,
               obstacles: Sequence[Obstacle] = ()) -> mujoco.MjModel:
    """
    Compile a model.

    :param walls: map of walls that are added to it.
    :param wall_height: of walls and obstacles [m].
    :param obstacles: that are added to it.
    :raises RobotError: naming the file and what MuJoCo finds wrong with it.
    """
    try:
        with quiet_compiler():
            if walls is None and not obstacles:
                return mujoco.MjModel.from_xml_path(str(file))
            spec = mujoco.MjSpec.from_file(str(file))
            if walls is not None:
                add_walls(spec, walls, wall_height)
            add_obstacles(spec, obstacles, wall_height)
            return spec.compile()
    except ValueError as error:
        raise RobotError(refusal(file, error)) from error


def refusal(file: Path, error: Exception) -> str:
    """Return that MuJoCo does not load a file, and what it says, in one line."""
    return (f'{file}: MuJoCo does not load it ({" ".join(str(error).split())}), expected a model '
            f'that compiles; mend what it names, and look with: python -m mujoco.viewer '
            f'--mjcf={file}')


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """
    Drop MuJoCo's warnings of a model, which would go to a file wherever the user happens to be.

    For instance, the model of Gymnasium's half-cheetah is of an old style.
    """
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
