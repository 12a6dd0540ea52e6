# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What was read of a recording."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...episode import Episode
from ...errors import DatasetError
from .tally import Tally


@dataclass(frozen=True)
class Recording:
    """Episodes at the control rate of a robot, and what was found on the way."""

    episodes: list[Episode]
    """Rewards are NaN where the recording has none."""
    tally: Tally = field(default_factory=Tally)
    """What was dropped, and where episodes were cut."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the report."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the name of a recording before the text of a ``DatasetError``."""
    try:
        yield
    except DatasetError as error:
        raise DatasetError(f'{path}: {error}') from error
