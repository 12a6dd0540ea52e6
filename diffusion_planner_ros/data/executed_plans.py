"""Read executed plans that the node ``recorder`` wrote."""

from dataclasses import dataclass
import json
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from ..errors import DatasetError
from ..robot import Robot
from .dataset import episode_names, open_file, read_minari_episode

PLANS = 'plans'


@dataclass(frozen=True)
class LoggedEpisode:
    """Consecutive steps of one robot, and what was planned at each."""

    episode: Episode
    """Observations have n + 1 rows; rewards are NaN where none were recorded."""
    plans: NDArray
    """Planned states [SI] of the plan that starts from each observation but the last, its first
    row that observation; NaN where there is none, shape (n, H, S)."""
    has_rewards: bool


def _check_layout(file: Path, root: h5py.File, robot: Robot) -> None:
    if 'robot' not in root.attrs:
        raise DatasetError(f"{file}: attribute 'robot' is missing, expected a log of executed "
                           'plans; a data set without plans is for train --data')
    found = Robot.from_dict(json.loads(root.attrs['robot']), f'{file}: attribute robot')
    if (found.state, found.action, found.control_period) != (
            robot.state, robot.action, robot.control_period):
        raise DatasetError(f"{file}: is of robot '{found.name}' with another layout or control "
                           f"period, expected those of '{robot.name}'")


def _read_plans(file: Path, group: h5py.Group, n: int, robot: Robot) -> NDArray:
    where = f"{file}: key '{group.name}/{PLANS}'"
    if PLANS not in group:
        raise DatasetError(f'{where} is missing; found {", ".join(sorted(group))}')
    plans = group[PLANS][()]
    if plans.ndim != 3 or (len(plans), plans.shape[2]) != (n, robot.state_dim):
        raise DatasetError(f'{where} has shape {plans.shape}, expected ({n}, H, '
                           f'{robot.state_dim})')
    has_plan = np.isfinite(plans).all(axis=(1, 2))
    if not np.isnan(plans[~has_plan]).all():
        raise DatasetError(f'{where} has plans with values that are not finite, expected none but '
                           'those that are missing, all NaN')
    return plans


def read_log(file: Path, robot: Robot) -> list[LoggedEpisode]:
    """
    Read the episodes of a log.

    :param robot: that of the model to be aligned.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    logged = []
    with open_file(file) as root:
        _check_layout(file, root, robot)
        for name in episode_names(root):
            group = root[name]
            has_rewards = 'rewards' in group
            episode = read_minari_episode(file, group, robot, needs_rewards=False)
            if len(episode.observations) != len(episode) + 1:
                raise DatasetError(f"{file}: key '{group.name}/observations' has "
                                   f'{len(episode.observations)} rows, expected '
                                   f'{len(episode) + 1}: what came of the last action, too')
            logged.append(LoggedEpisode(episode, _read_plans(file, group, len(episode), robot),
                                        has_rewards))
    if not logged:
        raise DatasetError(f'{file}: no episodes, expected at least one')
    return logged
