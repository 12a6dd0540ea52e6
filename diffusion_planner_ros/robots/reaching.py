# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The task of a robot that is sent to goals: the section ``reaching`` of a task."""

from dataclasses import dataclass

from .yaml_section import YamlSection

MAX_STAY = 100_000


@dataclass(frozen=True)
class Reaching:
    """
    Starts and goals are drawn from all goals that the layout allows.

    The rest is how ``collect`` controls the robot: it follows a way to the goal, with a PD
    controller in the positions of the joints that the goal fixes.
    """

    stiffness: float
    """Effort for the distance to the point of the way that is followed [N/m, N m/rad]."""
    damping: float
    """Effort against the velocity [N s/m, N m s/rad]."""
    lookahead: float
    """Distance to that point along the way [m, rad]."""
    stay: int
    """Time at the goal until an episode's recording ends; no shorter than plans, so that every
    window of a plan's length that begins on the way ends at the goal [control periods]."""
    goal_joints: tuple[str, str] | None
    """Joints of the model that show the goal, with x and y as positions; None without any."""
    wall_height: float | None
    """Of the walls of the layout's map, which are put into the model [m]; None for none."""

    @classmethod
    def read(cls, section: YamlSection) -> 'Reaching':
        """
        Read the section.

        :raises RobotError: if a key is missing, unknown, or has a value that makes no sense.
        """
        reaching = cls(
            stiffness=section.number('stiffness', low=0.0),
            damping=section.number('damping', low=0.0),
            lookahead=section.number('lookahead', low=0.0),
            stay=section.integer('stay', low=1, high=MAX_STAY),
            goal_joints=section.two_texts('goal_joints', None),
            wall_height=section.number('wall_height', None, low=1e-3))
        section.end()
        return reaching
