# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Logs of executed plans: Minari's layout with the plans beside what came of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from ..errors import DatasetError, OutputError
from ..files import in_words
from ..robot import Robot
from .hdf5_access import holds, open_to_read
from .minari_format import episode_names, read_minari_episode

if TYPE_CHECKING:
    import h5py

PLANS = 'plans'
ROBOT = 'robot'  # attribute that tells a log from a Minari file: the robot's facts as JSON
N_NAMED = 10  # episodes that an error names
LAYOUT_SIZE = 65_536  # [bytes] that HDF5 needs beside the arrays of an episode; seen: 6,000
LAYOUT_SIZE_PER_EPISODE = 64  # [bytes] more, for the list of names moves when it grows; seen: 32


def is_log(path: Path) -> bool:
    """Return whether a file is a log of executed plans."""
    return holds(path, lambda root: ROBOT in root.attrs)


def _check_layout(file: Path, root: 'h5py.File', robot: Robot) -> None:
    if ROBOT not in root.attrs:
        raise DatasetError(f"{file}: attribute '{ROBOT}' is missing, expected a log of executed "
                           'plans; a data set without plans is for train --data')
    found = Robot.from_dict(json.loads(root.attrs[ROBOT]), f'{file}: attribute {ROBOT}')
    if (found.state, found.action, found.control_period) != (
            robot.state, robot.action, robot.control_period):
        raise DatasetError(f"{file}: is of robot '{found.name}' with another layout or control "
                           f"period, expected those of '{robot.name}'; name its own robot with "
                           '--robot')


def _check_rewards(file: Path, root: 'h5py.File', names: list[str]) -> None:
    """Refuse episodes that were recorded without rewards, all of them in one error."""
    unrewarded = [name for name in names if 'rewards' not in root[name]]
    if unrewarded:
        named = ', '.join(unrewarded[:N_NAMED]) + (', ...' if len(unrewarded) > N_NAMED else '')
        raise DatasetError(f'{file}: {len(unrewarded)} of {len(names)} episodes were recorded '
                           f'without rewards, expected them on topic reward: {named}; train '
                           '--skip-unrewarded leaves them out, align --from-log takes them')


def _read_plans(file: Path, group: 'h5py.Group', n: int, robot: Robot) -> NDArray:
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


def read_log(file: Path, robot: Robot, *, needs_rewards: bool = False) -> list[Episode]:
    """
    Read the episodes of a log, each with its plans and the state after its last action.

    :param robot: that of the model that is to learn from them.
    :param needs_rewards: whether to refuse a log in which rewards are missing; otherwise these are
        NaN.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    episodes = []
    with open_to_read(file) as root:
        _check_layout(file, root, robot)
        names = episode_names(root)
        if needs_rewards:
            _check_rewards(file, root, names)
        for name in names:
            group = root[name]
            episode = read_minari_episode(file, group, robot, needs_rewards=needs_rewards)
            if episode.last_state is None:
                raise DatasetError(f"{file}: key '{group.name}/observations' has "
                                   f'{len(episode.observations)} rows, expected '
                                   f'{len(episode) + 1}: the state after the last action, too')
            plans = _read_plans(file, group, len(episode), robot)
            episodes.append(replace(episode, plans=plans))
    if not episodes:
        raise DatasetError(f'{file}: no episodes, expected at least one')
    return episodes


class LogWriter:
    """
    Writes one episode after the other.

    The file is open only while an episode is written: whatever happens later, it stays readable.
    An episode that the disk has no room for is not begun, and nothing is written after it.

    :param file: to be made.
    :param bundle_hash: of the model that plans.
    :raises OutputError: if it is there already, cannot be written, or h5py is missing.
    """

    def __init__(self, file: Path, robot: Robot, *, bundle_hash: str) -> None:
        self.file = file
        self.n_episodes = 0
        self.has_failed = False
        """Whether an episode could not be written; no other one is then."""
        with in_words(file):
            file.touch(exist_ok=False)
        try:
            with self._open('w', 0) as root:
                root.attrs.update({
                    'robot': json.dumps(robot.to_dict()), 'control_period': robot.control_period,
                    'bundle_hash': bundle_hash,
                    'created': datetime.now(timezone.utc).isoformat(timespec='seconds')})
        except OutputError:
            file.unlink()
            raise

    def write(self, episode: Episode) -> None:
        """
        Add an episode.

        :param episode: with its plans and the state after its last action; rewards that are NaN
            are left out.
        :raises OutputError: if the file cannot be written.
        """
        n = len(episode)
        is_last = np.arange(n) == n - 1
        arrays = {'observations': episode.observations, 'actions': episode.actions,
                  'terminations': is_last & episode.terminated,
                  'truncations': is_last & (not episode.terminated)}
        if episode.plans is not None:
            arrays[PLANS] = episode.plans
        if episode.has_rewards:
            arrays['rewards'] = episode.rewards
        if self.has_failed:
            raise OutputError(f'{self.file}: an episode before could not be written, and '
                              'nothing more is')
        self.has_failed = True  # until it is complete
        with self._open('r+', sum(array.nbytes for array in arrays.values())) as root:
            group = root.create_group(f'episode_{self.n_episodes}')
            group.attrs.update({'id': self.n_episodes, 'total_steps': n})
            for key, array in arrays.items():
                group[key] = array
        self.has_failed = False
        self.n_episodes += 1

    @contextmanager
    def _open(self, mode: str, size: int) -> Iterator['h5py.File']:
        """Open the file to write arrays of ``size`` bytes."""
        try:
            import h5py
        except ImportError as error:
            raise OutputError(f'{self.file}: cannot be written without h5py; install it (pip '
                              'install h5py, or the package python3-h5py)') from error
        with in_words(self.file, RuntimeError):  # h5py raises either, in many lines
            self._reserve(size + LAYOUT_SIZE + LAYOUT_SIZE_PER_EPISODE * self.n_episodes)
            # Whoever looks into the file meanwhile must not keep us from writing.
            with h5py.File(self.file, mode, locking=False) as root:
                yield root

    def _reserve(self, size: int) -> None:
        """
        Make room for so many bytes at the end of the file, or leave it as it is.

        HDF5 would notice a full disk in the middle of an episode. It cuts off what is left.
        """
        with self.file.open('r+b') as file:
            end = os.fstat(file.fileno()).st_size
            try:
                os.posix_fallocate(file.fileno(), end, size)
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise
