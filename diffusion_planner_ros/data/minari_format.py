# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Minari's layout: a folder with an HDF5 file in which every episode is a group."""

from collections.abc import Sequence
import json
import os
from pathlib import Path
import re
import shutil
import tempfile
from typing import Any, TYPE_CHECKING
import warnings

import numpy as np

from ..episode import Episode
from ..errors import DatasetError
from ..robot import Robot
from .hdf5_access import holds, open_to_read, read_array

if TYPE_CHECKING:
    import h5py

MINARI_FILE = Path('data') / 'main_data.hdf5'
NAMESPACE_FILE = 'namespace_metadata.json'  # of Minari, in folders between root and data set
KEYS = ('observations', 'actions', 'rewards', 'terminations', 'truncations')
POLICY_ACTIONS = 'infos/policy_actions'
COMMANDS = 'infos/commanded_speed'
EPISODE = re.compile(r'episode_\d+')


def is_minari(path: Path) -> bool:
    """Return whether a path is the folder of a Minari data set, or the HDF5 file in it."""
    return ((path / MINARI_FILE).is_file()
            or holds(path, lambda root: bool(episode_names(root))))


def episode_names(root: 'h5py.File') -> list[str]:
    """Return the keys of the episodes of a Minari file, in order."""
    return sorted(filter(EPISODE.fullmatch, root), key=lambda n: int(n.split('_')[1]))


