# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Late plans: what the robot does until a plan is ready is known when the plan is made."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .conditions import Condition, first_actions
from .planner import Plan, Planner

Planning = Callable[..., Plan]
"""Plans as ``Planner.plan`` does, the planner its first argument."""
Redo = Callable[..., Plan]
"""Makes a plan again; its only argument is ``on_step``, as of ``plan_compensated``."""


def committed(plan: Plan, index: int, n: int) -> NDArray:
    """
    Return the actions of a plan that will be executed before the next plan is ready.

    :param plan: the plan that the robot follows.
    :param index: row of ``plan`` for the state that the next plan starts from.
    :param n: control periods until the next plan is ready.
    :return: torques [N m], shape (n, A).
    :raises ConfigError: if the plan does not reach that far.
    """
    horizon = len(plan.actions)
    if index < 0 or n < 0 or index + n > horizon:
        raise ConfigError(f'committed rows are {index} to {index + n}, expected them within 0 to '
                          f'{horizon}, the horizon; plan sooner or train a longer horizon')
    return plan.actions[index:index + n]


def plan_compensated(planner: Planner, state: NDArray, actions: NDArray, *, step: int = 0,
                     condition: Condition | None = None, plan: Planning = Planner.plan,
                     on_step: Callable[[int, NDArray], None] | None = None) -> Plan:
    """
    Plan from one state, knowing the actions until the plan is ready.

    The bundle's dynamics model forecasts the state that the actions lead to, and the plan starts
    there, for it is the first action of a trajectory that a model learns best. In a bundle
    without one, the forecast is the mean of the candidates with the actions inpainted (as Black et
    al. 2025, arxiv.org/abs/2506.07339, do for chunks of actions), which is several times coarser.
    Without actions it is ``planner.plan``.

    :param state: when planning begins [SI], shape (S,).
    :param actions: that will be executed until the plan is ready [N m], shape (n, A), n < H.
    :param step: number of the control period of ``state``.
    :param condition: what else is fixed of the plan from the state that the actions lead to.
    :param plan: plans with ``planner``.
    :param on_step: sees the candidates being denoised from that state; see ``Planner.denoise``.
    :return: rows 0 to n - 1 are the actions given and the states forecast, the others new.
    :raises ConfigError: if the actions have another shape.
    :raises StateError: as ``Planner.plan``, or if a forecast is not finite.
    """
    bundle = planner.bundle
    n_action, horizon = bundle.robot.action_dim, bundle.horizon
    actions = np.asarray(actions, dtype=np.float64)
    if actions.ndim != 2 or actions.shape[1] != n_action or len(actions) >= horizon:
        raise ConfigError(f'committed actions have shape {actions.shape}, expected (n, {n_action})'
                          f' with n from 0 to {horizon - 1}; plan sooner or train a longer '
                          'horizon')
    n, watched = len(actions), {} if on_step is None else {'on_step': on_step}
    if not n:
        return plan(planner, state, step=step, condition=condition, **watched)
    if bundle.has_dynamics:
        clip = bundle.robot.state_clip
        state = np.clip(bundle.check_state(state), -clip, clip)
        states = [state, *bundle.forecast(state, actions)]
    else:
        known = first_actions(actions, horizon=horizon, row_dim=bundle.row_dim)
        states = plan(planner, state, step=step, condition=known).candidates.mean(0)[
            :n + 1, n_action:]
    later = plan(planner, states[n], step=step, condition=condition, **watched)
    candidates = np.empty_like(later.candidates)
    candidates[:, :n, :n_action] = actions
    candidates[:, :n, n_action:] = states[:n]
    candidates[:, n:] = later.candidates[:, :horizon - n]
    clamped = np.zeros_like(later.clamped)
    clamped[:, n:] = later.clamped[:, :horizon - n]
    return replace(later, candidates=candidates, clamped=clamped)


def torque_step(new: Plan, old: Plan, *, row: int, lag: int = 1) -> float:
    """
    Return the jump of the torque where a new plan takes over from an old one.

    :param row: of the first action of ``new`` that is executed.
    :param lag: control periods from the state of ``old`` to that of ``new``.
    :return: root mean square over the joints [N m].
    :raises ConfigError: if a plan has no such row.
    """
    for plan, index in ((new, row), (old, row + lag)):
        if not 0 <= index < len(plan.actions):
            raise ConfigError(f'row of a plan is {index}, expected 0 to {len(plan.actions) - 1}')
    step = new.actions[row] - old.actions[row + lag]
    return float(np.sqrt(np.mean(np.square(step))))
