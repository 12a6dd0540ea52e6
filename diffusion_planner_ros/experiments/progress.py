# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How a long experiment tells whoever waits for it that it goes on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Says that work was done."""

    def __call__(self, n_done: int, **figures: str) -> None:
        """Report ``n_done`` more steps, and figures to show beside them."""


class Progress(Protocol):
    """Begins a piece of work, as ``commands.output.progress`` does."""

    def __call__(self, title: str, total: int, *, unit: str, done: int = 0
                 ) -> AbstractContextManager[Advance]:
        """Begin a piece of work of ``total`` steps, ``done`` of which are done already."""


@contextmanager
def silent(title: str, total: int, *, unit: str, done: int = 0) -> Iterator[Advance]:
    """Tell nobody."""
    del title, total, unit, done
    yield lambda n_done, **figures: None
