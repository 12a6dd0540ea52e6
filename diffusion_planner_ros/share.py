# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Files that are installed beside the code: launch files, parameters, shipped models."""

from pathlib import Path
import sys

from .errors import PlannerError, RobotError

PACKAGE = 'diffusion_planner_ros'


def share_file(name: str) -> Path:
    """
    Find a shared file or folder in a source tree, a Python environment or a ROS workspace.

    :param name: relative path, as ``models/walker2d``.
    :raises PlannerError: naming all places that were searched.
    """
    here = Path(__file__).resolve()
    # colcon: PREFIX/lib/pythonX.Y/site-packages/diffusion_planner_ros/share.py
    prefixes = [*here.parents, Path(sys.prefix)]
    places = [here.parents[1], *(prefix / 'share' / PACKAGE for prefix in prefixes)]
    for place in places:
        if (place / name).exists():
            return place / name
    raise PlannerError(f"no '{name}' in {places[0]}, {places[-1]} or the share folder of any "
                       'folder above; install the package with pip or colcon')


def shipped_bundle(robot: str) -> Path:
    """
    Return the folder of the model bundle that ships for a robot.

    :param robot: its name.
    :raises RobotError: if there is none.
    """
    try:
        return share_file(f'models/{robot}')
    except PlannerError as error:
        raise RobotError(f"no model bundle ships for robot '{robot}', expected models/{robot}; "
                         'train one (docs/how_to/train.md) and name its folder as '
                         'bundle') from error
