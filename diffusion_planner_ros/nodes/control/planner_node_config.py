# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the planner node that are not those of one of its parts."""

from dataclasses import dataclass
import re

from ...errors import ConfigError
from ...planning.stop import AUTOMATIC, time_limit
from ...settings import check_settings, document_settings, setting

LEAST_MAX_PLAN_GAP = 0.1  # [s]
MEASURED = -1  # value of action_delay: the delay is measured
NAMESPACE = re.compile(r'[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


@document_settings
@dataclass(frozen=True)
class PlannerNodeConfig:
    """Parameters of the planner node itself."""

    bundle: str = setting(
        '', 'Folder of the model bundle; if empty, the shipped Walker2D. When it is changed, the '
        'planner goes on with the old bundle until the new one is loaded and checked.')
    preset: str = setting(
        '', 'Published method whose settings are the defaults of the parameters that say how to '
        'plan, a name of docs/how_to/compare.md; if empty, the one that the bundle names, if it '
        'does.',
        read_only=True)
    autostart: bool = setting(
        True, 'Whether the node configures and activates itself at the start.', read_only=True)
    robots: tuple[str, ...] = setting(
        ('',), 'Namespaces of several robots of one kind, below that of the node: each gets a '
        'planner, and states that wait are planned from together. One empty text: one robot, in '
        'the namespace of the node.', read_only=True)
    lockstep: bool = setting(False, 'Answer every state with exactly one command.', read_only=True)
    robot_description: str = setting(
        '', 'URDF as text: its effort limits bound the torque, and its links are drawn. If empty, '
        'the shipped one of the robot, if there is one.', read_only=True)
    torque_limit: tuple[float, ...] = setting(
        (1e4,), "Largest torque: one number for all joints, or one for each in the order of the "
        "action layout. The smallest of this, the URDF's and the bundle's limit applies.",
        unit='N m',
        low=0.0, high=1e4, read_only=True)
    torque_scale: float = setting(1.0, 'Factor on every planned torque.', low=0.0, high=1.0)
    ramp_time: float = setting(
        1.0, 'Time from zero to full torque after activation and after a stop.',
        unit='s', low=0.0, high=60.0, read_only=True)
    stop_duration: float = setting(
        1.0, 'How long damping or hold goes on after deactivation or shutdown, before the torque '
        'becomes zero.', unit='s', low=0.0,
        high=60.0, read_only=True)
    max_plan_gap: float = setting(
        AUTOMATIC, 'Without lockstep, the robot is stopped when no planned command was sent for '
        'longer than this on the wall clock, or when a torque would be sent longer than this '
        'after its state; 0: four control periods, at least 0.1 s.', unit='s', low=0.0, high=10.0,
        read_only=True)
    action_delay: int = setting(
        MEASURED, 'Control periods between a state and the first action that its plan decides; '
        'the actions before it are those of the plan before. -1: as long as planning takes, which '
        'is measured.',
        unit='control periods', low=MEASURED, high=100, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
        names = self.namespaces
        if len(set(names)) < len(names) or not all(map(NAMESPACE.fullmatch, names)):
            raise ConfigError(f'robots is {self.robots}, expected namespaces of letters, digits '
                              "and _, such as 'robot1', each once")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those of several robots; empty texts are left out."""
        return tuple(name for name in self.robots if name)

    def longest_gap(self, control_period: float) -> float:
        """Return ``max_plan_gap`` of a robot with this control period [s]."""
        return time_limit(self.max_plan_gap, control_period, least=LEAST_MAX_PLAN_GAP)
