# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Conditions: entries of a trajectory that are fixed while it is denoised (inpainting)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .bundle import Bundle


@dataclass(frozen=True)
class Condition:
    """Entries of a trajectory that are fixed: goals, actions that are committed already."""

    known: NDArray
    """Values [N m, SI], shape (H, D), rows ``[a | s]``."""
    mask: NDArray
    """True where ``known`` holds, shape (H, D)."""

    def overlaid(self, other: 'Condition') -> 'Condition':
        """Return all that is fixed by either; where both do, ``other`` holds."""
        return Condition(np.where(other.mask, other.known, self.known), self.mask | other.mask)


def first_actions(actions: NDArray, *, horizon: int, row_dim: int) -> Condition:
    """
    Fix the first actions of a trajectory.

    :param actions: torques [N m], shape (n, A).
    :param horizon: rows of a trajectory, H.
    :param row_dim: length of a row ``[a | s]``, D.
    """
    known, mask = np.zeros((horizon, row_dim)), np.zeros((horizon, row_dim), dtype=bool)
    n, action_dim = actions.shape
    known[:n, :action_dim], mask[:n, :action_dim] = actions, True
    return Condition(known, mask)


def last_state(state: NDArray, *, horizon: int, row_dim: int) -> Condition:
    """
    Fix the last state of a trajectory: a goal.

    :param state: [SI], shape (S,).
    :param horizon: rows of a trajectory, H.
    :param row_dim: length of a row ``[a | s]``, D.
    """
    return held_state(state, arrival=horizon - 1, horizon=horizon, row_dim=row_dim)


def held_state(state: NDArray, *, arrival: int, horizon: int, row_dim: int,
               fixed: NDArray | None = None) -> Condition:
    """
    Fix the same state in the last rows of a trajectory: a goal at which the robot stays.

    :param state: [SI], shape (S,).
    :param arrival: first row that it is in, 1 to ``horizon - 1``.
    :param horizon: rows of a trajectory, H.
    :param row_dim: length of a row ``[a | s]``, D.
    :param fixed: entries of the state that are fixed, true for these, shape (S,); all by default.
    """
    known, mask = np.zeros((horizon, row_dim)), np.zeros((horizon, row_dim), dtype=bool)
    known[arrival:, -len(state):] = state
    mask[arrival:, -len(state):] = True if fixed is None else fixed
    return Condition(known, mask)


def normalized_condition(bundle: Bundle, state: NDArray, condition: Condition | None = None
                         ) -> tuple[NDArray, NDArray]:
    """
    Return what is known of a trajectory, normalised, and where: both of shape (H, D).

    :param state: measured first state, clipped as the robot's are [SI], shape (S,).
    :param condition: what else is fixed.
    :raises ConfigError: if the condition has another shape, or is not finite where it holds.
    """
    shape = (bundle.horizon, bundle.row_dim)
    known, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    if condition is not None:
        for name in ('known', 'mask'):
            found = getattr(condition, name).shape
            if found != shape:
                raise ConfigError(f"condition's {name} has shape {found}, expected {shape}")
        if not np.isfinite(condition.known[condition.mask]).all():
            raise ConfigError("condition's known has values that are not finite under its mask, "
                              'expected none')
        mask |= condition.mask
        known[mask] = bundle.normalizer.normalize(condition.known)[mask]
    action_dim = bundle.robot.action_dim
    with np.errstate(over='ignore'):  # a plan that is not finite is refused at its end
        known[0, action_dim:] = bundle.normalizer.normalize_state(state)
    mask[0, action_dim:] = True
    return known, mask
