# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Imagination: where the robot would be if it did what its plans say, beside where it is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...planning.planner import Planner
from ...robot import Robot
from ...sim.environment import make_environment
from ...sim.perturbation import Perturbation, UNPERTURBED
from ...sim.rollout import rollout
from ..execution import Execution
from ..plan_controller import PlanController


def imagine(planner: Planner, state: NDArray, n_plans: int) -> NDArray:
    """
    Follow planned states: each plan starts where the one before ends, and no action is executed.

    :param state: to start from [SI], shape (S,).
    :return: states [SI], one per control period, shape (n_plans (H - 1) + 1, S).
    """
    states, _ = imagine_actions(planner, state, n_plans)
    return states


def imagine_actions(planner: Planner, state: NDArray, n_plans: int, *, first_step: int = 0
                    ) -> tuple[NDArray, NDArray]:
    """
    Follow planned states as ``imagine`` does, and say by which actions.

    :param state: to start from [SI], shape (S,).
    :param first_step: number of the control period of ``state``; it seeds the noise.
    :return: states [SI], shape (n_plans (H - 1) + 1, S), and the torques between them [N m], of
        one row less.
    """
    states = [state]
    actions: list[NDArray] = []
    for _ in range(n_plans):
        plan = planner.plan(states[-1], step=first_step + len(actions))
        states += list(plan.states[1:])
        actions += list(plan.actions[:-1])
    return np.stack(states), np.stack(actions)


def positions_of(states: NDArray, robot: Robot, joints: Sequence[str],
                 start: NDArray | None = None) -> NDArray:
    """
    Return the joint positions of planned states.

    The position of a joint whose velocity alone is part of the state is the integral of that.

    :param states: in the order and units of ``robot.state``, shape (..., n, S).
    :param joints: their order in the result, J of them.
    :param start: joint positions [m, rad] where the states begin, shape (J,); such a joint moves
        from there, or from 0.
    :return: [m, rad], shape (..., n, J).
    """
    column = {(e.joint, e.quantity): k for k, e in enumerate(robot.state)}
    positions = []
    for i, joint in enumerate(joints):
        if (joint, 'position') in column:
            positions.append(states[..., column[joint, 'position']])
        else:
            velocity = states[..., column[joint, 'velocity']]
            steps = (velocity[..., 1:] + velocity[..., :-1]) / 2 * robot.control_period
            way = np.concatenate([np.zeros_like(steps[..., :1]), np.cumsum(steps, axis=-1)],
                                 axis=-1)
            positions.append(way if start is None else start[i] + way)
    return np.stack(positions, axis=-1)


def execute_whole_plans(planner: Planner, seed: int, n_plans: int, *,
                        perturbation: Perturbation = UNPERTURBED) -> NDArray:
    """
    Execute each plan to its end, then plan from the state that was reached.

    As seldom as ``imagine`` does: the two differ only in who says where a plan leads.

    :param seed: of the initial state.
    :return: joint positions [m, rad], one per control period, up to a fall at most, shape
        (n, number of joints).
    """
    environment = make_environment(planner.bundle.robot.name, perturbation)
    n_execute = planner.bundle.horizon - 1
    environment.reset(seed)
    positions = [environment.qpos]
    rollout(environment, PlanController(planner, Execution(n_execute=n_execute), seed=seed),
            n_steps=n_plans * n_execute, on_step=lambda step: positions.append(environment.qpos))
    return np.stack(positions)