def read_minari_episode(file: Path, group: 'h5py.Group', robot: Robot, *,
                        needs_rewards: bool = True) -> Episode:
    """
    Read one episode of a Minari file.

    :param needs_rewards: whether to refuse an episode without rewards; otherwise they are NaN.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    shapes = {'observations': (robot.state_dim,), 'actions': (robot.action_dim,),
              POLICY_ACTIONS: (robot.action_dim,)}
    if needs_rewards and 'rewards' not in group:
        raise DatasetError(f"{file}: key '{group.name}/rewards' is missing; found "
                           f'{", ".join(sorted(group)) or "no key"}; train --skip-unrewarded '
                           'leaves such episodes out, import --rewards task fills rewards in')
    keys = [k for k in KEYS if k != 'rewards' or k in group]
    keys += [k for k in (POLICY_ACTIONS, COMMANDS) if k in group]
    arrays = {key: read_array(file, group, key, shapes.get(key, ())) for key in keys}
    n = len(arrays['actions'])
    arrays.setdefault('rewards', np.full(n, np.nan))
    n_observations = len(arrays['observations'])
    if n_observations not in (n, n + 1):
        raise DatasetError(f"{file}: key '{group.name}/observations' has {n_observations} rows, "
                           f'expected {n} or {n + 1} for {n} actions')
    for key in (k for k in arrays if k != 'observations'):
        if len(arrays[key]) != n:
            raise DatasetError(f"{file}: key '{group.name}/{key}' has {len(arrays[key])} rows, "
                               f'expected {n} as there are actions')
    return Episode(arrays['observations'], arrays['actions'], arrays['rewards'],
                   n > 0 and bool(arrays['terminations'][-1]),
                   policy_actions=arrays.get(POLICY_ACTIONS), commands=arrays.get(COMMANDS))


def read_minari(path: Path, robot: Robot, *, needs_rewards: bool = True) -> list[Episode]:
    """
    Read a Minari data set (https://minari.farama.org), its folder or the HDF5 file in it.

    :param needs_rewards: whether to refuse episodes without rewards; otherwise these are NaN.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    file = path / MINARI_FILE if path.is_dir() else path
    with open_to_read(file) as root:
        return [read_minari_episode(file, root[name], robot, needs_rewards=needs_rewards)
                for name in episode_names(root)]


def read_metadata(path: Path) -> dict[str, Any]:
    """
    Return what is recorded beside a Minari data set; empty for another format.

    :param path: folder of the data set, or the HDF5 file in it.
    :raises DatasetError: if it is damaged.
    """
    folder = path if path.is_dir() else path.parent.parent
    file = folder / 'data' / 'metadata.json'
    try:
        return json.loads(file.read_text()) if file.is_file() else {}
    except json.JSONDecodeError as error:
        raise DatasetError(f'{file}: not a JSON file ({error})') from error


def write_minari(root: Path, dataset_id: str, episodes: Sequence[Episode], *,
                 environment: str | None, algorithm: str, description: str,
                 reference_returns: tuple[float, float] | None = None,
                 metadata: dict[str, Any]) -> Path:
    """
    Write one data set to ``root/DATASET_ID`` and return that folder; plans are left out.

    ``minari.load_dataset(dataset_id)`` reads it with ``MINARI_DATASETS_PATH`` set to ``root``. A
    data set of that name that is already there is replaced. Episodes without rewards are written
    without the key ``rewards``, as those of the node ``recorder``; Minari itself does not read
    them.

    :param dataset_id: as ``walker2d/medium-v0``.
    :param episodes: at least one, each with the state after its last action.
    :param environment: id of the same robot in Gymnasium, for whoever reads the data; None
        where there is none.
    :param algorithm: what chose the actions.
    :param reference_returns: mean return of a random policy and of an expert, score 0 and 100;
        None where nobody knows them.
    :param metadata: numbers and texts to be kept beside the episodes.
    :raises DatasetError: if there is no episode to write.
    """
    import gymnasium
    import minari

    if not episodes:
        raise DatasetError(f"data set '{dataset_id}' has no complete episode; collect more "
                           'transitions')
    folder = root / dataset_id
    root.mkdir(parents=True, exist_ok=True)
    low, high = reference_returns or (None, None)
    states, actions = episodes[0].observations, episodes[0].actions
    # Elsewhere at first: what is interrupted leaves no half of a data set behind.
    with (tempfile.TemporaryDirectory(prefix='.partial-', dir=root.resolve()) as scratch,
          warnings.catch_warnings()):
        # Minari takes the folder of its data sets from the environment alone.
        os.environ['MINARI_DATASETS_PATH'] = scratch
        # Minari asks every author for an address and a permanent link; these data are the user's.
        warnings.simplefilter('ignore', UserWarning)
        dataset = minari.create_dataset_from_buffers(
            dataset_id, [_buffer(i, e) for i, e in enumerate(episodes)], env=environment,
            algorithm_name=algorithm, ref_min_score=low, ref_max_score=high,
            observation_space=gymnasium.spaces.Box(-np.inf, np.inf, states.shape[1:], np.float32),
            action_space=gymnasium.spaces.Box(-1.0, 1.0, actions.shape[1:], np.float32),
            description=description)
        dataset.storage.update_metadata(metadata)
        _remove_rewards(Path(scratch, dataset_id) / MINARI_FILE,
                        [i for i, e in enumerate(episodes) if not e.has_rewards])
        _move(Path(scratch), root, dataset_id)
    os.environ['MINARI_DATASETS_PATH'] = str(root.resolve())
    return folder


def _move(scratch: Path, root: Path, dataset_id: str) -> None:
    """Put a data set in the place of the one before, with what Minari notes above it."""
    folder = root / dataset_id
    folder.parent.mkdir(parents=True, exist_ok=True)
    for note in scratch.rglob(NAMESPACE_FILE):
        note.replace(root / note.relative_to(scratch))
    shutil.rmtree(folder, ignore_errors=True)
    (scratch / dataset_id).rename(folder)


def _remove_rewards(file: Path, numbers: Sequence[int]) -> None:
    """Remove the rewards of episodes that have none."""
    import h5py

    with h5py.File(file, 'r+') as root:
        for number in numbers:
            del root[f'episode_{number}/rewards']


def _buffer(number: int, episode: Episode) -> Any:
    from minari.data_collector import EpisodeBuffer

    n = len(episode)
    infos = {key.removeprefix('infos/'): values.astype(np.float32) for key, values in (
        (POLICY_ACTIONS, episode.policy_actions), (COMMANDS, episode.commands))
        if values is not None}
    return EpisodeBuffer(
        id=number, observations=episode.observations.astype(np.float32),
        actions=episode.actions.astype(np.float32), rewards=episode.rewards.tolist(),
        terminations=[False] * (n - 1) + [episode.terminated],
        truncations=[False] * (n - 1) + [not episode.terminated],
        infos=infos or None)
