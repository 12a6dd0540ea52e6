"""Trips: a robot is sent from random starts to random goals, in closed loop."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RobotError
from ...goals.goal_space import GoalSpace
from ...planning.bundle import Bundle
from ...planning.planner import Plan
from ...planning.planner_config import PlannerConfig
from ...sim.environment import Environment
from ..closed_loop import episode_planner, run_episode
from ..progress import Progress, silent
from ..standard_error import standard_error


@dataclass(frozen=True)
class Trip:
    """What one episode of a robot that is sent to a goal came to."""

    seed: int
    """Of start and goal."""
    goal: NDArray
    """[m], shape (2,)."""
    path: NDArray
    """Where the robot was before every control period and at the end [m], shape (n + 1, 2)."""
    first_plans: NDArray
    """Where the candidates of the first plan lead [m], the chosen one first, shape (N, H, 2)."""
    plan_seconds: Sequence[float]
    """Time that every plan took [s]."""

    @property
    def distances(self) -> NDArray:
        """Distance from the goal before every control period and at the end [m], (n + 1,)."""
        return np.linalg.norm(self.path - self.goal, axis=1)

    def arrival(self, tolerance: float) -> int | None:
        """Return after which period the robot stays at the goal; None if it is not there."""
        away = np.flatnonzero(self.distances > tolerance)
        if not len(away):
            return 0
        return None if away[-1] == len(self.path) - 1 else int(away[-1]) + 1


def run_trip(seed: int, path: Path, config: PlannerConfig) -> Trip:
    """
    Run one episode.

    :param seed: of start, goal and noise.
    :param path: folder of the bundle.
    """
    planner = episode_planner(path, config, seed)
    goals: list[NDArray] = []
    plans: list[NDArray] = []

    def watch(robot: Environment, plan: Plan) -> None:
        if not plans:
            order = [plan.best, *(i for i in range(len(plan.candidates)) if i != plan.best)]
            states = plan.candidates[order, :, plan.action_dim:]
            plans.append(_places(planner.bundle.robot.goal, states))
            goals.append(robot.goal)
    _, trace = run_episode(seed, planner=planner, on_plan=watch)
    return Trip(seed, goals[0], _places(planner.bundle.robot.goal, trace.episode.observations),
                plans[0], trace.seconds)


def _places(space: GoalSpace, states: NDArray) -> NDArray:
    """Return where the robot is in states (..., S) [m], shape (..., 2)."""
    return np.apply_along_axis(space.position, -1, states)


def measure_trips(bundle: Bundle, config: PlannerConfig, seeds: Sequence[int], *,
                  pool: ProcessPoolExecutor, progress: Progress = silent
                  ) -> tuple[dict[str, Any], list[Trip]]:
    """
    Run one episode for every seed; a goal is reached if the robot is there at the end.

    :param pool: worker processes.
    :return: what to report, and the trips.
    :raises RobotError: if the robot knows no goals.
    """
    robot = bundle.robot
    if robot.goal is None:
        raise RobotError(f"{bundle.path}: its robot '{robot.name}' knows no goals, expected a "
                         'section goal in the layout that it was trained with; goals measures '
                         'how near plans of any robot come to states')
    trips: list[Trip] = []
    with progress('going', len(seeds), unit='trips') as advance:
        for trip in pool.map(partial(run_trip, path=bundle.path, config=config), seeds):
            trips.append(trip)
            advance(1)
    arrivals = [trip.arrival(robot.goal.tolerance) for trip in trips]
    times = np.array([k * robot.control_period for k in arrivals if k is not None])
    ends = np.array([trip.distances[-1] for trip in trips])
    seconds = np.concatenate([trip.plan_seconds for trip in trips])
    return {
        'goals': len(trips), 'reached': len(times), 'tolerance_m': robot.goal.tolerance,
        'missed_seeds': [t.seed for t, k in zip(trips, arrivals, strict=True) if k is None],
        'time_mean_s': float(times.mean()) if len(times) else None,
        'time_stderr_s': standard_error(times) if len(times) else None,
        'time_max_s': float(times.max()) if len(times) else None,
        'final_distance_median_m': float(np.median(ends)),
        'final_distance_max_m': float(ends.max()),
        'plan_p50_ms': float(np.percentile(seconds, 50)) * 1e3,
        'plan_p99_ms': float(np.percentile(seconds, 99)) * 1e3}, trips
