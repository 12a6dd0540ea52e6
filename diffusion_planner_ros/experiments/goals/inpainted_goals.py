# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals: how near plans bring the robot to a last state that is fixed (inpainting)."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...planning.bundle import Bundle
from ...planning.conditions import last_state
from ...planning.planner import Plan, Planner
from ...planning.planner_config import PlannerConfig
from ...sim.environment import Environment, make_environment
from ...state_error import state_error
from ..closed_loop import episode_planner, run_episode
from ..misalignment import compare_states, EVERY, execute
from ..progress import Progress, silent
from ..standard_error import standard_error

GOAL_NOISE = 0.3  # on the torques that lead to the goal [torque limits]


@dataclass(frozen=True)
class GoalTrial:
    """
    Two plans from one state: a free one, and one whose last state is fixed.

    That goal is where the torques of the free plan, disturbed by noise, lead the robot: a state
    that can be reached, and where the planner would not go by itself.
    """

    goal: NDArray
    """[SI], shape (S,)."""
    free: Plan
    free_executed: NDArray
    """States after each action of the free plan but the last, shape (H - 1, S)."""
    aimed: Plan
    aimed_executed: NDArray
    """The same of the plan to the goal."""

    @property
    def has_fallen(self) -> bool:
        """Whether the robot fell on one of the ways; such a trial says nothing."""
        return not all(np.isfinite(states).all() for states in (
            self.goal, self.free_executed, self.aimed_executed))


def try_goal(planner: Planner, robot: Environment, plan: Plan, step: int) -> GoalTrial:
    """
    Plan from where the robot is to a goal, and execute both plans open loop.

    :param robot: is moved.
    :param plan: the free plan from there.
    :param step: number of the control period; it seeds all noise.
    """
    bundle, start = planner.bundle, robot.snapshot()
    state = robot.state

    def executed(actions: NDArray) -> NDArray:
        robot.restore(start)
        return execute(robot, actions[:-1])
    limit, rng = bundle.robot.torque_limit, np.random.default_rng((planner.config.seed, step))
    noise = GOAL_NOISE * limit * rng.standard_normal(plan.actions.shape)
    goal = executed(np.clip(plan.actions + noise, -limit, limit))[-1]
    if not np.isfinite(goal).all():
        return GoalTrial(goal, plan, executed(plan.actions), plan, executed(plan.actions))
    condition = last_state(goal, horizon=bundle.horizon, row_dim=bundle.row_dim)
    aimed = planner.plan(state, step=step, condition=condition)
    return GoalTrial(goal, plan, executed(plan.actions), aimed, executed(aimed.actions))


def _trials(seed: int, path: Path, config: PlannerConfig) -> list[GoalTrial]:
    planner = episode_planner(path, config, seed)
    second = make_environment(planner.bundle.robot.name)
    second.reset(seed)
    trials, n_plans = [], 0

    def watch(first: Environment, plan: Plan) -> None:
        nonlocal n_plans
        if n_plans % EVERY == 0:
            second.restore(first.snapshot())
            trials.append(try_goal(planner, second, plan, n_plans))
        n_plans += 1
    run_episode(seed, planner=planner, on_plan=watch)
    return trials


def measure_goals(bundle: Bundle, config: PlannerConfig, seeds: Sequence[int], *,
                  pool: ProcessPoolExecutor, progress: Progress = silent) -> dict[str, Any]:
    """
    Measure how near plans come to goals, in the states that closed-loop episodes visit.

    :param seeds: of the episodes; every ``EVERY``-th plan gets a goal.
    :raises ModelError: if the robot fell in all trials.
    :return: distances from the goal of what was executed [standard deviations], with and without
        it, and the misalignment of both plans.
    """
    trials: list[GoalTrial] = []
    with progress('goals', len(seeds), unit='episodes') as advance:
        for found in pool.map(partial(_trials, path=bundle.path, config=config), seeds):
            trials += found
            advance(1, falls=f'{sum(t.has_fallen for t in trials)} of {len(trials)}')
    counted = [trial for trial in trials if not trial.has_fallen]
    if not counted:
        raise ModelError(f'{bundle.path}: the robot fell on the way to all {len(trials)} goals, '
                         'expected a model that walks')

    def distances(name: str) -> NDArray:
        ends = np.stack([getattr(trial, name)[-1] for trial in counted])
        goals = np.stack([trial.goal for trial in counted])
        return state_error(goals, ends, bundle.robot, bundle.normalizer)

    def misalignment(name: str) -> float:
        return compare_states(np.stack([getattr(trial, name).states[1:] for trial in counted]),
                              np.stack([getattr(trial, f'{name}_executed') for trial in counted]),
                              bundle).mean
    aimed, free = distances('aimed_executed'), distances('free_executed')
    return {'goals': len(trials), 'falls': len(trials) - len(counted),
            'distance': float(aimed.mean()), 'distance_stderr': standard_error(aimed),
            'distance_without_goal': float(free.mean()),
            'misalignment': misalignment('aimed'),
            'misalignment_without_goal': misalignment('free')}
