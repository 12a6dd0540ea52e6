# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Episodes of a contestant under the conditions of a comparison, within a limit of time."""

from collections.abc import Iterator
from dataclasses import dataclass
import time
from typing import Any

import numpy as np

from ...errors import ConfigError
from ..closed_loop import EpisodeResult, summarize
from ..robustness.robustness_conditions import Condition, CONDITIONS, NOMINAL
from .contestants import Contestant

DELAYED, LIGHT, HEAVY = 'delay 1, not compensated', 'mass -20 %', 'mass +20 %'
COMPARED = (NOMINAL, DELAYED, LIGHT, HEAVY)
"""Names of the conditions, as in ``robustness``."""


@dataclass(frozen=True)
class Evaluation:
    """How a method is evaluated; the same for all."""

    episodes: int
    first_seed: int
    minutes: float
    """Limit of every condition [min on one core]; one episode is run in any case."""

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ConfigError(f'episodes is {self.episodes}, expected at least 1')
        if not 0.0 < self.minutes < float('inf'):
            raise ConfigError(f'evaluation_minutes is {self.minutes}, expected a finite number '
                              'above 0')

    def measure(self, contestant: Contestant, robot: str) -> dict[str, Any]:
        """
        Run episodes under every condition.

        :param robot: name of the robot.
        :return: what they came to by condition, and how long plans took.
        """
        conditions, seconds = {}, []
        for name in COMPARED:
            walked = list(self._episodes(contestant, CONDITIONS[name]))
            conditions[name] = summarize([result for result, _ in walked], robot)
            if name == NOMINAL:
                seconds = [took for _, plans in walked for took in plans]
        return {'conditions': conditions,
                'plan_p50_ms': float(np.percentile(seconds, 50)) * 1e3,
                'plan_p99_ms': float(np.percentile(seconds, 99)) * 1e3}

    def _episodes(self, contestant: Contestant, condition: Condition
                  ) -> Iterator[tuple[EpisodeResult, list[float]]]:
        """Yield the episodes of the first seeds, as many as fit into the time."""
        begin = time.process_time()
        for seed in range(self.first_seed, self.first_seed + self.episodes):
            yield contestant.walk(seed, *condition)
            if time.process_time() - begin > 60.0 * self.minutes:
                return
