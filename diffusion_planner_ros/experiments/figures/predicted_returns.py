# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Over-estimation: the return that plans predict against the one that is then achieved."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...episode import return_to_go
from ...errors import ModelError
from ...planning.bundle import Bundle, FACTS_FILE
from ...planning.planner import Plan, Planner
from ...planning.planner_config import PlannerConfig
from ...sim.environment import Environment
from ...sim.perturbation import UNPERTURBED
from ...sim.perturbation_ranges import DRAWN, Robots
from ..closed_loop import episode_planner, EpisodeResult, run_episode
from ..markdown import table
from ..progress import Progress, silent
from ..standard_error import standard_error

EVERY = 10  # [control periods] between the plans that are compared
# Of a discounted return, the share that may lie beyond the end of an episode: what would have
# followed there is not known but estimated, see ``return_to_go``.
MAX_UNKNOWN_SHARE = 0.01
ROBOTS: dict[str, Robots] = {'undisturbed': UNPERTURBED, 'drawn anew in every episode': DRAWN}


@dataclass(frozen=True)
class PredictedReturns:
    """Plans of one closed-loop episode, n of them, and the discounted returns that followed."""

    result: EpisodeResult
    predicted: NDArray
    """By the value of the chosen candidate, shape (n,)."""
    candidates: NDArray
    """Mean over the values of all candidates, shape (n,)."""
    achieved: NDArray
    """Discounted return from the state that the plan starts from, shape (n,)."""

    @property
    def error(self) -> NDArray:
        """Predicted less achieved, shape (n,): above 0 where the return was over-estimated."""
        return self.predicted - self.achieved


def predict_returns(seed: int, *, planner: Planner, robots: Robots = UNPERTURBED
                    ) -> PredictedReturns:
    """
    Run an episode and compare every ``EVERY``-th plan with the return that followed.

    Discount and cost of a fall are those of the training. Plans whose return is cut by the end of
    the episode, by more than ``MAX_UNKNOWN_SHARE``, do not count; a fall cuts nothing.

    :param seed: of the episode, see ``run_episode``.
    :raises ModelError: if the bundle does not say how it was trained.
    """
    bundle = planner.bundle
    training = bundle.facts.get('training', {})
    try:
        discount, fall_penalty = (float(training[n]) for n in ('discount', 'fall_penalty'))
    except KeyError as error:
        raise ModelError(f'{bundle.path / FACTS_FILE}: training has no {error}, expected what the '
                         'value was trained with; export the model again') from error
    chosen: list[float] = []
    means: list[float] = []

    def watch(robot: Environment, plan: Plan) -> None:
        del robot
        chosen.append(plan.value)
        means.append(float(plan.values.mean()))

    result, trace = run_episode(seed, planner=planner, perturbation=robots, on_plan=watch)
    achieved = return_to_go(trace.episode, discount=discount, fall_penalty=fall_penalty)
    steps_left = np.arange(len(achieved), 0, -1)
    is_known = result.fell | (discount ** steps_left <= MAX_UNKNOWN_SHARE)
    kept = [k for k in range(0, len(achieved), EVERY) if is_known[k]]
    return PredictedReturns(result, np.array(chosen)[kept], np.array(means)[kept], achieved[kept])


def _in_worker(seed: int, path: Path, config: PlannerConfig, robots: Robots) -> PredictedReturns:
    return predict_returns(seed, planner=episode_planner(path, config, seed), robots=robots)


def measure_returns(bundle: Bundle, config: PlannerConfig, seeds: Sequence[int], *,
                    pool: ProcessPoolExecutor, progress: Progress = silent
                    ) -> dict[str, list[PredictedReturns]]:
    """
    Run one episode for every seed on the robot as it is, and one on a robot that is drawn.

    :param seeds: of the episodes.
    :return: an entry for every episode, by the name of the robots.
    :raises ModelError: if no return is known, as the discount asks for more than an episode.
    """
    found: dict[str, list[PredictedReturns]] = {name: [] for name in ROBOTS}
    with progress('walking', len(ROBOTS) * len(seeds), unit='episodes') as advance:
        for name, robots in ROBOTS.items():
            for one in pool.map(partial(_in_worker, path=bundle.path, config=config,
                                        robots=robots), seeds):
                found[name].append(one)
                advance(1, ret=f'{one.result.episode_return:.0f}')
    for name, episodes in found.items():
        if not any(len(e.predicted) for e in episodes):
            raise ModelError(
                f'{bundle.path / FACTS_FILE}: discount is {bundle.facts["training"]["discount"]}: '
                f'of {len(episodes)} episodes, robots {name}, none is long enough that '
                f'{1 - MAX_UNKNOWN_SHARE:.0%} of a return lie within it; expected longer '
                'episodes, or a model trained with a smaller discount')
    return found


def returns_facts(found: Mapping[str, Sequence[PredictedReturns]]) -> dict[str, Any]:
    """Return the figures of all robots by their name; standard errors are over episodes."""
    facts = {}
    for name, episodes in found.items():
        counted = [e for e in episodes if len(e.predicted)]
        predicted, candidates, achieved, error = (
            np.concatenate([getattr(e, x) for e in counted])
            for x in ('predicted', 'candidates', 'achieved', 'error'))
        facts[name] = {
            'episodes': len(episodes), 'falls': sum(e.result.fell for e in episodes),
            'plans': len(predicted),
            'predicted_mean': float(predicted.mean()), 'achieved_mean': float(achieved.mean()),
            'overestimation': float(error.mean()),
            'overestimation_stderr': standard_error([e.error.mean() for e in counted]),
            'error_p5': float(np.percentile(error, 5)),
            'error_p95': float(np.percentile(error, 95)),
            'chosen_above_mean_candidate': float((predicted - candidates).mean())}
    return facts


def returns_table(facts: Mapping[str, Any]) -> str:
    """Write what ``returns_facts`` says as a table in Markdown."""
    return table(
        ('robots', 'episodes (falls)', 'plans', 'predicted', 'achieved', 'predicted - achieved',
         '5 % to 95 %', 'chosen candidate above the mean one'),
        [(name, f'{f["episodes"]} ({f["falls"]})', f['plans'], f'{f["predicted_mean"]:.0f}',
          f'{f["achieved_mean"]:.0f}', _with_error(f),
          f'{f["error_p5"]:+.0f} to {f["error_p95"]:+.0f}',
          f'{f["chosen_above_mean_candidate"]:.1f}') for name, f in facts.items()])


def _with_error(facts: Mapping[str, Any]) -> str:
    stderr = facts['overestimation_stderr']
    return f'{facts["overestimation"]:+.1f}' + (f' +- {stderr:.1f}' if stderr is not None else '')
