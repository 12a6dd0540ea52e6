# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What guides are to aim at, as settings of the planner."""

from dataclasses import dataclass

from ...settings import setting

# Settings that only one guide reads.
TARGETS_OF = {'speed': ('target_speed', 'speed_joint'),
              'height': ('target_height', 'height_joint'), 'state': ('target_state',),
              'obstacles': ('obstacle_margin',)}


@dataclass(frozen=True)
class GuideTargets:
    """Targets of the guides that have one."""

    target_speed: float = setting(
        4.0, 'Speed that the guide speed prefers. A model that was trained to be told a speed is '
        'told this one.', unit='m/s', low=-100.0, high=100.0)
    speed_joint: str = setting('rootx', 'Joint whose velocity target_speed is.')
    target_height: float = setting(
        1.2, 'Position that the guide height prefers.', unit='m', low=-100.0, high=100.0)
    height_joint: str = setting('rootz', 'Joint whose position target_height is.')
    target_state: tuple[float, ...] = setting(
        (0.0,), "State that the guide state prefers, in the order of the robot's state.",
        unit='SI', low=-1e6, high=1e6)
    obstacle_margin: float = setting(
        0.05, 'Distance from obstacles, beyond the radius of the robot, that the guide obstacles '
        'keeps.', unit='m', low=0.0, high=10.0)
