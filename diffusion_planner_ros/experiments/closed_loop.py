"""Closed-loop evaluation: episodes of a planner on Walker2D."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
import multiprocessing
from pathlib import Path
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from ..errors import RobotError
from ..planning.bundle import Bundle
from ..planning.delay_compensation import plan_compensated, torque_step
from ..planning.planner import Plan, Planner
from ..planning.planner_config import PlannerConfig
from ..sim.perturbation import Perturbation, UNPERTURBED
from ..sim.walker2d import MAX_EPISODE_STEPS, normalized_score, Walker2D
from .execution import Execution, REPLANNED

EXPLORATION_STREAM = 1  # of random numbers, apart from that of the initial state


@dataclass(frozen=True)
class EpisodeResult:
    """What one episode came to."""

    seed: int
    episode_return: float
    steps: int
    fell: bool
    distance: float
    """Forward distance [m]."""


def check_robot(bundle: Bundle) -> None:
    """
    Refuse a bundle that was not trained for this simulation.

    :raises RobotError: naming what differs.
    """
    walker = Walker2D()
    joints = [entry.joint for entry in bundle.robot.action]
    if joints != walker.actuated_joints:
        raise RobotError(f'{bundle.path}: commands the joints {", ".join(joints)}, expected '
                         f'{", ".join(walker.actuated_joints)} for Walker2D')
    if bundle.robot.control_period != walker.control_period:
        raise RobotError(f'{bundle.path}: control period is {bundle.robot.control_period} s, '
                         f'expected {walker.control_period} s for Walker2D')


@dataclass(frozen=True)
class Trace:
    """What was measured in one episode."""

    seconds: list[float]
    """Time that every plan took [s]."""
    torque_steps: list[float]
    """Jump of the torque from the plan before [N m]; the first plan has none."""
    episode: Episode
    """What was executed, as it is recorded in data sets."""


def run_episode(seed: int, *, planner: Planner, execution: Execution = REPLANNED,
                perturbation: Perturbation = UNPERTURBED, on_plan: Callable[[Walker2D, Plan],
                                                                            None] | None = None
                ) -> tuple[EpisodeResult, Trace]:
    """
    Plan and execute until the robot falls or time is over.

    :param seed: of the initial state, and of whatever is random in ``perturbation``.
    :param execution: how plans are executed.
    :param perturbation: what is different about the robot.
    :param on_plan: sees the robot as it is when each plan is made, and the plan.
    :raises ConfigError: if a plan does not outlast its execution.
    """
    horizon, delay, n_execute = planner.bundle.horizon, execution.delay, execution.n_execute
    execution.check_horizon(horizon)
    walker = Walker2D(perturbation)
    states = [walker.reset(seed)]
    start = walker.position
    seconds: list[float] = []
    torque_steps: list[float] = []
    actions: list[NDArray] = []
    rewards: list[float] = []
    waiting = deque(np.zeros((delay, planner.bundle.robot.action_dim)))
    rng = np.random.default_rng((seed, EXPLORATION_STREAM))
    fell, old = False, None
    while not fell and len(rewards) < MAX_EPISODE_STEPS:
        if len(waiting) == delay:
            before = time.perf_counter()
            if execution.join and delay:
                plan = plan_compensated(planner, states[-1], np.stack(waiting), step=len(rewards))
            else:
                plan = planner.plan(states[-1], step=len(rewards))
            seconds.append(time.perf_counter() - before)
            if on_plan is not None:
                on_plan(walker, plan)
            if old is not None and delay + n_execute < horizon:
                torque_steps.append(torque_step(plan, old, row=delay, lag=n_execute))
            old = plan
            waiting.extend(plan.actions[delay:delay + n_execute])
        torque = waiting.popleft()
        if execution.exploration:
            noise = execution.exploration * rng.standard_normal(len(torque))
            torque = np.clip(torque + noise * walker.gear, -walker.gear, walker.gear)
        state, reward, fell = walker.step(torque)
        states.append(state)
        actions.append(torque / walker.gear)
        rewards.append(reward)
    episode = Episode(np.array(states), np.array(actions), np.array(rewards), fell)
    # Summed up in order, as the bridge does: to the last bit.
    result = EpisodeResult(seed, sum(rewards), len(rewards), fell,
                           walker.position - start)
    return result, Trace(seconds, torque_steps, episode)


def noise_seed(config: PlannerConfig, seed: int) -> int:
    """
    Return the planner's seed for an episode.

    Every episode has a noise of its own: with a shared one a lucky draw would repeat in all.

    :param seed: of the episode's initial state.
    """
    return config.seed + seed


def _run_in_worker(seed: int, path: Path, config: PlannerConfig, execution: Execution,
                   perturbation: Perturbation) -> tuple[EpisodeResult, Trace]:
    bundle = Bundle.load(path, provider=config.provider, n_threads=config.n_threads)
    config = replace(config, seed=noise_seed(config, seed))
    return run_episode(seed, planner=Planner(bundle, config), execution=execution,
                       perturbation=perturbation)


def open_pool(n_processes: int) -> ProcessPoolExecutor:
    """Start worker processes for ``run_episodes``."""
    # onnxruntime does not survive a fork.
    return ProcessPoolExecutor(n_processes, mp_context=multiprocessing.get_context('spawn'))


def run_episodes(path: Path, config: PlannerConfig, seeds: Sequence[int], *,
                 pool: ProcessPoolExecutor, execution: Execution = REPLANNED,
                 perturbation: Perturbation = UNPERTURBED) -> Iterator[tuple[EpisodeResult,
                                                                             Trace]]:
    """
    Run one episode for every seed, as many at a time as ``pool`` has processes, in order.

    Processes, not one large batch: a batch of another size rounds differently, and the same seed
    would no longer give the same episode as on the robot.
    """
    return pool.map(partial(_run_in_worker, path=path, config=config, execution=execution,
                            perturbation=perturbation), seeds)


def summarize(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """Mean and standard error of the return, its normalised score, falls and distance."""
    returns = np.array([r.episode_return for r in results])
    n = len(results)
    return {
        'episodes': n,
        'seeds': [r.seed for r in results],
        'return_mean': float(returns.mean()),
        'return_stderr': float(returns.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
        'normalized_score': normalized_score(float(returns.mean())),
        'falls': sum(r.fell for r in results),
        'fall_rate': sum(r.fell for r in results) / n,
        'distance_mean_m': float(np.mean([r.distance for r in results])),
        'returns': returns.tolist(),
    }
