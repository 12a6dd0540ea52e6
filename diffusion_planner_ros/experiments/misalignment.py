# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Misalignment: how far the states that a plan promises are from those that its actions give."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from ..planning.bundle import Bundle
from ..planning.planner import Plan, Planner
from ..planning.planner_config import PlannerConfig
from ..robot import StateEntry
from ..sim.environment import Environment, make_environment
from ..sim.perturbation import UNPERTURBED
from ..sim.perturbation_ranges import Robots
from ..sim.rollout import rollout
from ..state_error import comparable
from .closed_loop import episode_planner, EpisodeResult, run_episode
from .standard_error import standard_error

EVERY = 50  # [control periods] between the plans that are executed open loop


def entry_name(entry: StateEntry) -> str:
    """Return the name of a state entry, as figures and reports have it."""
    return f'{entry.joint.removesuffix("_joint")} {entry.quantity}'


@dataclass(frozen=True)
class Misalignment:
    """
    Planned and executed states of n plans, as Hu (2024) compares them.

    Normalised by the data's mean and standard deviation; the state that a plan starts from is left
    out, both have it in common. What follows a fall is NaN and does not count.
    """

    planned: NDArray
    """Shape (n, H - 1, S)."""
    executed: NDArray
    """By the plan's actions, open loop, shape (n, H - 1, S)."""

    @property
    def per_plan(self) -> NDArray:
        """Root mean square over steps and entries [standard deviations], shape (n,)."""
        return self._root_mean_square(1, 2)

    @property
    def per_step(self) -> NDArray:
        """Root mean square over plans and entries [standard deviations], shape (H - 1,)."""
        return self._root_mean_square(0, 2)

    @property
    def per_entry(self) -> NDArray:
        """Root mean square over plans and steps [standard deviations], shape (S,)."""
        return self._root_mean_square(0, 1)

    @property
    def mean(self) -> float:
        """Mean over the plans [standard deviations]: the figure by which models are compared."""
        return float(self.per_plan.mean())

    @property
    def stderr(self) -> float:
        """Standard error of ``mean``; NaN for a single plan."""
        error = standard_error(self.per_plan)
        return float('nan') if error is None else error

    def _root_mean_square(self, *axes: int) -> NDArray:
        square = np.square(self.planned - self.executed)
        counted = ~np.isnan(square)
        # By hand: numpy's own warns of a step that no plan reaches.
        n = counted.sum(axis=axes)
        return np.sqrt(np.where(counted, square, 0.0).sum(axis=axes)
                       / np.where(n, n, np.nan))


@dataclass(frozen=True)
class Branch:
    """A plan, and what comes of its actions when nobody plans again."""

    plan: Plan
    executed: NDArray
    """Observations after the plan's first H - 1 actions, NaN after a fall, (H - 1, S)."""
    forecast: NDArray | None
    """The same by the bundle's dynamics model, if it has one."""


@dataclass(frozen=True)
class WatchedEpisode:
    """A closed-loop episode, all its plans, and some of them executed open loop."""

    result: EpisodeResult
    episode: Episode
    plans: NDArray
    """Chosen trajectory of every control period [N m, SI], rows ``[a | s]``, (n, H, D)."""
    branches: dict[int, Branch]
    """By the number of the control period in which the plan was made."""


def execute(environment: Environment, actions: NDArray) -> NDArray:
    """
    Execute torques open loop from where the robot is.

    :param actions: [N m], shape (n, A).
    :return: the state after each, NaN after a fall, shape (n, S).
    """
    episode = rollout(environment, lambda state, step: actions[step], n_steps=len(actions))
    states = np.full((len(actions), episode.observations.shape[1]), np.nan)
    states[:len(episode)] = episode.observations[1:]
    return states


def branch_from(environment: Environment, plan: Plan, bundle: Bundle) -> Branch:
    """Execute a plan open loop; the robot, which is in the plan's first state, moves."""
    actions = plan.actions[:-1]
    start = environment.state
    forecast = bundle.forecast(start, actions) if bundle.has_dynamics else None
    return Branch(plan, execute(environment, actions), forecast)


def watch_episode(seed: int, *, planner: Planner, perturbation: Robots = UNPERTURBED,
                  every: int = EVERY) -> WatchedEpisode:
    """
    Run an episode, planning in every control period, and branch off from it.

    The branches are executed by a second robot: the episode is the one that ``run_episode`` gives.

    :param every: control periods between branches; the first is at the start.
    """
    second = make_environment(planner.bundle.robot.name, perturbation.draw(seed))
    second.reset(seed)
    plans: list[NDArray] = []
    branches: dict[int, Branch] = {}

    def watch(first: Environment, plan: Plan) -> None:
        if len(plans) % every == 0:
            second.restore(first.snapshot())
            branches[len(plans)] = branch_from(second, plan, planner.bundle)
        plans.append(plan.candidates[plan.best])

    result, trace = run_episode(seed, planner=planner, perturbation=perturbation, on_plan=watch)
    return WatchedEpisode(result, trace.episode, np.stack(plans), branches)


def _watch_in_worker(seed: int, path: Path, config: PlannerConfig, perturbation: Robots
                     ) -> WatchedEpisode:
    return watch_episode(seed, planner=episode_planner(path, config, seed),
                         perturbation=perturbation)


def watch_episodes(path: Path, config: PlannerConfig, seeds: Sequence[int], *,
                   pool: ProcessPoolExecutor, perturbation: Robots = UNPERTURBED
                   ) -> Iterator[WatchedEpisode]:
    """Watch one episode for every seed, in order; see ``run_episodes``."""
    return pool.map(partial(_watch_in_worker, path=path, config=config,
                            perturbation=perturbation), seeds)


def misalignment_of(branches: Iterable[Branch], bundle: Bundle) -> Misalignment:
    """Compare what plans promise with what their actions give."""
    branches = list(branches)
    return compare_states(np.stack([b.plan.states[1:] for b in branches]),
                          np.stack([b.executed for b in branches]), bundle)


def forecast_error_of(branches: Iterable[Branch], bundle: Bundle) -> Misalignment:
    """Compare what the dynamics model makes of the plans' actions with what they give."""
    pairs = [(b.forecast, b.executed) for b in branches if b.forecast is not None]
    return compare_states(np.stack([forecast for forecast, _ in pairs]),
                          np.stack([executed for _, executed in pairs]), bundle)


def compare_states(planned: NDArray, executed: NDArray, bundle: Bundle) -> Misalignment:
    """
    Normalise two sets of states [SI], each (n, H - 1, S).

    Planned velocities are clipped as observed ones are: beyond it they cannot agree.
    """
    return Misalignment(comparable(planned, bundle.robot, bundle.normalizer),
                        comparable(executed, bundle.robot, bundle.normalizer))


def measure_misalignment(path: Path, config: PlannerConfig, seeds: Sequence[int], *,
                         pool: ProcessPoolExecutor,
                         perturbation: Robots = UNPERTURBED) -> Misalignment:
    """
    Measure the misalignment of plans in the states that closed-loop episodes visit.

    Every ``EVERY``-th plan is executed open loop on the side, in the very state of the simulator
    that it was made in.

    :param path: folder of the bundle.
    :param seeds: of the episodes.
    :param perturbation: what is different about the robot, in the episodes and on the side.
    """
    bundle = Bundle.load(path, provider=config.provider, n_threads=config.n_threads)
    watched = watch_episodes(path, config, seeds, pool=pool, perturbation=perturbation)
    return misalignment_of((b for w in watched for b in w.branches.values()), bundle)
