# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers a speed."""

from typing import TYPE_CHECKING

from .guide_targets import GuideTargets
from .target import Target

if TYPE_CHECKING:
    from ..bundle import Bundle


class Speed(Target):
    """
    Prefer ``target_speed`` as velocity of ``speed_joint``.

    :param config: says both.
    :raises ConfigError: if the state has no such entry.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        entry = bundle.robot.state_index(config.speed_joint, 'velocity')
        super().__init__(bundle, entry, config.target_speed)
