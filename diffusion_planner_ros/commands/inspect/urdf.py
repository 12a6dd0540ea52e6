# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner urdf``: a MuJoCo model for the tools of ROS."""

from pathlib import Path

from ...files import written
from ...robots.robot_folder import DEFAULT_ROBOT
from ..output import report


def urdf(
    robot: str = DEFAULT_ROBOT,
    mjcf: Path | None = None,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """
    Write a URDF of a MuJoCo model: the same joints, inertias, shapes and torque limits.

    :param robot: name of a robot, or path of its folder.
    :param mjcf: file of the MuJoCo model; that of ROBOT by default.
    :param out: file to write; the model's name with .urdf, in this folder, by default.
    :param json: print the report as JSON.
    """
    from ...robots.task import Task
    from ...sim.mjcf import mjcf_path
    from ...sim.urdf_export import urdf_from_mjcf
    from ...urdf_tree import Urdf

    text = urdf_from_mjcf(mjcf or mjcf_path(Task.load(robot)))
    made = Urdf.from_text(text, 'the URDF made')
    file = out or Path(f'{made.name}.urdf')
    with written(file) as scratch:
        scratch.write_text(text)
    report({'urdf': str(file), 'robot': made.name, 'links': len(made.links),
            'joints': [joint.name for joint in made.joints],
            'effort_limits': made.effort_limits}, as_json=json)
