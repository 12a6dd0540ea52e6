# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Smoothness of torques: planned ones against those of inverse dynamics on the same states."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ...errors import ModelError
from ...planning.bundle import Bundle, FACTS_FILE
from ...planning.planner import Plan, Planner
from ...planning.planner_config import PlannerConfig
from ...robot import Robot
from ...sim.environment import Environment, make_environment
from ..closed_loop import episode_planner, EpisodeResult, run_episode, summarize, walk
from ..markdown import table
from ..progress import Progress, silent
from .learned_inverse import LearnedInverse

PLANNED = 'planned, executed'
INVERSE_SAME_PLANS = 'inverse dynamics, same plans'
INVERSE = 'inverse dynamics, executed'
RECORDED = 'recorded'
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class TorqueEpisode:
    """One seed, walked twice: with the torques of the plans, and with those between its states."""

    planned: EpisodeResult
    inverse: EpisodeResult
    torques: dict[str, NDArray]
    """[N m] of every control period, shape (n, A), by whose they are."""


def inverse_torque(plan: Plan, inverse: LearnedInverse) -> NDArray:
    """Return the torque [N m] that leads from a plan's first state to its second, shape (A,)."""
    return inverse.torques(plan.states[:1], plan.states[1:2])[0]


def walk_both(seed: int, *, planner: Planner, inverse: LearnedInverse) -> TorqueEpisode:
    """
    Walk with the first torque of every plan, and again with that of the inverse dynamics.

    :param seed: of the initial state of both.
    """
    same_plans: list[NDArray] = []

    def watch(robot: Environment, plan: Plan) -> None:
        del robot
        same_plans.append(inverse_torque(plan, inverse))

    robot = planner.bundle.robot
    result, trace = run_episode(seed, planner=planner, on_plan=watch)
    inverse_result, episode = walk(
        seed, make_environment(robot.name),
        lambda state, step: inverse_torque(planner.plan(state, step=step), inverse))
    return TorqueEpisode(result, inverse_result, {
        PLANNED: trace.episode.actions * robot.torque_limit,
        INVERSE_SAME_PLANS: np.stack(same_plans), INVERSE: episode.actions * robot.torque_limit})


def _in_worker(seed: int, path: Path, config: PlannerConfig, inverse: LearnedInverse
               ) -> TorqueEpisode:
    return walk_both(seed, planner=episode_planner(path, config, seed), inverse=inverse)


def measure_torques(bundle: Bundle, config: PlannerConfig, inverse: LearnedInverse,
                    seeds: Sequence[int], *, pool: ProcessPoolExecutor,
                    progress: Progress = silent) -> list[TorqueEpisode]:
    """Walk with both kinds of torques from the initial state of every seed."""
    found: list[TorqueEpisode] = []
    with progress('walking', len(seeds), unit='pairs of episodes') as advance:
        for one in pool.map(partial(_in_worker, path=bundle.path, config=config, inverse=inverse),
                            seeds):
            found.append(one)
            advance(1, planned=f'{one.planned.episode_return:.0f}',
                    inverse=f'{one.inverse.episode_return:.0f}')
    return found


def check_joint(bundle: Bundle) -> None:
    """
    Refuse a bundle whose torques and states are not planned together.

    :raises ModelError: naming what it plans.
    """
    if bundle.window != 'joint':
        raise ModelError(f"{bundle.path / FACTS_FILE}: window is '{bundle.window}', expected "
                         "'joint': only such a model plans torques and, beside them, states that "
                         'torques can be compared on')


def jumps(torques: NDArray) -> NDArray:
    """Return by how much the torque of every joint jumps between periods [N m], ((n - 1) A,)."""
    return np.abs(np.diff(torques, axis=0)).ravel()


def all_jumps(found: Sequence[TorqueEpisode], recorded: Sequence[Episode], robot: Robot
              ) -> dict[str, NDArray]:
    """Return the jumps [N m] of all episodes, by whose torques they are."""
    return {name: np.concatenate([jumps(one.torques[name]) for one in found])
            for name in (PLANNED, INVERSE_SAME_PLANS, INVERSE)} | {
        RECORDED: np.concatenate([jumps(e.actions * robot.torque_limit) for e in recorded])}


def torques_facts(found: Sequence[TorqueEpisode], by_name: Mapping[str, NDArray],
                  inverse: LearnedInverse) -> dict[str, Any]:
    """
    Return the figures.

    :param by_name: what ``all_jumps`` says.
    """
    robot = inverse.robot
    results = {PLANNED: [one.planned for one in found], INVERSE: [one.inverse for one in found]}
    differences = np.concatenate([one.torques[PLANNED] - one.torques[INVERSE_SAME_PLANS]
                                  for one in found])
    return {
        'inverse_dynamics_held_out_error_nm': inverse.held_out_error,
        'difference_same_plans_nm': float(np.sqrt(np.mean(np.square(differences)))),
        'jumps_nm': {name: {f'p{p}': float(np.percentile(values, p)) for p in PERCENTILES}
                     for name, values in by_name.items()},
        'episodes': {name: summarize(walked, robot.name) for name, walked in results.items()}}


def torques_table(facts: Mapping[str, Any]) -> str:
    """Write what ``torques_facts`` says as a table in Markdown."""
    def cells(name: str) -> list[str]:
        if name not in facts['episodes']:
            return ['', '']
        summary = facts['episodes'][name]
        stderr = summary['return_stderr']
        return [f'{summary["return_mean"]:,.0f}' + ('' if stderr is None else f' +- {stderr:.0f}'),
                f'{summary["falls"]} of {summary["episodes"]}']
    return table(
        ('torques', *(f'jump, {p} % [N m]' for p in PERCENTILES), 'return', 'falls'),
        [(name, *(f'{values[f"p{p}"]:.1f}' for p in PERCENTILES), *cells(name))
         for name, values in facts['jumps_nm'].items()]) + (
        '\n\nInverse dynamics and recorded torques, episodes that were held out: '
        f'{facts["inverse_dynamics_held_out_error_nm"]:.1f} N m; and planned torques, same plans: '
        f'{facts["difference_same_plans_nm"]:.1f} N m (root mean squares)')
