# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Compounding errors: whole trajectories against a dynamics model that goes on step by step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, ModelError
from ...planning.bundle import Bundle, DYNAMICS_FILE
from ...planning.conditions import first_actions
from ...planning.planner import Planner
from ...sim.environment import make_environment
from ...state_error import root_mean_square
from ..diagnosis.imagination import imagine_actions
from ..diagnosis.recorded_windows import replay
from ..markdown import table
from ..misalignment import compare_states, execute, Misalignment
from ..progress import Progress, silent

DENOISED, STEPWISE = 'denoised trajectories', 'dynamics model, step by step'
PLANNED_ACTIONS, RECORDED_ACTIONS = 'planned actions', 'recorded actions, given'
QUARTILES = (25, 50, 75)


@dataclass(frozen=True)
class RowErrors:
    """How far predicted states are from the simulator's, n state sequences of K rows."""

    found: Misalignment
    """Predicted and executed states, shape (n, K, S)."""

    @property
    def rms(self) -> NDArray:
        """Root mean square over sequences and entries [standard deviations], shape (K,)."""
        return self.found.per_step

    @property
    def quartiles(self) -> NDArray:
        """
        25, 50 and 75 % of the sequences' root mean squares over the entries, shape (3, K).

        Sequences in which the robot has fallen do not count; NaN where there is no other.
        """
        errors = root_mean_square(self.found.planned - self.found.executed)
        standing = [row[~np.isnan(row)] for row in errors.T]
        return np.array([np.percentile(row, QUARTILES) if len(row) else [np.nan] * 3
                         for row in standing]).T


def errors_of_plans(windows: NDArray, planner: Planner, n_plans: int, *,
                    progress: Progress = silent) -> dict[str, RowErrors]:
    """
    Plan from recorded states, on from the last planned state, and compare with what is executed.

    Simulator and dynamics model get the actions of the plans, all one after another.

    :param windows: shape (n, H, D); the plans start from their first states.
    :param n_plans: that follow each other.
    :return: by whose the predicted states are.
    """
    bundle, robot = planner.bundle, planner.bundle.robot
    environment = make_environment(robot.name)
    denoised, stepwise, executed = [], [], []
    with progress('planning', len(windows), unit='trajectories') as advance:
        for number, window in enumerate(windows):
            environment.place(window[0, robot.action_dim:])
            start = environment.state
            states, actions = imagine_actions(
                planner, start, n_plans, first_step=number * n_plans * bundle.horizon)
            denoised.append(states[1:])
            stepwise.append(bundle.forecast(start, actions))
            executed.append(execute(environment, actions))
            advance(1)
    return _row_errors(denoised, stepwise, executed, bundle)


def errors_under_recorded_actions(windows: NDArray, planner: Planner) -> dict[str, RowErrors]:
    """
    Denoise states where the recorded actions are known (inpainting), and compare.

    This is what a model learns with a ``condition_share``. Simulator and dynamics model get the
    same actions.

    :param windows: shape (n, H, D).
    :return: by whose the predicted states are.
    """
    bundle, n_action = planner.bundle, planner.bundle.robot.action_dim
    denoised, stepwise = [], []
    for number, window in enumerate(windows):
        start, actions = window[0, n_action:], window[:-1, :n_action]
        condition = first_actions(actions, horizon=bundle.horizon, row_dim=bundle.row_dim)
        denoised.append(planner.plan(start, step=number, condition=condition).states[1:])
        stepwise.append(bundle.forecast(start, actions))
    return _row_errors(denoised, stepwise, replay(windows, bundle.robot), bundle)


def _row_errors(denoised: list[NDArray], stepwise: list[NDArray],
                executed: list[NDArray] | NDArray, bundle: Bundle) -> dict[str, RowErrors]:
    truth = np.stack(list(executed))
    return {name: RowErrors(compare_states(np.stack(states), truth, bundle))
            for name, states in ((DENOISED, denoised), (STEPWISE, stepwise))}


def measure_row_errors(windows: NDArray, planner: Planner, n_plans: int, *,
                       progress: Progress = silent) -> dict[str, dict[str, RowErrors]]:
    """
    Measure under the plans' own actions and, where the model learned to, under recorded ones.

    :param windows: shape (n, H, D).
    :param n_plans: that follow each other.
    :return: by whose the actions are, then by whose the predicted states are.
    :raises ModelError: if the bundle has no dynamics model.
    :raises ConfigError: if the planned states are those of the dynamics model.
    """
    bundle = planner.bundle
    if not bundle.has_dynamics:
        raise ModelError(f'{bundle.path / DYNAMICS_FILE}: no such file in this bundle, expected '
                         'one to compare with; train and export the model again')
    if planner.config.states == 'forecast' or bundle.window == 'actions':
        raise ConfigError(f"states is '{planner.config.states}', and the window of {bundle.path} "
                          f"'{bundle.window}', expected 'denoised' and a window with states: "
                          "here the planned states are the dynamics model's own")
    found = {PLANNED_ACTIONS: errors_of_plans(windows, planner, n_plans, progress=progress)}
    learned_conditions = bundle.facts.get('training', {}).get('condition_share')
    if learned_conditions and bundle.window == 'joint':
        found[RECORDED_ACTIONS] = errors_under_recorded_actions(windows, planner)
    return found


def row_facts(found: Mapping[str, Mapping[str, RowErrors]]) -> dict[str, Any]:
    """Return the figures; lists have one number for every control period ahead."""
    facts = {}
    for actions, by_name in found.items():
        executed = by_name[DENOISED].found.executed
        facts[actions] = {
            'trajectories': len(executed),
            'fallen': np.isnan(executed).any(axis=2).sum(axis=0).tolist(),
            'errors': {name: {'rms': _numbers(errors.rms), **{
                f'p{p}': _numbers(values)
                for p, values in zip(QUARTILES, errors.quartiles, strict=True)}}
                for name, errors in by_name.items()}}
    return facts


def _numbers(values: NDArray) -> list[float | None]:
    """Return what JSON can hold: it has no NaN, which is where all had fallen."""
    return [float(x) if x == x else None for x in values]


def row_table(facts: Mapping[str, Any], horizon: int) -> str:
    """
    Write what ``row_facts`` says as a table in Markdown, at the ends of the plans.

    :param horizon: rows of a plan.
    """
    def cell(value: float | None) -> str:
        return '' if value is None else f'{value:.3f}'
    rows = []
    for actions, part in facts.items():
        n_rows = len(part['fallen'])
        for k in [1, *range(horizon - 1, n_rows + 1, horizon - 1)]:
            rows.append([actions, k, part['fallen'][k - 1], *(
                cell(errors[figure][k - 1]) for errors in part['errors'].values()
                for figure in ('p50', 'rms'))])
    return table(('actions', 'periods ahead', 'fallen', *(
        f'{name}: {figure}' for name in (DENOISED, STEPWISE) for figure in ('median', 'RMS'))),
        rows)
