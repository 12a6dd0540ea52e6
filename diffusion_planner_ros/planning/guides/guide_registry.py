# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Guides by the names that ``PlannerConfig.guides`` takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..navigation.obstacle_guide import Obstacles
from ..navigation.wall_guide import Walls
from .effort import Effort
from .guide import Guide
from .guide_targets import GuideTargets
from .height import Height
from .learned_value import LearnedValue
from .smoothness import Smoothness
from .speed import Speed
from .state import State

if TYPE_CHECKING:
    from ..bundle import Bundle

GUIDES: dict[str, Callable[['Bundle', GuideTargets], Guide]] = {
    'learned_value': LearnedValue, 'speed': Speed, 'height': Height, 'effort': Effort,
    'smoothness': Smoothness, 'state': State, 'walls': Walls, 'obstacles': Obstacles}
