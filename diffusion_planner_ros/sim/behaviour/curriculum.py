# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Which robots a policy learns on: ever more different ones, or a mixture of all."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..perturbation import Perturbation
from ..perturbation_ranges import HARD, PerturbationRanges, Robots, WIDE

START, END = 0.1, 0.6  # of the learning: the robots begin to differ; they differ as much as asked


class Course(Protocol):
    """The robots of the episodes of one run."""

    share: float
    """How much of the ranges is in use, from 0 to 1."""

    def advance(self, progress: float) -> None:
        """Take robots that belong to this share of the learning, from 0 to 1."""

    def draw(self, seed: int) -> Perturbation:
        """Return the robot of an episode; ``seed`` is that of the episode."""


class Curriculum:
    """
    Draw the robots of episodes from ranges that grow from one robot to all that is asked for.

    A policy that learns on all of them from the start stays on its feet, but walks slowly.

    :param robots: that the policy learns on in the end; a single one needs no curriculum.
    """

    def __init__(self, robots: Robots) -> None:
        self._robots = robots
        self.share = 0.0 if isinstance(robots, PerturbationRanges) else 1.0
        """How much of the ranges is in use, from 0 to 1."""

    def advance(self, progress: float) -> None:
        """Take robots that belong to this share of the learning, from 0 to 1."""
        if isinstance(self._robots, PerturbationRanges):
            self.share = float(np.clip((progress - START) / (END - START), 0.0, 1.0))

    def draw(self, seed: int) -> Perturbation:
        """Return the robot of an episode; ``seed`` is that of the episode."""
        robots = self._robots
        if isinstance(robots, PerturbationRanges):
            robots = robots.scaled(self.share)
        return robots.draw(seed)


@dataclass
class Mixture:
    """
    All robots from the beginning, for a policy that can walk already.

    :param ranges: of the robots.
    :param exponent: how hard they are, see ``PerturbationRanges.mixed``.
    """

    ranges: PerturbationRanges
    exponent: float
    share: float = 1.0

    def advance(self, progress: float) -> None:
        """Change nothing."""

    def draw(self, seed: int) -> Perturbation:
        """Return the robot of an episode; ``seed`` is that of the episode."""
        return self.ranges.mixed(seed, self.exponent)


@dataclass(frozen=True)
class Lesson:
    """What a policy that can walk goes on to learn."""

    robots: Mixture
    learning_rate: float
    """At first; it falls to a tenth."""


LESSONS = {'wide': Lesson(Mixture(WIDE, 0.6), 2e-4), 'hard': Lesson(Mixture(HARD, 0.5), 1.5e-4)}
"""In the order in which the shipped teacher learned them, after ``learn``."""
