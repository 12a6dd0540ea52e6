# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Closed-loop evaluation: episodes of a planner on its simulated robot."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
import multiprocessing
import os
from pathlib import Path
import signal
import threading
import time
from types import TracebackType
from typing import Any

import numpy as np

from ..episode import Episode
from ..errors import RobotError
from ..goals.obstacle import Obstacle
from ..planning.bundle import Bundle, facts_file
from ..planning.navigation.navigator import Navigator
from ..planning.planner import Plan, Planner
from ..planning.planner_config import PlannerConfig
from ..robots.task import Task
from ..sim.environment import Environment, make_environment
from ..sim.perturbation import UNPERTURBED
from ..sim.perturbation_ranges import Robots
from ..sim.rollout import Controller, rollout
from .execution import Execution, REPLANNED
from .plan_controller import PlanController
from .progress import Progress, silent
from .standard_error import standard_error

N_BINS = 40  # of a histogram of latencies
FLUSH_TIME = 1.0  # [s] for a pool to drop what waits


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
    Refuse a bundle that was not trained for the simulation of its robot.

    :raises RobotError: naming what differs, or that there is no such robot.
    """
    robot = bundle.robot
    simulated = make_environment(robot.name).robot
    joints, expected = ([entry.joint for entry in r.action] for r in (robot, simulated))
    if joints != expected:
        raise RobotError(f'{bundle.path}: commands the joints {", ".join(joints)}, expected '
                         f'{", ".join(expected)} for {robot.name}')
    if robot.control_period != simulated.control_period:
        raise RobotError(f'{bundle.path}: control period is {robot.control_period} s, '
                         f'expected {simulated.control_period} s for {robot.name}')
    if robot.goal != simulated.goal:
        raise RobotError(f'{bundle.path}: the section goal of its robot is not that of '
                         f'{robot.name} here, expected the same: train with the layout as it is')
    measured, expected = ([f'{e.joint} {e.quantity}' for e in r.state] for r in (robot, simulated))
    if measured != expected:
        raise RobotError(f'{bundle.path}: the state is {", ".join(measured)}, expected '
                         f'{", ".join(expected)} for {robot.name}')


@dataclass(frozen=True)
class Trace:
    """What was measured in one episode."""

    seconds: list[float]
    """Time that every plan took [s]."""
    torque_steps: list[float]
    """Jump of the torque from the plan before [N m]; the first plan has none."""
    episode: Episode
    """What was executed, as it is recorded in data sets."""


def walk(seed: int, environment: Environment, controller: Controller
         ) -> tuple[EpisodeResult, Episode]:
    """
    Run an episode until the robot falls or time is over.

    :param seed: of the initial state, and of whatever is random about the robot.
    :return: what it came to, and what was executed, as it is recorded in data sets.
    """
    environment.reset(seed)
    start = environment.position
    episode = rollout(environment, controller)
    # Summed up in order, as the bridge does: to the last bit.
    result = EpisodeResult(seed, sum(episode.rewards.tolist()), len(episode), episode.terminated,
                           environment.position - start)
    return result, episode


def run_episode(seed: int, *, planner: Planner, execution: Execution = REPLANNED,
                perturbation: Robots = UNPERTURBED, obstacles: Sequence[Obstacle] = (),
                on_plan: Callable[[Environment, Plan], None] | None = None
                ) -> tuple[EpisodeResult, Trace]:
    """
    Plan and execute until the robot falls or time is over.

    A robot that is sent to goals is led to that of its episode.

    :param seed: of the initial state, and of whatever is random in ``perturbation``.
    :param execution: how plans are executed.
    :param perturbation: what is different about the robot; ranges are drawn from by the seed.
    :param obstacles: that are in its way; the planner does not know of them by itself.
    :param on_plan: sees the robot as it is when each plan is made, and the plan.
    :raises ConfigError: if a plan does not outlast its execution.
    :raises RobotError: if there is no robot of the name that the planner's has.
    """
    robot = make_environment(planner.bundle.robot.name, perturbation.draw(seed), obstacles)
    navigator = None
    if robot.task.reaching:
        navigator = Navigator(planner.bundle.robot, horizon=planner.bundle.horizon)
        robot.reset(seed)  # the goal of the seed
        if robot.goal is not None:
            navigator.go([robot.goal])
    controller = PlanController(planner, execution, seed=seed, navigator=navigator,
                                on_plan=None if on_plan is None else partial(on_plan, robot))
    result, episode = walk(seed, robot, controller)
    return result, Trace(controller.seconds, controller.torque_steps, episode)


def noise_seed(config: PlannerConfig, seed: int) -> int:
    """
    Return the planner's seed for an episode.

    Every episode has a noise of its own: with a shared one a lucky draw would repeat in all.

    :param seed: of the episode's initial state.
    """
    return config.seed + seed


@lru_cache(maxsize=4)
def _load(path: Path, version: tuple[int, int], provider: str, n_threads: int) -> Bundle:
    del version
    return Bundle.load(path, provider=provider, n_threads=n_threads)


def episode_planner(path: Path, config: PlannerConfig, seed: int) -> Planner:
    """
    Return the planner of an episode.

    A process loads a bundle once, until its facts are written anew, as they are after the rest.

    :param path: folder of the bundle.
    :param seed: of the episode's initial state.
    """
    written = facts_file(path).stat()
    bundle = _load(path, (written.st_ino, written.st_mtime_ns), config.provider, config.n_threads)
    return Planner(bundle, replace(config, seed=noise_seed(config, seed)))


def _run_in_worker(seed: int, path: Path, config: PlannerConfig, execution: Execution,
                   perturbation: Robots) -> tuple[EpisodeResult, Trace]:
    return run_episode(seed, planner=episode_planner(path, config, seed), execution=execution,
                       perturbation=perturbation)


def open_pool(n_processes: int) -> ProcessPoolExecutor:
    """Start worker processes for ``run_episodes``; they end with this one, however it ends."""
    # onnxruntime does not survive a fork.
    return _Workers(n_processes, mp_context=multiprocessing.get_context('spawn'),
                    initializer=_end_with_parent)


class _Workers(ProcessPoolExecutor):
    """Workers that end at once when whoever uses them was interrupted."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> bool | None:
        if kind is not None and not issubclass(kind, Exception):
            # Its thread cannot stand cancelled items when workers end, nor a call while it ends.
            items = self._pending_work_items
            # It is a thread, of which the hints of Python know nothing.
            manager: threading.Thread | None = (
                self._executor_manager_thread)  # type: ignore[assignment]
            self.shutdown(wait=False, cancel_futures=True)
            deadline = time.monotonic() + FLUSH_TIME
            while (any(item.future.cancelled() for item in list(items.values()))
                   and time.monotonic() < deadline):
                time.sleep(0.01)
            end_workers()
            if manager is not None:
                manager.join()
        return super().__exit__(kind, error, where)


