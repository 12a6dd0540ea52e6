# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The layout that the folder of a new robot begins with: YAML, with what every line means."""

from .robot_facts import JointFacts, RobotFacts
from .yaml_text import name_text, number_text

TEXT = """\
# The robot of {file}, as a planner sees it. `diffusion_planner new-robot` wrote this; change
# what does not fit your robot.
name: {name}
# Time between two actions [s]: {frame_skip} simulator steps of {timestep:g} s. Choose the rate at
# which your robot measures and takes torques; `frame_skip` in the task goes with it.
control_period: {control_period}
# What the planner measures, in this order: positions and velocities of joints, in SI units, as
# sensor_msgs/JointState or odometry brings them. Delete what your robot does not measure. With
# `clip: 10.0` in an entry, its magnitude is bounded before a model sees it.
state:
{state}
# What the planner commands: the largest torque [N m] of every motor, a force [N] at a slide, in
# the order of effort_controller/commands. An action of 1 in a data set is this torque.
action:
{action}
# A robot that can be sent to points of a plane has a section `goal` here; those of the robots
# point_maze (slides along x and y) and reacher (an arm of two links) are examples.
"""
WHERE_IT_IS = """\
  # The way forward is left out, so that a motion is the same wherever it takes place. A robot that
  # is to know where it is needs it:
"""


def layout_text(name: str, file: str, facts: RobotFacts) -> str:
    """
    Write a layout: all positions, then all velocities, and the motors.

    The position of a base that may go anywhere is left out.

    :param name: of the robot.
    :param file: name of the model that it is made from.
    """
    return TEXT.format(
        file=file, name=name_text(name), frame_skip=facts.frame_skip, timestep=facts.timestep,
        control_period=number_text(facts.control_period),
        state='\n'.join([*(_position(joint, facts) for joint in facts.joints),
                         *(f'  {_entry(joint, "velocity", f"{joint.unit}/s")}'
                           for joint in facts.joints)]),
        action='\n'.join(f'  - {{joint: {name_text(joint.name)}, '
                         f'limit: {number_text(joint.torque_limit)}}}  # [{joint.torque_unit}]'
                         for joint in facts.motors if joint.torque_limit is not None))


def _position(joint: JointFacts, facts: RobotFacts) -> str:
    entry = _entry(joint, 'position', joint.unit)
    if facts.travels and joint.name == facts.forward_joint:
        return f'{WHERE_IT_IS}  # {entry}'
    limits = '' if joint.range is None else (
        f'  # from {joint.range[0]:.4g} to {joint.range[1]:.4g}')
    return f'  {entry}{limits}'


def _entry(joint: JointFacts, quantity: str, unit: str) -> str:
    return f'- {{joint: {name_text(joint.name)}, quantity: {quantity}, unit: {unit}}}'
