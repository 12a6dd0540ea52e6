# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner info``: what a model bundle is."""

from pathlib import Path
from typing import Any, TYPE_CHECKING

import tyro

from ..output import report

if TYPE_CHECKING:
    from ...planning.bundle import Bundle


def info(bundle: tyro.conf.Positional[Path | None] = None, json: bool = False) -> None:
    """
    Verify a model bundle and print what it is.

    :param bundle: folder of the model bundle; the shipped one by default.
    :param json: print the report as JSON.
    """
    from ...planning.bundle import Bundle, NETWORK_FILES
    from ...robots.robot_folder import DEFAULT_ROBOT
    from ...share import shipped_bundle

    path = bundle or shipped_bundle(DEFAULT_ROBOT)
    loaded = Bundle.load(path)
    facts, robot = loaded.facts, loaded.robot
    report({
        'bundle': str(path),
        'hash': loaded.hash,
        'format_version': facts['format_version'],
        'robot': robot.name,
        'control_period_s': robot.control_period,
        'horizon': loaded.horizon,
        'schedule': f'{loaded.schedule.name}, {loaded.schedule.n_steps} steps',
        'state': {f'{e.joint} {e.quantity}': f'[{e.unit}]'
                  + ('' if e.clip is None else f', clipped to +-{e.clip:g}') for e in robot.state},
        'action': {e.joint: f'torque, +-{e.limit:g} [N m]' for e in robot.action},
        'size_mb': {name: (path / name).stat().st_size / 1e6
                    for name in NETWORK_FILES if name in facts['sha256']},
        'training': facts['training'],
        'data': {f'{i}': data for i, data in enumerate(facts['data']['data'], start=1)},
        'alignment': facts['data'].get('alignment', 'none'),
        'best_policy_return': facts['data']['best_policy_return'],
        'prediction_error': _prediction_error(loaded),
        'score': _score(facts.get('score'), robot.name),
    }, as_json=json)


def _score(score: dict[str, Any] | None, robot: str) -> dict[str, Any] | str:
    from ...errors import RobotError
    from ...robots.task import Task

    if score is None:
        return 'not measured yet; see evaluate --write-score'
    try:
        known = Task.load(robot).reference_returns
    except RobotError:  # only its bundle is here
        known = None
    return score | ({} if known is None else {'note': known.note})


def _prediction_error(bundle: 'Bundle') -> dict[str, Any] | str:
    """Return three of the percentiles [standard deviations] instead of all."""
    if not bundle.calibrations:
        return 'not measured, the monitor is off; see calibrate'
    return {states: {'p50': float(c.errors[50]), 'p99': float(c.errors[99]),
                     'max': float(c.errors[100]), 'planner': dict(c.planner)}
            for states, c in bundle.calibrations.items()}
