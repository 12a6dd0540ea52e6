# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Measurements of a robot in the order of time: what every kind of recording is read into."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from numpy.typing import NDArray


@dataclass(frozen=True)
class Samples:
    """States as they were measured, at any rate, and what happened between them."""

    times: NDArray
    """Time of every state on one clock [ns], increasing, shape (n,)."""
    states: NDArray
    """In the order and units of ``robot.state``, shape (n, S)."""
    torques: NDArray
    """What acted since the sample before [N m], NaN where nobody knows, shape (n, A)."""
    rewards: NDArray
    """Of the control period that ended with the sample; NaN where there is none, shape (n,)."""
    fell: NDArray
    """Whether the reward of the sample says that the robot fell, shape (n,)."""
    cuts: Mapping[int, str] = field(default_factory=dict)
    """Samples that begin an episode whatever their time, with the reason."""

    def __len__(self) -> int:
        return len(self.times)
