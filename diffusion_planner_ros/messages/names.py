# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Names that a message contains, as a text for people."""

from collections.abc import Sequence

N_NAMED = 30  # names that a text lists, of however many there are
LONGEST_NAME = 40  # characters of each


def shortened(names: Sequence[str], longest: int = LONGEST_NAME) -> str:
    """Return names as one text of limited length, whatever a message contains."""
    shown = [n if len(n) <= longest else f'{n[:longest]}...' for n in names[:N_NAMED]]
    if len(names) > N_NAMED:
        shown.append(f'{len(names) - N_NAMED} more')
    return ', '.join(shown)
