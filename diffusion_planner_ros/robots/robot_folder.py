# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where robots are: each is a folder that has its name."""

import os
from pathlib import Path

import yaml

from ..errors import RobotError

ROBOTS = Path(__file__).parent
SEARCH_PATH = 'DIFFUSION_PLANNER_ROBOTS'
"""Environment variable: folders that hold folders of robots, before those that ship."""
DEFAULT_ROBOT = 'walker2d'
"""Of whatever is not told of another one."""
LAYOUT_FILE, TASK_FILE, URDF_FILE = 'layout.yaml', 'task.yaml', 'robot.urdf'
EXAMPLE = f'{ROBOTS / DEFAULT_ROBOT / LAYOUT_FILE} is an example'
YAML = ('.yaml', '.yml')  # endings of a layout that is named by its file alone


def robot_folder(robot: str) -> Path:
    """
    Return the folder of a robot.

    :param robot: its name, looked up in ``SEARCH_PATH`` and among the robots that ship, or the
        path of its folder, which has a slash.
    :raises RobotError: if there is no such folder, or no layout in it.
    """
    if _is_path(robot):
        folder = Path(robot).resolve()
        if not (folder / LAYOUT_FILE).is_file():
            raise RobotError(f'{robot}: no {LAYOUT_FILE} in it, expected the folder of a robot, '
                             f'with {LAYOUT_FILE}, {TASK_FILE} and {URDF_FILE}')
        return folder
    if (found := _found(robot)) is not None:
        return found
    known = sorted({file.parent.name for place in _places()
                    for file in place.glob(f'*/{LAYOUT_FILE}')})
    raise RobotError(f"no robot '{robot}': expected one of {', '.join(known)}, or the path of a "
                     f"robot's folder, as ./{robot}; {SEARCH_PATH} names folders that hold more "
                     'of them')


def make_known(robot: str) -> str:
    """
    Let this process, and those that it starts, find a robot by its name, which is returned.

    :param robot: name or path of a folder, as for ``robot_folder``.
    :raises RobotError: if there is no such folder.
    """
    folder = robot_folder(robot)
    if _is_path(robot):
        places = [str(folder.parent), *filter(None, [os.environ.get(SEARCH_PATH)])]
        os.environ[SEARCH_PATH] = os.pathsep.join(places)
    return folder.name


def urdf_file(robot: str) -> Path | None:
    """Return the URDF of a robot, ``None`` where no folder of its name has one."""
    folder = _found(robot)
    file = None if folder is None else folder / URDF_FILE
    return file if file is not None and file.is_file() else None


def read_yaml(file: Path) -> dict:
    """
    Read a file of a robot.

    :raises RobotError: if it is not there or holds no mapping.
    """
    try:
        facts = yaml.safe_load(file.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RobotError(f'{file}: not a readable YAML file ({" ".join(str(error).split())}), '
                         f'expected a mapping; {EXAMPLE}') from error
    if not isinstance(facts, dict):
        raise RobotError(f'{file}: expected a mapping, found {type(facts).__name__}; {EXAMPLE}')
    return facts


def _is_path(robot: str) -> bool:
    return os.sep in robot


def _places() -> list[Path]:
    return [*map(Path, filter(None, os.environ.get(SEARCH_PATH, '').split(os.pathsep))), ROBOTS]


def _found(robot: str) -> Path | None:
    return next((place / robot for place in _places()
                 if (place / robot / LAYOUT_FILE).is_file()), None)
