# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A planner as the controller of a rollout: plans, and which of their actions are executed."""

from collections import deque
from collections.abc import Callable
import time

import numpy as np
from numpy.typing import NDArray

from ..planning.delay_compensation import plan_compensated, torque_step
from ..planning.navigation.navigator import Navigator
from ..planning.planner import Plan, Planner
from .execution import Execution

EXPLORATION_STREAM = 1  # of random numbers, apart from that of the initial state


class PlanController:
    """
    Plan, and give out the actions of the plans one by one.

    :param planner: makes the plans.
    :param execution: how many actions of a plan are executed, how late, with which noise.
    :param seed: of the noise of ``execution.exploration``.
    :param on_plan: sees every plan as soon as it is made.
    :param navigator: says which goal plans lead to; without one they lead to none.
    :raises ConfigError: if a plan does not outlast its execution.
    """

    def __init__(self, planner: Planner, execution: Execution, *, seed: int,
                 on_plan: Callable[[Plan], None] | None = None,
                 navigator: Navigator | None = None) -> None:
        robot = planner.bundle.robot
        execution.check_horizon(planner.bundle.horizon)
        self.seconds: list[float] = []
        """Time that every plan took [s]."""
        self.torque_steps: list[float] = []
        """Jump of the torque from the plan before [N m]; the first plan has none."""
        self._planner = planner
        self._execution = execution
        self._on_plan = on_plan
        self._navigator = navigator
        self._limit = robot.torque_limit
        self._rng = np.random.default_rng((seed, EXPLORATION_STREAM))
        self._waiting = deque(np.zeros((execution.delay, robot.action_dim)))
        self._latest: Plan | None = None

    def __call__(self, state: NDArray, step: int) -> NDArray:
        """
        Return the torque [N m], shape (A,), of a control period; plan before, if that is due.

        :param state: [SI], shape (S,).
        :param step: number of the control period.
        """
        if len(self._waiting) == self._execution.delay:
            self._plan(state, step)
        torque = self._waiting.popleft()
        if self._execution.exploration:
            noise = self._execution.exploration * self._rng.standard_normal(len(torque))
            torque = np.clip(torque + noise * self._limit, -self._limit, self._limit)
        return torque

    def _plan(self, state: NDArray, step: int) -> None:
        delay, n_execute = self._execution.delay, self._execution.n_execute
        goal = None if self._navigator is None else self._navigator.advance(state, n_execute)
        before = time.perf_counter()
        if self._execution.compensate and delay:
            plan = plan_compensated(self._planner, state, np.stack(self._waiting), step=step,
                                    condition=goal)
        else:
            plan = self._planner.plan(state, step=step, condition=goal)
        self.seconds.append(time.perf_counter() - before)
        if self._on_plan is not None:
            self._on_plan(plan)
        if self._latest is not None and delay + n_execute < self._planner.bundle.horizon:
            self.torque_steps.append(torque_step(plan, self._latest, row=delay, lag=n_execute))
        self._latest = plan
        self._waiting.extend(plan.actions[delay:delay + n_execute])
