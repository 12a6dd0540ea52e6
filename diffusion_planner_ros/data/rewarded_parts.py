# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where an episode is cut because steps have no reward: the same for every recording."""

from collections.abc import Sequence
from itertools import groupby


def rewarded_parts(has_reward: Sequence[bool]) -> list[tuple[int, int]]:
    """
    Return first step and end of the parts of an episode that are kept.

    Steps without a reward are left out, which ends an episode. If no two steps in a row have one,
    it is one episode without rewards: then they are not published for every step, or only to
    report a fall.

    :param has_reward: of every step.
    """
    runs = [(has, len(list(steps))) for has, steps in groupby(has_reward)]
    if runs and (len(runs) == 1 or all(length == 1 for has, length in runs if has)):
        return [(0, len(has_reward))]
    parts, first = [], 0
    for has, length in runs:
        if has:
            parts.append((first, first + length))
        first += length
    return parts
