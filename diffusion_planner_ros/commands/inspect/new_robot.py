# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner new-robot``: the folder of a robot, made of its MuJoCo model or URDF."""

from pathlib import Path

import tyro

from ..output import report


def new_robot(
    model: tyro.conf.Positional[Path],
    out: Path | None = None,
    control_period: float | None = None,
    json: bool = False,
) -> None:
    """
    Make the folder of a robot of its model, MJCF or URDF, and say what is left to fill in.

    It gets a layout (joints, units, torque limits, control period), a task (simulation, reward,
    end of an episode) with comments, and a URDF to draw. All three are checked against the model,
    and the robot is simulated for a moment.

    :param model: MJCF or URDF of the robot, with slides and hinges, and motors at some of them.
    :param out: folder to make; its name becomes the robot's. ./NAME for NAME.xml by default.
    :param control_period: time between two actions [s], a multiple of the model's timestep; that
        nearest to 0.02 s by default.
    :param json: print the report as JSON.
    """
    from ...sim.new_robot.robot_writer import write_robot

    made = write_robot(model, out or Path(model.stem), control_period)
    facts = made.facts
    report({
        'robot': made.folder.resolve().name, 'folder': str(made.folder), 'model': made.model,
        'joints': [joint.name for joint in facts.joints],
        'torque_limits': {joint.name: joint.torque_limit for joint in facts.motors},
        'control_period_s': facts.control_period,
        'checked': 'layout and task fit the model, and it can be simulated',
        'to_do': {f'{i}': text for i, text in enumerate(made.to_do, start=1)}}, as_json=json)
