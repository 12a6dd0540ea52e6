# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Recorded windows on the simulated robot: as they were recorded, and planned from their start."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ...errors import DatasetError
from ...planning.planner import Planner
from ...robot import Robot
from ...sim.environment import make_environment
from ...sim.perturbation import Perturbation, UNPERTURBED
from ..misalignment import Branch, branch_from, execute


def draw_windows(episodes: Sequence[Episode], robot: Robot, horizon: int, *, n_windows: int,
                 rng: np.random.Generator) -> NDArray:
    """
    Draw windows at random, each at most once, that start from a state which is known in full.

    A velocity that was clipped when it was recorded is not known: from there even the recorded
    actions lead elsewhere.

    :return: rows ``[a | s]`` [N m, SI], shape (n, H, D); fewer than asked for where there are
        fewer.
    :raises DatasetError: if there are none.
    """
    starts = [(i, k) for i, e in enumerate(episodes)
              for k in np.flatnonzero(_is_known(e.observations[:max(0, len(e) - horizon + 1)],
                                                robot.state_clip)).tolist()]
    if not starts:
        raise DatasetError(f'none of {len(episodes)} episodes, of at most '
                           f'{max(map(len, episodes))} steps, has a window of {horizon}, the '
                           'horizon, that starts from a state without clipped velocities; '
                           'expected at least one')
    windows = []
    for i in rng.permutation(len(starts))[:n_windows]:
        number, start = starts[i]
        stop = start + horizon
        windows.append(np.concatenate(
            [episodes[number].actions[start:stop] * robot.torque_limit,
             episodes[number].observations[start:stop]], axis=1))
    return np.stack(windows)


def _is_known(observations: NDArray, clip: NDArray) -> NDArray:
    return (np.abs(observations) < clip).all(axis=1)


def replay(windows: NDArray, robot: Robot, *,
           perturbation: Perturbation = UNPERTURBED) -> NDArray:
    """
    Execute recorded torques open loop: what differs from the recorded states is no plan's fault.

    :param windows: shape (n, H, D).
    :return: states after the first H - 1 actions, shape (n, H - 1, S).
    """
    environment, executed = make_environment(robot.name, perturbation), []
    for window in windows:
        environment.place(window[0, robot.action_dim:])
        executed.append(execute(environment, window[:-1, :robot.action_dim]))
    return np.stack(executed)


def plan_from(windows: NDArray, planner: Planner, *,
              perturbation: Perturbation = UNPERTURBED) -> list[Branch]:
    """
    Plan from the first state of every window and execute the plans open loop.

    :param windows: shape (n, H, D).
    """
    robot = planner.bundle.robot
    environment, branches = make_environment(robot.name, perturbation), []
    for step, window in enumerate(windows):
        environment.place(window[0, robot.action_dim:])
        plan = planner.plan(environment.state, step=step)
        branches.append(branch_from(environment, plan, planner.bundle))
    return branches
