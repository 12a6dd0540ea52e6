# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How near a planner keeps to commanded speeds, in closed-loop episodes."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError
from ...planning.bundle import Bundle
from ...planning.planner import Plan, Planner
from ...planning.planner_config import PlannerConfig
from ...sim.environment import Environment
from ..closed_loop import episode_planner, run_episode
from ..progress import Progress, silent

LAST = 5.0  # [s], end of an episode over which the speed is averaged


@dataclass(frozen=True)
class FollowedSpeed:
    """One episode at one commanded speed."""

    commanded: float
    """[m/s]"""
    mean: float
    """Over the last ``LAST`` seconds [m/s]; NaN after a fall."""
    fell: bool


def follow(seed: int, commanded: float, *, path: Path, config: PlannerConfig) -> FollowedSpeed:
    """
    Run an episode with one command from its beginning.

    :param seed: of the initial state.
    :param commanded: speed that the planner is told [m/s].
    :param path: folder of the bundle.
    """
    planner = episode_planner(path, replace(config, target_speed=commanded), seed)
    positions: list[float] = []

    def watch(robot: Environment, plan: Plan) -> None:
        del plan
        positions.append(robot.position)
    result, _ = run_episode(seed, planner=planner, on_plan=watch)
    positions.append(positions[0] + result.distance)
    n_last = round(LAST / planner.bundle.robot.control_period)
    if result.fell or len(positions) <= n_last:
        return FollowedSpeed(commanded, float('nan'), fell=result.fell)
    return FollowedSpeed(commanded, (positions[-1] - positions[-1 - n_last]) / LAST, fell=False)


def measure_speeds(bundle: Bundle, config: PlannerConfig, speeds: Sequence[float],
                   seeds: Sequence[int], *, pool: ProcessPoolExecutor,
                   progress: Progress = silent) -> list[dict[str, Any]]:
    """
    Let a robot follow every speed in one episode for every seed.

    :param config: that follows speeds: with guide ``speed``, or a model that is told one.
    :param speeds: that are commanded [m/s].
    :param seeds: of the initial states.
    :param pool: worker processes.
    :param progress: is told of every episode.
    :return: for every speed its command, the mean of the speeds that were walked over the last
        ``LAST`` seconds and the largest error of an episode [m/s], both without episodes that
        ended in a fall and None where all did, and the number of falls.
    :raises ConfigError: before anything runs, if it follows none.
    """
    if not Planner(bundle, config).follows_speed:
        raise ConfigError(f"guides is {', '.join(config.guides)} and return_weight "
                          f"{config.return_weight}, expected 'speed' among them, or a model that "
                          'is told a speed and a weight above 0, as with --preset commanded')
    pairs = list(product(speeds, seeds))
    found: list[FollowedSpeed] = []
    with progress('walking', len(pairs), unit='episodes') as advance:
        for one in pool.map(partial(_follow, path=bundle.path, config=config), pairs):
            found.append(one)
            advance(1, speed=f'{one.mean:.2f}')
    return [summarize(speed, [one for one in found if one.commanded == speed]) for speed in speeds]


def _follow(pair: tuple[float, int], path: Path, config: PlannerConfig) -> FollowedSpeed:
    commanded, seed = pair
    return follow(seed, commanded, path=path, config=config)


def summarize(commanded: float, found: Sequence[FollowedSpeed]) -> dict[str, Any]:
    """Return the row of one speed, see ``measure_speeds``."""
    walked = np.array([one.mean for one in found if np.isfinite(one.mean)])
    return {'commanded': commanded, 'episodes': len(found),
            'speed': float(walked.mean()) if len(walked) else None,
            'largest_error': float(np.abs(walked - commanded).max()) if len(walked) else None,
            'falls': sum(one.fell for one in found)}
