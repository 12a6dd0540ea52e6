# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A guide that prefers a height."""

from typing import TYPE_CHECKING

from .guide_targets import GuideTargets
from .target import Target

if TYPE_CHECKING:
    from ..bundle import Bundle


class Height(Target):
    """
    Prefer ``target_height`` as position of ``height_joint``.

    :param config: says both.
    :raises ConfigError: if the state has no such entry.
    """

    def __init__(self, bundle: 'Bundle', config: GuideTargets) -> None:
        entry = bundle.robot.state_index(config.height_joint, 'position')
        super().__init__(bundle, entry, config.target_height)
