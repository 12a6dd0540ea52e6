"""``diffusion_planner urdf``: a MuJoCo model for the tools of ROS."""

from pathlib import Path

from ...files import written
from ..output import report


def urdf(mjcf: Path | None = None, out: Path | None = None, json: bool = False) -> None:
    """
    Write a URDF of a MuJoCo model: the same joints, inertias, shapes and torque limits.

    :param mjcf: file of the MuJoCo model; Walker2D's by default.
    :param out: file to write; the model's name with .urdf, in this folder, by default.
    :param json: print the report as JSON.
    """
    from ...sim.urdf_export import urdf_from_mjcf
    from ...sim.walker2d import mjcf_path
    from ...urdf_tree import Urdf

    text = urdf_from_mjcf(mjcf or mjcf_path())
    robot = Urdf.from_text(text, 'the URDF made')
    file = out or Path(f'{robot.name}.urdf')
    with written(file) as scratch:
        scratch.write_text(text)
    report({'urdf': str(file), 'robot': robot.name, 'links': len(robot.links),
            'joints': [joint.name for joint in robot.joints],
            'effort_limits': robot.effort_limits}, as_json=json)
