# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""One cycle of a walk with the plans that were made in it: what the moving picture shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, RobotError
from ..planning.bundle import Bundle
from ..planning.planner import Planner
from ..planning.planner_config import PlannerConfig
from ..robots.robot_folder import urdf_file
from ..sim.environment import Environment, make_environment
from ..urdf_tree import transformed, Urdf
from .closed_loop import noise_seed, run_episode
from .diagnosis.imagination import imagine, positions_of

N_CANDIDATES = 24
N_DENOISE_STEPS = 12
N_PLANS = 3  # shown in a cycle
N_FOLLOWING = 3  # plans that continue a candidate, so that one sees where it leads
PERIODS = range(50, 91)  # [control periods] that a cycle may take
FIRST_START = 200  # by then the robot walks evenly
N_PAST = 45  # [control periods] before the cycle that are shown as well


@dataclass(frozen=True)
class WalkCycle:
    """
    A piece of a walk at whose end the robot is nearly in the state of its beginning.

    N candidates, J joints, L points of the robot that are followed: torso and feet.
    """

    qpos: NDArray
    """Joint positions [m, rad], from ``N_PAST`` periods before the cycle to its end, (n, J)."""
    trace: NDArray
    """Where the points were at these times [m], shape (L, n, 3)."""
    begins: NDArray
    """Control periods of the cycle in which the shown plans were made, shape (P,)."""
    denoising: NDArray
    """Paths of the candidates while they were denoised, from noise on [m], (P, T, N, L, H, 3)."""
    futures: NDArray
    """Paths of the candidates, each continued by the plans that follow [m], (P, N, L, F, 3)."""
    values: NDArray
    """Of the candidates, shape (P, N)."""
    best: NDArray
    """Index of the chosen candidate, shape (P,)."""
    ghosts: NDArray
    """Joint positions along the chosen candidate [m, rad], shape (P, F, J)."""


def record_cycle(bundle: Bundle, seed: int) -> WalkCycle:
    """
    Let the robot walk, and find the cycle that closes best.

    :param seed: of the initial state.
    :raises ConfigError: if the robot falls before it walks evenly.
    :raises RobotError: if the robot has no URDF, which says what to draw.
    """
    file = urdf_file(bundle.robot.name)
    if file is None:
        raise RobotError(f"robot '{bundle.robot.name}' has no robot.urdf in its folder, expected "
                         'one')
    urdf, planner = Urdf.load(file), Planner(bundle, PlannerConfig(
        n_candidates=N_CANDIDATES, n_denoise_steps=min(N_DENOISE_STEPS, bundle.schedule.n_sampled),
        seed=noise_seed(PlannerConfig(), seed)))
    positions: list[NDArray] = []

    def keep(environment: Environment, plan: object) -> None:
        del plan
        positions.append(environment.qpos)

    result, trace = run_episode(seed, planner=planner, on_plan=keep)
    longest = FIRST_START + 2 * PERIODS[-1]
    if result.steps < longest:
        raise ConfigError(f'seed is {seed}, and the robot fell after {result.steps} control '
                          f'periods, expected a walk of at least {longest}; choose another seed')
    states, qpos = trace.episode.observations, np.stack(positions)
    start, period = _closest(bundle.normalizer.normalize_state(states[:result.steps]))
    joints = make_environment(bundle.robot.name).joint_names
    begins = np.linspace(0, period, N_PLANS, endpoint=False).round().astype(int)
    past = qpos[start - N_PAST:start + period + 1]
    plans = [_plan_at(planner, urdf, joints, states[start + k], qpos[start + k], start + k)
             for k in begins]
    return WalkCycle(qpos=past, trace=_points(urdf, joints, past), begins=begins,
                     **{name: np.stack([plan[name] for plan in plans]) for name in plans[0]})


def _closest(states: NDArray) -> tuple[int, int]:
    """Return start and period of the cycle whose two ends differ least; states (n, S)."""
    stop = len(states) - PERIODS[-1]
    gaps = np.stack([np.square(states[FIRST_START + period:stop + period]
                               - states[FIRST_START:stop]).mean(axis=1) for period in PERIODS])
    index, start = np.unravel_index(gaps.argmin(), gaps.shape)
    return FIRST_START + int(start), PERIODS[index]


def _plan_at(planner: Planner, urdf: Urdf, joints: list[str], state: NDArray, qpos: NDArray,
             step: int) -> dict[str, NDArray]:
    """Make the plan of a control period again and follow where its candidates lead."""
    bundle, noisy = planner.bundle, []
    robot, n_action = bundle.robot, bundle.robot.action_dim

    def look(t: int, x_t: NDArray) -> None:
        del t
        noisy.append(bundle.normalizer.unnormalize(x_t.astype(np.float64))[..., n_action:])

    plan = planner.plan(state, step=step, on_step=look)
    ahead = np.stack([
        np.concatenate([rows, imagine(planner, rows[-1], N_FOLLOWING)[1:]])
        for rows in plan.candidates[..., n_action:]])
    future = positions_of(ahead, robot, joints, qpos)
    noisy_paths = _points(urdf, joints, positions_of(np.stack(noisy), robot, joints, qpos))
    return {'denoising': np.moveaxis(noisy_paths, 0, 2),
            'futures': np.moveaxis(_points(urdf, joints, future), 0, 1),
            'values': plan.scores, 'best': np.array(plan.best), 'ghosts': future[plan.best]}


def _points(urdf: Urdf, joints: list[str], positions: NDArray) -> NDArray:
    """Return where torso and feet are [m] at joint positions (..., J), shape (L, ..., 3)."""
    poses = urdf.link_poses(dict(zip(joints, np.moveaxis(positions, -1, 0), strict=True)))
    return np.stack([transformed(poses[link], point) for link, point in urdf.traced.items()])
