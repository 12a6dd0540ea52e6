# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The task that the folder of a new robot begins with: one that can be simulated."""

from .robot_facts import JointFacts, RobotFacts
from .yaml_text import name_text, number_text

TEXT = """\
# What the robot of {file} is to do, and how it is simulated. `diffusion_planner new-robot` wrote
# this; the lines with TO DO are guesses that only you can replace.
mjcf: {mjcf}  # MuJoCo's model; a path from this folder
frame_skip: {frame_skip}  # simulator steps, of {timestep:g} s here, in a control period
forward_joint: {forward}  # TO DO: its position is the way forward [m]
pushed_body: {body}  # where pushes act, of tests and of a person
# Of every episode, drawn anew.
initial_noise:
  position_bound: 0.01  # uniform, on every position [m, rad]
  velocity_bound: 0.01  # uniform [m/s, rad/s]; `velocity_std` in its place makes it normal
# TO DO: open ranges in which the robot is healthy, for one that can fall. A planner learns from
# falls what to avoid. Keep the joints that matter, with ranges in which they are all right.
# healthy:
#   positions:
{positions}
#   ends_episode: true  # a robot that leaves them has fallen
# TO DO: what every control period is worth. This is what the robot learns to do.
reward:
  forward_velocity: {velocity_weight}  # weight of the mean velocity of the forward joint [s/m]
  healthy: 0.0  # added while the robot is in the ranges above; 1.0 is usual
  control_cost: 0.001  # weight of the sum of the squared actions [torque limits], taken away
max_episode_steps: 1000  # [control periods], {episode:g} s
# For a score of 0 and 100, once you know them.
# reference_returns: {{random: 0.0, expert: 1000.0, note: where these returns come from}}
"""


def task_text(file: str, mjcf: str, facts: RobotFacts) -> str:
    """
    Write a task that rewards the way forward, where there is one, and has no falls.

    :param file: name of the model that it is made from.
    :param mjcf: path of the MuJoCo model, from the robot's folder.
    """
    forward = next(j for j in facts.joints if j.name == facts.forward_joint)
    return TEXT.format(
        file=file, mjcf=name_text(mjcf), frame_skip=facts.frame_skip, timestep=facts.timestep,
        forward=name_text(facts.forward_joint), body=name_text(facts.pushed_body),
        positions='\n'.join(_range(joint) for joint in facts.joints),
        velocity_weight='1.0' if forward.is_slide else '0.0',
        episode=1000 * facts.control_period)


def _range(joint: JointFacts) -> str:
    low, high = joint.range or ((-0.1, 0.1) if joint.is_slide else (-0.5, 0.5))
    return (f'#     {name_text(joint.name)}: [{number_text(low)}, {number_text(high)}]'
            f'  # [{joint.unit}]')
