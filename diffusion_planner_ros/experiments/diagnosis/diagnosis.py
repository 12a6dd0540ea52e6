# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A diagnosis of a bundle: measures, pictures and a video of what its plans come to."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ...planning.bundle import Bundle
from ...planning.planner import Planner
from ...planning.planner_config import PlannerConfig
from ...sim.environment import make_environment
from ...sim.perturbation import Perturbation, UNPERTURBED
from ..closed_loop import episode_rows, noise_seed, summarize
from ..misalignment import (
    Branch,
    compare_states,
    entry_name,
    forecast_error_of,
    Misalignment,
    misalignment_of,
    watch_episodes,
)
from ..progress import Progress, silent
from .imagination import execute_whole_plans, imagine, positions_of
from .out_of_distribution import (
    area_under_curve,
    BEFORE_FALL,
    by_time_before_fall,
    nearest_distance,
    RecordedStates,
    score_episode,
    Scores,
)
from .recorded_windows import draw_windows, plan_from, replay

N_RECORDED_PLANS = 200
FALLS_WITHIN = 0.5  # [s]
MOTION_SECONDS = 4.0  # [s] of imagined motion
PLANS_VISITED, PLANS_RECORDED = 'plans, visited states', 'plans, recorded states'
MODEL_RECORDED = 'dynamics model, recorded states'


@dataclass(frozen=True)
class Example:
    """A plan of median misalignment, and what happened from the same state otherwise."""

    name: str
    branch: Branch
    real: NDArray
    """Rows ``[a | s]`` [N m, SI] that no plan of this model made alone, at most (H, D)."""


@dataclass(frozen=True)
class ScoreFigures:
    """What the scores of states and plans are, by name."""

    scores: list[Scores]
    """Of every episode."""
    distances: dict[str, NDArray]
    """To the data [standard deviations], by whose they are; empty without data."""
    surprises: dict[str, NDArray]
    """[standard deviations], by whose they are."""
    areas: dict[str, float]
    """AUC of a score that is to tell of a fall within ``FALLS_WITHIN``; NaN without falls."""


