# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where a recorded episode comes from: an episode in process, or a log of executed plans."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...data.executed_plans import read_log
from ...episode import Episode
from ...planning.bundle import Bundle
from ...planning.planner import Plan
from ...planning.planner_config import PlannerConfig
from ...robot import Robot
from ...sim.environment import Environment, make_environment
from ...sim.perturbation_ranges import Robots
from ..closed_loop import episode_planner, run_episode
from ..diagnosis.imagination import positions_of
from ..execution import Execution
from .recorded_episode import KnownPlan, MAX_CANDIDATES, recorded_episode, RecordedEpisode


def record_again(bundle: Bundle, config: PlannerConfig, seed: int, *, pool: ProcessPoolExecutor,
                 execution: Execution, perturbation: Robots) -> RecordedEpisode:
    """
    Run the episode of a seed again, which is the same one, and keep what it plans.

    :param pool: worker processes.
    """
    return pool.submit(partial(_record, seed, bundle.path, config, execution, perturbation)
                       ).result()


def _record(seed: int, path: Path, config: PlannerConfig, execution: Execution,
            perturbation: Robots) -> RecordedEpisode:
    planner = episode_planner(path, config, seed)
    robot, kept = planner.bundle.robot, []

    def keep(environment: Environment, plan: Plan) -> None:
        best_first = np.argsort(-plan.scores, kind='stable')[:MAX_CANDIDATES]
        kept.append((plan.candidates[best_first, :, plan.action_dim:], environment.qpos))

    _, trace = run_episode(seed, planner=planner, execution=execution, perturbation=perturbation,
                           on_plan=keep)
    joints, episode = make_environment(robot.name).joint_names, trace.episode
    plans = [KnownPlan(i * execution.n_execute, _by_joint(states, robot, joints, start))
             for i, (states, start) in enumerate(kept)]
    return _of_episode(episode, robot, joints, seed, kept[0][1], plans)


def last_of_log(file: Path, robot: Robot, seed: int) -> RecordedEpisode:
    """
    Return the last episode of a log of executed plans.

    :param seed: of that episode.
    :raises DatasetError: if the log is not usable.
    """
    return with_its_plans(read_log(file, robot)[-1], robot, seed)


def with_its_plans(episode: Episode, robot: Robot, seed: int) -> RecordedEpisode:
    """
    Return an episode whose plans were recorded with it.

    A joint whose position is not part of the state starts where the seed puts it.

    :param seed: of its initial state.
    """
    environment = make_environment(robot.name)
    environment.reset(seed)
    joints, start = environment.joint_names, environment.qpos
    moving = _by_joint(episode.observations, robot, joints, start)
    starts = np.stack([moving[joint] for joint in joints], axis=1)
    plans = [KnownPlan(row, _by_joint(states[None], robot, joints, starts[row]))
             for row, states in enumerate(() if episode.plans is None else episode.plans)
             if np.isfinite(states).all()]
    return _of_episode(episode, robot, joints, seed, start, plans)


def goal_of(robot: str, seed: int) -> NDArray | None:
    """Return the goal of an episode [m], shape (2,); None of a robot that is sent to none."""
    environment = make_environment(robot)
    environment.reset(seed)
    return environment.goal


def _of_episode(episode: Episode, robot: Robot, joints: list[str], seed: int, start: NDArray,
                plans: list[KnownPlan]) -> RecordedEpisode:
    n = len(episode.observations)
    torques = np.full((n, robot.action_dim), np.nan)
    torques[1:] = episode.actions[:n - 1] * robot.torque_limit
    return recorded_episode(
        robot, seed=seed, times=np.arange(n) * robot.control_period, states=episode.observations,
        torques=torques, positions=_by_joint(episode.observations, robot, joints, start),
        plans=plans, goal=goal_of(robot.name, seed))


def _by_joint(states: NDArray, robot: Robot, joints: list[str], start: NDArray
              ) -> dict[str, NDArray]:
    """
    Return joint positions (...) by name along states (..., n, S).

    Joints that the state does not tell about stay where they are at the ``start``.
    """
    told = {entry.joint for entry in robot.state}
    at = [k for k, joint in enumerate(joints) if joint in told]
    names = [joints[k] for k in at]
    positions = positions_of(states, robot, names, start[at])
    still = {joint: np.full(states.shape[:-1], place)
             for joint, place in zip(joints, start, strict=True)}
    return still | dict(zip(names, np.moveaxis(positions, -1, 0), strict=True))
