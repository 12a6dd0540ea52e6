# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Measure what the monitor compares a robot with: how well plans predict recorded states."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..data.windows import Windows
from ..normalizer import Normalizer
from ..planning.bundle import Bundle
from ..planning.calibration import PERCENTILES
from ..planning.conditions import first_actions
from ..planning.planner import Planner
from ..planning.planner_config import PlannerConfig
from ..state_error import entry_errors, root_mean_square

N_WINDOWS = 10_000
STATES: tuple[Literal['denoised', 'forecast'], ...] = ('denoised', 'forecast')


def calibrate(bundle: Bundle, windows: Windows, planner: PlannerConfig | None = None, *,
              n_windows: int | None = None, seed: int = 0) -> dict[str, Any]:
    """
    Measure how well plans predict the next state of the data, and the range of its states.

    Plans start from the first state of random windows, with the recorded action inpainted; once
    with the states that are denoised and, where there is a dynamics model, once with those that it
    forecasts.

    :param planner: settings to plan with; STATES has no effect.
    :param n_windows: as many as ``N_WINDOWS`` by default.
    :return: facts for ``model.yaml``, which ``read_calibrations`` reads.
    """
    planner = planner or PlannerConfig()
    starts = np.random.default_rng(seed).permutation(windows.starts)[:n_windows or N_WINDOWS]
    measured = {}
    for states in STATES[:1 + bundle.has_dynamics]:
        config = replace(planner, states=states)
        of_entries = _entry_errors(Planner(bundle, config), windows, starts)
        errors = root_mean_square(of_entries)
        measured[states] = {
            'n_windows': len(errors), 'seed': seed, 'planner': config.decisive,
            'p99_9': float(np.percentile(errors, 99.9)),
            'percentiles': np.percentile(errors, PERCENTILES).tolist(),
            'largest': of_entries.max(axis=0).tolist()}
    recorded = windows.rows[:, bundle.robot.action_dim:]
    return {'prediction_error': measured,
            'state_range': {'min': recorded.min(axis=0).tolist(),
                            'max': recorded.max(axis=0).tolist(),
                            'std': Normalizer.fit(recorded).std.tolist()}}


def _entry_errors(planner: Planner, windows: Windows, starts: np.ndarray) -> np.ndarray:
    """Return errors of shape (n, S) [standard deviations]."""
    bundle, n_action = planner.bundle, planner.bundle.robot.action_dim
    errors = []
    for step, start in enumerate(starts):
        row, following = windows.rows[start:start + 2]
        condition = first_actions(row[None, :n_action], horizon=bundle.horizon,
                                  row_dim=bundle.row_dim)
        plan = planner.plan(row[n_action:], step=step, condition=condition)
        errors.append(entry_errors(plan.states[1], following[n_action:], bundle.robot,
                                   bundle.normalizer))
    return np.array(errors)


def summary(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return three percentiles of each of ``calibrate``'s measurements, for a report."""
    return {states: {'p50': measured['percentiles'][50], 'p99': measured['percentiles'][99],
                     'max': measured['percentiles'][100], 'n_windows': measured['n_windows']}
            for states, measured in facts['prediction_error'].items()}
