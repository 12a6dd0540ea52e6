# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How a recording of ``ros2 bag`` is read."""

from dataclasses import dataclass
from typing import Literal

from ...messages.odometry import BaseJoint
from ...settings import check_settings, document_settings, setting


@document_settings
@dataclass(frozen=True)
class BagConfig:
    """Which topics hold what, and where episodes are cut."""

    namespace: str = setting(
        '', 'Namespace of the robot, before the names of all topics that do not begin with /.')
    joint_states: str = setting('joint_states', 'Topic of the joint states.')
    torque_source: Literal['effort', 'commands'] = setting(
        'effort', "Where the executed torque is taken from: the 'effort' of the joint states that "
        "follow it, or the last one of the 'commands' before them.")
    commands: str = setting('effort_controller/commands',
                            'Topic of the commands, in the order of the action layout.')
    odometry_joints: tuple[str, ...] = setting(
        ('',), "Joints of the base that the odometry measures, as the planner's parameter.")
    odometry: str = setting('odometry', 'Topic of the odometry, with odometry_joints.')
    max_odometry_gap: float = setting(
        0.5, 'Largest time between joint states and the nearest odometry.',
        unit='control periods', low=0.0, high=100.0)
    reward: str = setting('reward', 'Topic of the rewards; rewards are left out if it is empty.')
    episode_topic: str = setting(
        '', 'Topic of any type: each of its messages begins an episode.')
    time: Literal['header', 'clock', 'received'] = setting(
        'header', "When something was measured: the stamp of its 'header', simulated time of the "
        "'clock' topic when it was recorded, or when the recorder 'received' it.")
    clock: str = setting('/clock', 'Topic of simulated time, with time clock.')
    max_gap: float = setting(
        1.5, 'Largest time between two states of one episode; between states that are farther '
        'apart than a period, states are interpolated.', unit='control periods',
        low=1.0, high=100.0)

    def __post_init__(self) -> None:
        check_settings(self)
        _ = self.base_joints  # refuses what it cannot read

    @property
    def base_joints(self) -> tuple[BaseJoint, ...]:
        """The joints that the odometry measures; empty texts are left out."""
        return tuple(BaseJoint.parse(text) for text in self.odometry_joints if text)

    def topic(self, name: str) -> str:
        """Return the full name of a topic."""
        if name.startswith('/'):
            return name
        return f'/{self.namespace.strip("/")}/{name}' if self.namespace else f'/{name}'
