"""Closed-loop evaluation: episodes of a planner on Walker2D."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
import multiprocessing
from pathlib import Path
import time
from typing import Any

import numpy as np

from ..errors import ConfigError, RobotError
from ..planning.bundle import Bundle
from ..planning.config import PlannerConfig
from ..planning.joining import plan_joined, torque_step
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


@dataclass(frozen=True)
class Trace:
    """What was measured at every plan of one episode."""

    seconds: list[float] = field(default_factory=list)
    """Time that the plan took [s]."""
    torque_steps: list[float] = field(default_factory=list)
    """Jump of the torque from the plan before [N m]; the first plan has none."""


def check_delay(delay: int, horizon: int) -> None:
    """
    Refuse a delay that a plan does not outlast.

    :raises ConfigError: naming the delays that are possible.
    """
    if not 0 <= delay <= horizon - 2:
        raise ConfigError(f'delay is {delay}, expected 0 to {horizon - 2} [control periods], the '
                          f'horizon of {horizon} less two')


def run_episode(seed: int, *, planner: Planner, delay: int = 0, joined: bool = True
                ) -> tuple[EpisodeResult, Trace]:
    """
    Plan in every control period, and execute one action of every plan, until the robot falls.

    :param seed: of the initial state.
    :param delay: control periods between a state and the first action planned from it; until the
        first plan is ready the torque is zero.
    :param joined: whether a plan knows the actions until it is ready.
    :raises ConfigError: if the delay is negative or beyond the horizon.
    """
    check_delay(delay, planner.bundle.horizon)
    walker = Walker2D()
    state = walker.reset(seed)
    start = walker.position
    episode_return, trace = 0.0, Trace()
    waiting = deque(np.zeros((delay, planner.bundle.robot.action_dim)))
    fell, old = False, None
    while not fell and len(trace.seconds) < MAX_EPISODE_STEPS:
        before = time.perf_counter()
        step = len(trace.seconds)
        if joined and delay:
            plan = plan_joined(planner, state, np.stack(waiting), step=step)
        else:
            plan = planner.plan(state, step=step)
        trace.seconds.append(time.perf_counter() - before)
        if old is not None:
            trace.torque_steps.append(torque_step(plan, old, row=delay))
        old = plan
        waiting.append(plan.actions[delay])
        state, reward, fell = walker.step(waiting.popleft())
        episode_return += reward
    return EpisodeResult(seed, episode_return, len(trace.seconds), fell,
                         walker.position - start), trace


def noise_seed(config: PlannerConfig, seed: int) -> int:
    """
    Return the planner's seed for an episode.

    Every episode has a noise of its own: with a shared one a lucky draw would repeat in all.

    :param seed: of the episode's initial state.
    """
    return config.seed + seed


def _run_in_worker(seed: int, path: Path, config: PlannerConfig, delay: int, joined: bool
                   ) -> tuple[EpisodeResult, Trace]:
    bundle = Bundle.load(path, provider=config.provider, n_threads=config.n_threads)
    config = replace(config, seed=noise_seed(config, seed))
    return run_episode(seed, planner=Planner(bundle, config), delay=delay, joined=joined)


def run_episodes(path: Path, config: PlannerConfig, seeds: Sequence[int], *, n_processes: int,
                 delay: int = 0, joined: bool = True) -> Iterator[tuple[EpisodeResult, Trace]]:
    """
    Run one episode for every seed, ``n_processes`` at a time, and yield them in order.

    Processes, not one large batch: a batch of another size rounds differently, and the same seed
    would no longer give the same episode as on the robot.
    """
    run = partial(_run_in_worker, path=path, config=config, delay=delay, joined=joined)
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