def end_workers() -> None:
    """End all workers of this process, whatever they do: they would finish what waits for them."""
    for process in multiprocessing.active_children():
        process.terminate()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, which a worker cannot tell itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: our parent decides
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_episodes(path: Path, config: PlannerConfig, seeds: Sequence[int], *,
                 pool: ProcessPoolExecutor, execution: Execution = REPLANNED,
                 perturbation: Robots = UNPERTURBED) -> Iterator[tuple[EpisodeResult,
                                                                       Trace]]:
    """
    Run one episode for every seed, as many at a time as ``pool`` has processes, in order.

    Processes, not one large batch: a batch of another size rounds differently, and the same seed
    would no longer give the same episode as on the robot.
    """
    return pool.map(partial(_run_in_worker, path=path, config=config, execution=execution,
                            perturbation=perturbation), seeds)


def episode_rows(results: Sequence[EpisodeResult], **columns: Sequence[Any]
                 ) -> list[dict[str, Any]]:
    """
    Return what every episode came to, by name, for the table of a report.

    :param columns: what else is known of every episode, by name.
    """
    return [{'seed': r.seed, 'return': r.episode_return, 'steps': r.steps,
             'distance_m': r.distance, 'fell': r.fell,
             **{name: values[i] for name, values in columns.items()}}
            for i, r in enumerate(results)]


def summarize(results: Sequence[EpisodeResult], robot: str) -> dict[str, Any]:
    """
    Mean and standard error of the return, its normalised score, falls and distance.

    :param robot: name of the robot; without returns to compare with the score is None.
    """
    returns = np.array([r.episode_return for r in results])
    mean, n_falls = float(returns.mean()), sum(r.fell for r in results)
    return {
        'episodes': len(results),
        'seeds': [r.seed for r in results],
        'return_mean': mean,
        'return_stderr': standard_error(returns),
        'normalized_score': Task.load(robot).normalized_score(mean),
        'falls': n_falls,
        'fall_rate': n_falls / len(results),
        'distance_mean_m': float(np.mean([r.distance for r in results])),
        'returns': returns.tolist(),
    }


def evaluate_in_process(bundle: Bundle, config: PlannerConfig, seeds: Sequence[int], *,
                        pool: ProcessPoolExecutor, execution: Execution = REPLANNED,
                        perturbation: Robots = UNPERTURBED, progress: Progress = silent
                        ) -> dict[str, Any]:
    """
    Run one episode for every seed; return what they came to and how long plans took.

    :param pool: worker processes.
    :param progress: is told of every episode.
    :raises ConfigError: before anything runs, if a plan does not outlast its execution.
    """
    execution.check_horizon(bundle.horizon)
    results, seconds, steps, latencies = [], [], [], []
    with progress('walking', len(seeds), unit='episodes') as advance:
        for result, trace in run_episodes(bundle.path, config, seeds, pool=pool,
                                          execution=execution, perturbation=perturbation):
            results.append(result)
            seconds += trace.seconds
            steps += trace.torque_steps
            latencies.append(np.percentile(trace.seconds, (50, 99)) * 1e3)
            advance(1, ret=f'{result.episode_return:.0f}')
    late = (f', {execution.delay} periods late, '
            f'{"compensated" if execution.compensate else "not compensated"}')
    return {'mode': 'in process' + (late if execution.delay else ''),
            'plan_p50_ms': float(np.percentile(seconds, 50)) * 1e3,
            'plan_p99_ms': float(np.percentile(seconds, 99)) * 1e3,
            'torque_step_p50_nm': float(np.percentile(steps, 50)),
            'torque_step_p99_nm': float(np.percentile(steps, 99)),
            **summarize(results, bundle.robot.name),
            'course': {'episodes': episode_rows(results, **{
                f'plan_{name}_ms': [float(latency[i]) for latency in latencies]
                for i, name in enumerate(('p50', 'p99'))}), 'plan_ms': _histogram(seconds)}}


def _histogram(seconds: Sequence[float]) -> dict[str, list[float]]:
    """Return how often plans took how long [ms]; the last bin holds all that is above it."""
    times = np.array(seconds) * 1e3
    longest = np.percentile(times, 99.5)
    counts, edges = np.histogram(np.minimum(times, longest), N_BINS, (times.min(), longest))
    return {'edges': edges.tolist(), 'counts': counts.tolist()}
