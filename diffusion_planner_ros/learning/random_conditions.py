"""Conditions drawn at random for training, so that whatever is known of a plan is honoured."""

import torch
from torch import Tensor

MAX_ROW_SHARE = 0.5  # of the rows whose states are known, in a window
ENTRY_SHARES = 0.3, 0.3  # of rows and of state entries, where some entries are known
N_KINDS = 4


def first_states(x_0: Tensor, action_dim: int) -> Tensor:
    """Return a mask (B, H, D) that is true for the first state of every window (B, H, D)."""
    known = torch.zeros_like(x_0, dtype=torch.bool)
    known[:, 0, action_dim:] = True
    return known


def random_conditions(x_0: Tensor, action_dim: int, share: float, generator: torch.Generator
                      ) -> Tensor:
    """
    Draw which entries of windows are known: always the first state, in some windows more.

    The others are the last state, the states of some rows, some entries of some states, and the
    first actions, one of these for a window.

    :param x_0: windows, shape (B, H, D), rows ``[a | s]``.
    :param share: of the windows of which more is known than the first state.
    :param generator: on the CPU.
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
    return known | (more & has_more[:, None, None])