class Diagnosis:
    """
    All measures of one bundle, from episodes that were watched and from recorded states.

    :param bundle: loaded as ``config`` says.
    :param config: how to plan.
    :param seeds: of the episodes; the first one decides what is imagined and drawn, too.
    :param recorded: episodes of the data; none leaves out what needs them.
    :param perturbation: what is different about the robot.
    :param pool: worker processes.
    :param progress: is told of every episode.
    :raises DatasetError: before anything runs, if recorded episodes have no window of the horizon.
    """

    def __init__(self, bundle: Bundle, config: PlannerConfig, seeds: Sequence[int],
                 recorded: Sequence[Episode], perturbation: Perturbation, *,
                 pool: ProcessPoolExecutor, progress: Progress = silent) -> None:
        self.bundle = bundle
        self.perturbation = perturbation
        self.seed = seeds[0]
        planner = Planner(bundle, replace(config, seed=noise_seed(config, self.seed)))
        rng = np.random.default_rng(self.seed)
        windows = draw_windows(recorded, bundle.robot, bundle.horizon, rng=rng,
                               n_windows=N_RECORDED_PLANS) if recorded else None
        self._watched = []
        with progress('walking', len(seeds), unit='episodes') as advance:
            for one in watch_episodes(bundle.path, config, seeds, pool=pool,
                                      perturbation=perturbation):
                self._watched.append(one)
                advance(1, ret=f'{one.result.episode_return:.0f}')
        self.measured = self._compare(
            'visited', [b for w in self._watched for b in w.branches.values()])
        self.examples = [self._visited_example()]
        if windows is not None:
            self._measure_recorded(planner, windows)
        self.scores = self._score(recorded, rng)
        self.imagined, self.executed = self._imagine(planner)

    @property
    def model(self) -> str:
        """Name of the bundle and of what is different about the robot, for titles."""
        changes = [f'{name} {value:g}' for name, value in asdict(self.perturbation).items()
                   if value != getattr(UNPERTURBED, name)]
        return ('/'.join(self.bundle.path.parts[-2:])
                + (f' ({", ".join(changes)})' if changes else ''))

    @property
    def worst(self) -> tuple[int, Episode]:
        """Seed and episode of the lowest return, with its plans."""
        found = min(self._watched, key=lambda one: one.result.episode_return)
        return found.result.seed, replace(
            found.episode, plans=found.plans[..., self.bundle.robot.action_dim:])

    def report(self) -> dict[str, Any]:
        """Return all figures; one that there is not is None."""
        robot = self.bundle.robot
        results = summarize([w.result for w in self._watched], robot.name)
        has_fallen = len(self.executed) < len(self.imagined)
        return {
            **{k: results[k] for k in
               ('episodes', 'seeds', 'return_mean', 'return_stderr', 'falls')},
            'misalignment': {name: _figures(m) for name, m in self.measured.items()},
            'misalignment_per_entry': {
                entry_name(entry): float(x) for entry, x in
                zip(robot.state, self.measured[PLANS_VISITED].per_entry, strict=True)},
            **_score_figures(self.scores),
            'imagination': {
                'seed': self.seed,
                'fell_after_s': ((len(self.executed) - 1) * robot.control_period if has_fallen
                                 else None),
                'imagined_m': float(self.imagined[-1, 0] - self.imagined[0, 0]),
                'executed_m': float(self.executed[-1, 0] - self.executed[0, 0])},
            'course': {'episodes': episode_rows([w.result for w in self._watched])}}

    def _compare(self, states: str, branches: Sequence[Branch]) -> dict[str, Misalignment]:
        """Compare with what was executed: plans and, where there is one, the dynamics model."""
        measured = {f'plans, {states} states': misalignment_of(branches, self.bundle)}
        if self.bundle.has_dynamics:
            measured[f'dynamics model, {states} states'] = forecast_error_of(
                branches, self.bundle)
        return measured

    def _visited_example(self) -> Example:
        places = [(w, step) for w in self._watched for step in w.branches]
        found, step = places[_middle(self.measured[PLANS_VISITED].per_plan)]
        robot = self.bundle.robot
        rows = slice(step, step + self.bundle.horizon)
        actions = found.episode.actions[rows] * robot.torque_limit
        states = found.episode.observations[rows][:len(actions)]
        return Example(f'seed {found.result.seed}, {step * robot.control_period:.2f} s',
                       found.branches[step], np.concatenate([actions, states], axis=1))

    def _measure_recorded(self, planner: Planner, windows: NDArray) -> None:
        bundle = self.bundle
        branches = plan_from(windows, planner, perturbation=self.perturbation)
        self.measured |= self._compare('recorded', branches)
        self.measured['recorded actions, recorded states'] = compare_states(
            replay(windows, bundle.robot, perturbation=self.perturbation),
            windows[:, 1:, bundle.robot.action_dim:], bundle)
        typical = _middle(self.measured[PLANS_RECORDED].per_plan)
        self.examples.append(Example('from a recorded state', branches[typical], windows[typical]))

    def _score(self, recorded: Sequence[Episode], rng: np.random.Generator) -> ScoreFigures:
        bundle = self.bundle
        drawn = RecordedStates.draw(recorded, bundle, rng) if recorded else None
        scores = [score_episode(w, bundle, drawn) for w in self._watched]
        whole = {name: np.concatenate([s.by_name[name] for s in scores])
                 for name in scores[0].by_name}
        falls_soon = np.concatenate([s.time_to_fall for s in scores]) <= FALLS_WITHIN
        areas = {name: area_under_curve(score, falls_soon) for name, score in whole.items()}
        distances, surprises = {}, {'visited': whole['surprise']}
        if drawn is not None:
            distances = {'recorded': nearest_distance(drawn.held_out, drawn.reference),
                         'visited': whole['state_distance'], 'planned': whole['plan_distance']}
        if 'denoised' in bundle.calibrations:
            surprises = {'recorded': bundle.calibrations['denoised'].errors, **surprises}
        return ScoreFigures(scores, distances, surprises, areas)

    def _imagine(self, planner: Planner) -> tuple[NDArray, NDArray]:
        """Return joint positions of planned states, and of planned actions executed."""
        bundle, robot = self.bundle, self.bundle.robot
        environment = make_environment(robot.name)
        n_plans = round(MOTION_SECONDS / robot.control_period / (bundle.horizon - 1))
        states = imagine(planner, environment.reset(self.seed), n_plans)
        return (positions_of(states, robot, environment.joint_names),
                execute_whole_plans(planner, self.seed, n_plans, perturbation=self.perturbation))


def _figures(measured: Misalignment) -> dict[str, Any]:
    return {'plans': len(measured.planned), 'mean': measured.mean,
            'stderr': _number(measured.stderr),
            'per_step': [_number(x) for x in measured.per_step]}


def _score_figures(found: ScoreFigures) -> dict[str, Any]:
    edges = (*BEFORE_FALL[::-1], 0.0)
    intervals = ['earlier_or_no_fall', *(f'{a:g}_to_{b:g}_s' for a, b in pairwise(edges))]
    return {
        'distance_to_data': {name: _percentiles(x) for name, x in found.distances.items()},
        'surprise': {name: _percentiles(x) for name, x in found.surprises.items()},
        'median_score_before_falls': {
            name: {k: _number(np.nanmedian(g)) if len(g) else None
                   for k, g in zip(intervals, parts, strict=True)}
            for name, parts in by_time_before_fall(found.scores).items()},
        f'auc_falls_within_{FALLS_WITHIN}_s': {k: _number(x) for k, x in found.areas.items()}}


def _number(value: float) -> float | None:
    """Return what JSON can hold: it has no NaN."""
    return float(value) if value == value else None


def _middle(values: NDArray) -> int:
    """Return the index of the median."""
    return int(np.argsort(values)[len(values) // 2])


def _percentiles(values: NDArray) -> dict[str, float]:
    return {f'p{p}': float(np.nanpercentile(values, p)) for p in (50, 90, 99)}
