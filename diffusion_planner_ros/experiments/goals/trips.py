# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Trips: a robot is sent from random starts to random goals, in closed loop."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, RobotError
from ...goals.goal_space import GoalSpace
from ...goals.obstacle import Obstacle
from ...goals.plane_goals import PlaneGoals
from ...planning.bundle import Bundle
from ...planning.planner import Plan
from ...planning.planner_config import PlannerConfig
from ...sim.environment import Environment, make_environment
from ..closed_loop import episode_planner, run_episode
from ..progress import Progress, silent
from ..standard_error import standard_error
from .obstacle_course import draw_course

N_UNAWARE = 2  # first plans of an episode, which no obstacle is told to
COURSE_STREAM = 2  # of random numbers, apart from those of start, goal and exploration


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
    """Where the candidates of the first plan lead [m], the chosen one first, shape (N, H, 2); with
    obstacles, of the first plan that may know of them."""
    plan_seconds: Sequence[float]
    """Time that every plan took [s]."""
    obstacles: tuple[Obstacle, ...] = ()
    """That were in the way."""
    has_collided: bool = False
    """Whether the robot touched one of them."""

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


def run_trip(seed: int, path: Path, config: PlannerConfig, n_obstacles: int = 0) -> Trip:
    """
    Run one episode.

    :param seed: of start, goal, obstacles and noise.
    :param path: folder of the bundle.
    :param n_obstacles: that are in the way, which the planner is told once it is on its way, if
        it has guide ``obstacles``.
    """
    planner = episode_planner(path, config, seed)
    space = planner.bundle.robot.goal_space
    obstacles = _course(planner.bundle.robot.name, seed, n_obstacles) if n_obstacles else ()
    plans: list[NDArray] = []
    n_plans = 0
    robots: list[Environment] = []

    def watch(robot: Environment, plan: Plan) -> None:
        nonlocal n_plans
        robots[:] = [robot]
        n_plans += 1
        if n_plans == N_UNAWARE and planner.avoids_obstacles:
            planner.avoid(obstacles)
        if n_plans == (N_UNAWARE + 1 if obstacles else 1):
            order = [plan.best, *(i for i in range(len(plan.candidates)) if i != plan.best)]
            plans.append(_places(space, plan.candidates[order, :, plan.action_dim:]))
    _, trace = run_episode(seed, planner=planner, obstacles=obstacles, on_plan=watch)
    simulated, = robots
    return Trip(seed, np.asarray(simulated.goal), _places(space, trace.episode.observations),
                plans[0], trace.seconds, obstacles, simulated.has_collided)


def _course(robot: str, seed: int, n_obstacles: int) -> tuple[Obstacle, ...]:
    """Return obstacles in the way from the start to the goal of an episode."""
    simulated = make_environment(robot)
    state = simulated.reset(seed)
    space, goal = simulated.robot.goal, simulated.goal
    if not isinstance(space, PlaneGoals) or goal is None:
        raise ConfigError(f"robot '{robot}' is not sent to goals in a plane, expected one that "
                          'is, to draw obstacles in its way')
    return draw_course(space, space.position(state), goal, n_obstacles,
                       np.random.default_rng((seed, COURSE_STREAM)))


def _places(space: GoalSpace, states: NDArray) -> NDArray:
    """Return where the robot is in states (..., S) [m], shape (..., 2)."""
    return np.apply_along_axis(space.position, -1, states)


def measure_trips(bundle: Bundle, config: PlannerConfig, seeds: Sequence[int], *,
                  n_obstacles: int = 0, pool: ProcessPoolExecutor, progress: Progress = silent
                  ) -> tuple[dict[str, Any], list[Trip]]:
    """
    Run one episode for every seed; a goal is reached if the robot is there at the end.

    :param n_obstacles: in the way of each; fewer where there is no room.
    :param pool: worker processes.
    :return: what to report, and the trips.
    :raises RobotError: if the robot knows no goals, or obstacles are asked for and there is no
        map.
    """
    robot = bundle.robot
    if robot.goal is None:
        raise RobotError(f"{bundle.path}: its robot '{robot.name}' knows no goals, expected a "
                         'section goal in the layout that it was trained with; goals measures '
                         'how near plans of any robot come to states')
    if n_obstacles and not (isinstance(robot.goal, PlaneGoals) and robot.goal.grid):
        raise RobotError(f"{bundle.path}: the goals of its robot '{robot.name}' have no map, "
                         f'expected one to put {n_obstacles} obstacles on ways to goals, or none')
    trips: list[Trip] = []
    n_reached = 0
    with progress('going', len(seeds), unit='trips') as advance:
        for trip in pool.map(partial(run_trip, path=bundle.path, config=config,
                                     n_obstacles=n_obstacles), seeds):
            trips.append(trip)
            n_reached += trip.arrival(robot.goal.tolerance) is not None
            advance(1, reached=f'{n_reached} of {len(trips)}')
    arrivals = [trip.arrival(robot.goal.tolerance) for trip in trips]
    times = np.array([k * robot.control_period for k in arrivals if k is not None])
    ends = np.array([trip.distances[-1] for trip in trips])
    seconds = np.concatenate([trip.plan_seconds for trip in trips])
    return {
        'goals': len(trips), 'reached': len(times), **_obstacle_facts(trips, arrivals),
        'tolerance_m': robot.goal.tolerance,
        'missed_seeds': [t.seed for t, k in zip(trips, arrivals, strict=True) if k is None],
        'time_mean_s': float(times.mean()) if len(times) else None,
        'time_stderr_s': standard_error(times) if len(times) else None,
        'time_max_s': float(times.max()) if len(times) else None,
        'final_distance_median_m': float(np.median(ends)),
        'final_distance_max_m': float(ends.max()),
        'plan_p50_ms': float(np.percentile(seconds, 50)) * 1e3,
        'plan_p99_ms': float(np.percentile(seconds, 99)) * 1e3}, trips


def _obstacle_facts(trips: Sequence[Trip], arrivals: Sequence[int | None]) -> dict[str, Any]:
    """Return what to report of obstacles; nothing if there were none."""
    if not any(trip.obstacles for trip in trips):
        return {}
    collided = [trip.seed for trip in trips if trip.has_collided]
    return {
        'obstacles': sum(len(trip.obstacles) for trip in trips),
        'trips_with_obstacles': sum(bool(trip.obstacles) for trip in trips),
        'collided': len(collided), 'collided_seeds': collided,
        'reached_without_collision': sum(
            arrival is not None and not trip.has_collided
            for trip, arrival in zip(trips, arrivals, strict=True))}
