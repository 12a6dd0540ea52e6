# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who walks in a cell: a planner or a policy, with the time that each of their actions takes."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...planning.planner_config import PlannerConfig
from ...sim.environment import make_environment
from ...sim.perturbation_ranges import Robots
from ...sim.rollout import Controller
from ..closed_loop import episode_planner, EpisodeResult, run_episode, walk
from ..execution import Execution
from ..plan_controller import PlanController
from ..robustness.policy_controller import Policy, PolicyController


class Contestant(Protocol):
    """Controls a robot in episodes."""

    def walk(self, seed: int, robots: Robots, execution: Execution
             ) -> tuple[EpisodeResult, list[float]]:
        """Run an episode; return what it came to, and how long each plan took [s]."""


@dataclass(frozen=True)
class PlannerContestant:
    """A planner with a bundle; its windows may be too short for late plans."""

    bundle: Path
    config: PlannerConfig

    def walk(self, seed: int, robots: Robots, execution: Execution
             ) -> tuple[EpisodeResult, list[float]]:
        """
        Run an episode.

        Of a plan that comes late, the actions are executed that it has for the time when it comes.
        If it has none, its first one is, as a policy's is.
        """
        planner = episode_planner(self.bundle, self.config, seed)
        if execution.delay <= planner.bundle.horizon - 2:
            result, trace = run_episode(seed, planner=planner, execution=execution,
                                        perturbation=robots)
            return result, trace.seconds
        robot = make_environment(planner.bundle.robot.name, robots.draw(seed))
        controller = PlanController(planner, Execution(), seed=seed)
        late = _Late(controller, np.zeros((execution.delay, len(robot.torque_limit))))
        return walk(seed, robot, late)[0], controller.seconds


@dataclass(frozen=True)
class PolicyContestant:
    """A policy, which knows nothing of a delay."""

    policy: Policy
    robot: str

    def walk(self, seed: int, robots: Robots, execution: Execution
             ) -> tuple[EpisodeResult, list[float]]:
        """Run an episode."""
        robot = make_environment(self.robot, robots.draw(seed))
        timed = _Timed(PolicyController(self.policy, robot.torque_limit, delay=execution.delay))
        return walk(seed, robot, timed)[0], timed.seconds


class _Late:
    """Gives the torques of a controller some periods late."""

    def __init__(self, controller: Controller, before: NDArray) -> None:
        self._controller = controller
        self._waiting = deque(before)

    def __call__(self, state: NDArray, step: int) -> NDArray:
        self._waiting.append(self._controller(state, step))
        return self._waiting.popleft()


class _Timed:
    """Measures how long a controller takes."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.seconds: list[float] = []

    def __call__(self, state: NDArray, step: int) -> NDArray:
        begin = time.perf_counter()
        torque = self._controller(state, step)
        self.seconds.append(time.perf_counter() - begin)
        return torque
