"""Guides by the names that ``PlannerConfig.guides`` takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .guide import Guide
from .learned_value import LearnedValue

if TYPE_CHECKING:
    from ..bundle import Bundle

GUIDES: dict[str, Callable[['Bundle'], Guide]] = {'learned_value': LearnedValue}
