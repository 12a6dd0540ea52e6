# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The one loop that steps simulated robots: until the fall or the time limit."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from .environment import Environment

Controller = Callable[[NDArray, int], NDArray]
"""From the state (S,) and the number of the control period to the torque [N m], shape (A,)."""
BatchController = Callable[[NDArray, NDArray, int], NDArray]
"""
The same for several robots at once.

From states (n, S), the index of the robot of each, shape (n,), and the number of the control
period to torques [N m], shape (n, A). Robots that have fallen are not asked for.
"""
StepHook = Callable[[int], None]
"""Called after every control period with its number."""


def rollout(environment: Environment, controller: Controller, *, n_steps: int | None = None,
            on_step: StepHook | None = None) -> Episode:
    """
    Step a robot from where it is until it falls or time is over.

    :param environment: as it was reset, placed or restored.
    :param controller: says the torque of every control period.
    :param n_steps: time limit [control periods]; that of the environment by default.
    :param on_step: called after every control period.
    :return: all that was measured and executed; its states are one more than its actions.
    """
    def control(states: NDArray, robots: NDArray, step: int) -> NDArray:
        del robots
        return controller(states[0], step)[None]

    episode, = rollout_together([environment], control, n_steps=n_steps, on_step=on_step)
    return episode


def rollout_together(environments: Sequence[Environment], controller: BatchController, *,
                     n_steps: int | None = None, on_step: StepHook | None = None
                     ) -> list[Episode]:
    """
    Step several robots side by side, each until it falls or time is over.

    :param environments: of one kind of robot, as they were reset, placed or restored.
    :param controller: says the torques of all robots that have not fallen.
    :param n_steps: time limit [control periods]; that of the environments by default.
    :param on_step: called after every control period of all robots.
    :return: an episode for every environment.
    """
    limit = environments[0].max_episode_steps if n_steps is None else n_steps
    states = [[environment.state] for environment in environments]
    actions: list[list[NDArray]] = [[] for _ in environments]
    rewards: list[list[float]] = [[] for _ in environments]
    fell = np.zeros(len(environments), dtype=bool)
    for step in range(limit):
        standing = np.flatnonzero(~fell)
        if not len(standing):
            break
        torques = controller(np.array([states[i][-1] for i in standing]), standing, step)
        for i, torque in zip(standing.tolist(), torques, strict=True):
            state, reward, fell[i] = environments[i].step(torque)
            states[i].append(state)
            actions[i].append(torque / environments[i].torque_limit)
            rewards[i].append(reward)
        if on_step is not None:
            on_step(step)
    return [Episode(np.array(s), np.array(a), np.array(r), bool(f))
            for s, a, r, f in zip(states, actions, rewards, fell, strict=True)]
