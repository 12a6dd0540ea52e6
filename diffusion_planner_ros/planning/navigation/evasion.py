# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Evade: change the first actions of plans as little as needed to keep clear of obstacles."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from .obstacle_guide import n_foreseen_rows, Obstacles

if TYPE_CHECKING:
    from ..bundle import Bundle

N_ITERATIONS = 8  # of Gauss and Newton
SLACK = 0.02  # beyond the distance that is to be kept, at which iterations aim [m]
DAMPING = 1e-4  # of the least change [m^2]; without, rows that contradict each other diverge
CHANGE = 0.05  # taken from the preference for a change of an action by 1 standard deviation
PROBE = 0.3  # change of an action by which its effect is measured [standard deviations]


class Evasion:
    """
    Makes plans keep clear of obstacles as far ahead as the dynamics model foresees them well.

    Where plans lead too near an obstacle, their actions get the smallest change that leads the
    robot out, to first order, until none is too near or ``N_ITERATIONS`` are over (a projection of
    the plan on what is allowed, as in SafeDiffuser, Xiao et al. 2023, arxiv.org/abs/2306.00148, by
    forecasts in place of barrier functions). What a position owes to an action is measured once,
    of a robot at rest. A robot that finds no way round so brakes.

    :param guide: knows the obstacles, and which distance is to be kept.
    :raises ConfigError: if the bundle has no dynamics model.
    """

    def __init__(self, bundle: 'Bundle', guide: Obstacles) -> None:
        if not bundle.has_dynamics:
            raise ConfigError("guides has 'obstacles', which needs a dynamics model, and "
                              f'{bundle.path} has none; train and export the model again, or '
                              'leave that guide out')
        self._bundle, self._guide = bundle, guide
        self._n_action = bundle.robot.action_dim
        self._n = n_foreseen_rows(bundle)
        self._low, self._high = (limit[:self._n_action] for limit in bundle.row_limits)
        self._effect = self._measured_effect()

    def evade(self, x_0: NDArray, mask: NDArray) -> NDArray:
        """
        Change trajectories (N, H, D) in place: first actions, and the states that these lead to.

        :param mask: what is known, and stays, shape (1, H, D) or (N, H, D).
        :return: what the changes add to the preference of the guide, below 0, shape (N,): of two
            plans that are clear, the one that the model likes as it is.
        """
        n, n_action = self._n, self._n_action
        actions = x_0[:, :n, :n_action]
        np.clip(actions, self._low, self._high, out=actions)
        before, is_known = actions.copy(), np.broadcast_to(mask, x_0.shape)[:, :n, :n_action]
        for _ in range(N_ITERATIONS):
            self._forecast(x_0, mask)
            depth, outwards = self._guide.depth(x_0[:, 1:n + 1], slack=SLACK)
            if not depth.any():
                break
            is_near = depth.any(axis=1)
            actions[is_near] += self._least_change(depth[is_near], outwards[is_near],
                                                   is_known[is_near])
            np.clip(actions, self._low, self._high, out=actions)
        self._forecast(x_0, mask)
        return -CHANGE * np.square(actions - before).sum(axis=(1, 2))

    def _least_change(self, depth: NDArray, outwards: NDArray, is_known: NDArray) -> NDArray:
        """
        Return the smallest change of actions (N, n, A) that moves rows outwards by a depth.

        :param depth: [m], shape (N, n).
        :param outwards: direction, shape (N, n, 2).
        :param is_known: actions that stay, shape (N, n, A).
        """
        moves = np.einsum('bkc,kcja->bkja', outwards, self._effect) * ~is_known[:, None]
        moves = (moves * (depth > 0)[..., None, None]).reshape(*depth.shape, -1)  # (N, n, n * A)
        across = moves.transpose(0, 2, 1)
        multipliers = np.linalg.solve(moves @ across + DAMPING * np.eye(self._n), depth[..., None])
        return (across @ multipliers).reshape(len(depth), self._n, self._n_action)

    def _forecast(self, x_0: NDArray, mask: NDArray) -> None:
        """Put the states that the first actions lead to into trajectories (N, H, D)."""
        n_action, bound = self._n_action, self._bundle.largest_entry
        for k in range(self._n):
            states = np.clip(self._bundle.next_state(x_0[:, k]), -bound, bound)
            np.copyto(x_0[:, k + 1, n_action:], states, where=~mask[..., k + 1, n_action:])

    def _measured_effect(self) -> NDArray:
        """Return the way [m] of every later position per normalised action, (n, 2, n, A)."""
        bundle, n, n_action = self._bundle, self._n, self._n_action
        rest = bundle.normalizer.normalize(np.zeros((1, bundle.row_dim))).astype(np.float32)
        rows = np.repeat(rest, 2 * n_action, axis=0)
        probes = PROBE * np.eye(n_action, dtype=np.float32)
        rows[:, :n_action] += np.concatenate([probes, -probes])
        effect = np.zeros((n, 2, n, n_action))
        for lag in range(n):
            rows[:, n_action:] = bundle.next_state(rows)
            rows[:, :n_action] = rest[:, :n_action]
            plus, minus = np.split(self._guide.points(rows), 2)
            for k in range(n - lag):
                effect[k + lag, :, k] = (plus - minus).T / (2 * PROBE)
        return effect
