"""Imagination: where the robot would be if it did what its plans say, beside where it is."""

import numpy as np
from numpy.typing import NDArray

from ..planning.planner import Planner
from ..sim.perturbation import Perturbation, UNPERTURBED
from ..sim.walker2d import Walker2D


def imagine(planner: Planner, state: NDArray, n_plans: int) -> NDArray:
    """
    Follow planned states: each plan starts where the one before ends, and no action is executed.

    :param state: to start from [SI], shape (S,).
    :return: states [SI], one per control period, shape (n_plans (H - 1) + 1, S).
    """
    states = [state]
    for _ in range(n_plans):
        states += list(planner.plan(states[-1], step=len(states) - 1).states[1:])
    return np.stack(states)


def positions_of(states: NDArray, control_period: float) -> NDArray:
    """
    Return the joint positions of Walker2D's states, rootx being the integral of its velocity.

    :param states: shape (n, 17).
    :return: [m, rad], shape (n, 9).
    """
    positions, velocity = states[:, :8], states[:, 8]
    steps = (velocity[1:] + velocity[:-1]) / 2 * control_period
    return np.column_stack([np.append(0.0, np.cumsum(steps)), positions])


def execute_whole_plans(planner: Planner, seed: int, n_plans: int, *,
                        perturbation: Perturbation = UNPERTURBED
                        ) -> NDArray:
    """
    Execute each plan to its end, then plan from the state that was reached.

    As seldom as ``imagine`` does: the two differ only in who says where a plan leads.

    :param seed: of the initial state.
    :return: joint positions [m, rad], one per control period, up to a fall at most, shape (n, 9).
    """
    walker = Walker2D(perturbation)
    state = walker.reset(seed)
    positions = [walker.qpos]
    for _ in range(n_plans):
        for torque in planner.plan(state, step=len(positions) - 1).actions[:-1]:
            state, _, fell = walker.step(torque)
            positions.append(walker.qpos)
            if fell:
                return np.stack(positions)
    return np.stack(positions)
