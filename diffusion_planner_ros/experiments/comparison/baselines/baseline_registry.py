# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The policies that methods are compared with, by name; one line makes another one known."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..training import Training
    from .transitions import Transitions

BEHAVIOUR = 'behaviour'
"""Who made the data: nothing is trained, the episodes of the data are counted."""


def _cloning(transitions: 'Transitions', *, seed: int, n_updates: int) -> 'Training':
    # Only now, as below: torch takes a while.
    from .behaviour_cloning import BehaviourCloning

    return BehaviourCloning(transitions, seed=seed, n_updates=n_updates)


def _from_library(name: str) -> Callable[..., 'Training']:
    def build(transitions: 'Transitions', *, seed: int, n_updates: int) -> 'Training':
        from .d3rlpy_training import D3rlpyTraining

        return D3rlpyTraining(name, transitions, seed=seed, n_updates=n_updates)
    return build


BASELINES: dict[str, Callable[..., 'Training']] = {
    'bc': _cloning,
    **{name: _from_library(name) for name in ('cql', 'awac', 'iql', 'td3-bc')},
}
"""``build(transitions, seed=, n_updates=)`` begins a training."""
