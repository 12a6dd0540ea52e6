"""Closed-loop evaluation: episodes of a planner on Walker2D."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
import multiprocessing
from pathlib import Path
import time
from typing import Any

import numpy as np

from ..errors import RobotError
from ..planning.bundle import Bundle
from ..planning.config import PlannerConfig
from ..planning.planner import Planner
from .walker2d import MAX_EPISODE_STEPS, normalized_score, Walker2D


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


def run_episode(seed: int, *, planner: Planner) -> tuple[EpisodeResult, list[float]]:
    """
    Execute the first action of every plan until the robot falls or time is up.

    :param seed: of the initial state.
    :return: the result, and the time that every plan took [s].
    """
    walker = Walker2D()
    state = walker.reset(seed)
    start = walker.position
    episode_return, seconds = 0.0, []
    fell = False
    while not fell and len(seconds) < MAX_EPISODE_STEPS:
        before = time.perf_counter()
        plan = planner.plan(state, step=len(seconds))
        seconds.append(time.perf_counter() - before)
        state, reward, fell = walker.step(plan.actions[0])
        episode_return += reward
    return EpisodeResult(seed, episode_return, len(seconds), fell,
                         walker.position - start), seconds


def _run_in_worker(seed: int, path: Path, config: PlannerConfig
                   ) -> tuple[EpisodeResult, list[float]]:
    bundle = Bundle.load(path, provider=config.provider, n_threads=config.n_threads)
    return run_episode(seed, planner=Planner(bundle, config))


def run_episodes(path: Path, config: PlannerConfig, seeds: Sequence[int], *, n_processes: int
                 ) -> Iterator[tuple[EpisodeResult, list[float]]]:
    """
    Run one episode for every seed, ``n_processes`` at a time, and yield them in order.

    Processes, not one large batch: a batch of another size rounds differently, and the same seed
    would no longer give the same episode as on the robot.
    """
    run = partial(_run_in_worker, path=path, config=config)
    if n_processes == 1:
        yield from map(run, seeds)
        return
    spawn = multiprocessing.get_context('spawn')  # onnxruntime does not survive a fork
    with ProcessPoolExecutor(n_processes, mp_context=spawn) as pool:
        yield from pool.map(run, seeds)


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
