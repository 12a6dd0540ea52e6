# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Conditions drawn at random for training, so that whatever is known of a plan is honoured."""

import torch
from torch import Tensor

MAX_ROW_SHARE = 0.5  # of the rows whose states are known, in a window
ENTRY_SHARES = 0.3, 0.3  # of rows and of state entries, where some entries are known
N_KINDS = 4
GOAL_SHARE = 0.8  # of the windows of which more is known, where a robot can be sent to goals
AT_REST = 0.3  # how far entries of a goal are from the last ones where the robot stays there [std]


def first_states(x_0: Tensor, action_dim: int) -> Tensor:
    """Return a mask (B, H, D) that is true for the first state of every window (B, H, D)."""
    known = torch.zeros_like(x_0, dtype=torch.bool)
    known[:, 0, action_dim:] = True
    return known


def random_conditions(x_0: Tensor, action_dim: int, share: float, generator: torch.Generator,
                      goal_entries: Tensor | None = None) -> Tensor:
    """
    Draw which entries of windows are known: always the first state, in some windows more.

    The others are the last state, the states of some rows, some entries of some states, and the
    first actions, one of these for a window. Of a robot that can be sent to goals it is most often
    a goal: the entries that it fixes are known from a row on in which the robot stays there.

    :param x_0: windows, shape (B, H, D), rows ``[a | s]``.
    :param share: of the windows of which more is known than the first state.
    :param generator: on the CPU.
    :param goal_entries: of a state, those that a goal fixes, true for these, shape (S,).
    :return: shape (B, H, D).
    """
    known = first_states(x_0, action_dim)
    if not share:
        return known
    n, horizon, row_dim = x_0.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator).to(x_0.device)
    rows = torch.arange(horizon, device=x_0.device)
    is_state = torch.arange(row_dim, device=x_0.device) >= action_dim
    some_rows = uniform(n, horizon) < MAX_ROW_SHARE * uniform(n, 1)
    row_share, entry_share = ENTRY_SHARES
    some_entries = ((uniform(n, horizon, 1) < row_share) & (uniform(n, 1, row_dim) < entry_share))
    n_actions = 1 + (uniform(n, 1) * (horizon - 1)).long()
    last = (rows == horizon - 1)[:, None] & is_state
    kinds = torch.stack([last.expand_as(known), some_rows[:, :, None] & is_state,
                         some_entries & is_state, (rows < n_actions)[:, :, None] & ~is_state])
    kind = torch.randint(N_KINDS, (n,), generator=generator).to(x_0.device)
    more = kinds[kind, torch.arange(n, device=x_0.device)]
    has_more = uniform(n) < share
    if goal_entries is not None:
        goals = held_goals(x_0, action_dim, goal_entries, uniform(n))
        more = torch.where((uniform(n) < GOAL_SHARE)[:, None, None], goals, more)
    return known | (more & has_more[:, None, None])


def held_goals(x_0: Tensor, action_dim: int, goal_entries: Tensor, draws: Tensor) -> Tensor:
    """
    Return a mask of goals at which windows end, as ``Navigator`` knows them of a plan.

    The robot is taken to stay where it is in the last row from the first row on after which it
    does not leave that place.

    :param x_0: windows, shape (B, H, D), rows ``[a | s]``.
    :param goal_entries: of a state, those that a goal fixes, shape (S,).
    :param draws: from 0 to 1, which say from which of the rows at rest on it is known, shape (B,).
    :return: shape (B, H, D).
    """
    horizon = x_0.shape[1]
    entries = x_0[:, :, action_dim:][:, :, goal_entries.to(x_0.device)]
    away = (entries - entries[:, -1:]).abs().amax(2)  # (B, H)
    stays = away.flip(1).cummax(1).values < AT_REST
    n_known = 1 + (draws * stays[:, :-1].sum(1)).long()
    is_late = torch.arange(horizon, device=x_0.device) >= horizon - n_known[:, None]
    is_goal = torch.zeros(x_0.shape[2], dtype=torch.bool, device=x_0.device)
    is_goal[action_dim:] = goal_entries
    return is_late[:, :, None] & is_goal
