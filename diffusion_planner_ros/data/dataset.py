"""Read recorded episodes from Minari and D4RL files, and cut windows from them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..episode import Episode, return_to_go
from ..errors import DatasetError
from ..files import written
from ..robot import Robot

D4RL_KEYS = ('observations', 'actions', 'rewards', 'terminals', 'timeouts')
MINARI_KEYS = ('observations', 'actions', 'rewards', 'terminations', 'truncations')
EPISODE = re.compile(r'episode_\d+')
MINARI_FILE = Path('data') / 'main_data.hdf5'
N_NAMED = 10  # episodes that an error names


@contextmanager
def open_file(file: Path) -> Iterator[h5py.File]:
    """
    Open an HDF5 file to read.

    :raises DatasetError: if it is not there or damaged.
    """
    if not file.is_file():
        raise DatasetError(f'{file}: no such file; expected the folder of a Minari data set or an '
                           "HDF5 file in D4RL's layout")
    try:
        with h5py.File(file, 'r') as root:
            yield root
    except OSError as error:
        raise DatasetError(f'{file}: not a readable HDF5 file, expected a complete one '
                           f'({error})') from error


def _read(file: Path, group: h5py.Group, key: str, shape: tuple[int, ...]) -> NDArray:
    """Read one array and check it; ``shape`` without the first dimension."""
    where = f"{file}: key '{group.name.rstrip('/')}/{key}'"
    if key not in group:
        raise DatasetError(f'{where} is missing; found {", ".join(sorted(group)) or "no key"}')
    if not isinstance(group[key], h5py.Dataset):
        raise DatasetError(f'{where} is a group, expected an array (dictionary observations are '
                           'not supported)')
    array = group[key][()]
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape:
        expected = ', '.join(['n', *map(str, shape)])
        raise DatasetError(f'{where} has shape {array.shape}, expected ({expected})')
    if array.dtype.kind == 'f' and not np.isfinite(array).all():
        n_bad = int((~np.isfinite(array)).sum())
        raise DatasetError(f'{where} has {n_bad} values that are not finite, expected none')
    return array


def _read_group(file: Path, group: h5py.Group, keys: Sequence[str], robot: Robot
                ) -> list[NDArray]:
    shapes = {'observations': (robot.state_dim,), 'actions': (robot.action_dim,)}
    return [_read(file, group, key, shapes.get(key, ())) for key in keys]


def episode_names(root: h5py.File) -> list[str]:
    """Return the keys of the episodes of a Minari file, in order."""
    return sorted(filter(EPISODE.fullmatch, root), key=lambda n: int(n.split('_')[1]))


def read_minari_episode(file: Path, group: h5py.Group, robot: Robot, *,
                        needs_rewards: bool = True) -> Episode:
    """
    Read one episode of a Minari file.

    :param needs_rewards: whether to refuse an episode without rewards; otherwise they are NaN.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    keys = [k for k in MINARI_KEYS if k != 'rewards' or k in group or needs_rewards]
    arrays = dict(zip(keys, _read_group(file, group, keys, robot), strict=True))
    n = len(arrays['actions'])
    arrays.setdefault('rewards', np.full(n, np.nan))
    n_observations = len(arrays['observations'])
    if n_observations not in (n, n + 1):
        raise DatasetError(f"{file}: key '{group.name}/observations' has {n_observations} rows, "
                           f'expected {n} or {n + 1} for {n} actions')
    for key in MINARI_KEYS[2:]:
        if len(arrays[key]) != n:
            raise DatasetError(f"{file}: key '{group.name}/{key}' has {len(arrays[key])} rows, "
                               f'expected {n} as there are actions')
    return Episode(arrays['observations'], arrays['actions'], arrays['rewards'],
                   n > 0 and bool(arrays['terminations'][-1]))


def _read_d4rl(file: Path, root: h5py.File, robot: Robot) -> list[Episode]:
    observations, actions, rewards, terminals, timeouts = _read_group(file, root, D4RL_KEYS, robot)
    n = len(observations)
    for key, array in zip(D4RL_KEYS[1:], (actions, rewards, terminals, timeouts), strict=True):
        if len(array) != n:
            raise DatasetError(f"{file}: key '/{key}' has {len(array)} rows, expected {n} as "
                               'there are observations')
    terminals, timeouts = terminals.astype(bool), timeouts.astype(bool)
    ends = np.flatnonzero(terminals | timeouts) + 1
    # What follows the last end was cut off by the recording and is an episode without a fall.
    ends = np.unique(np.append(ends, n)) if n else ends
    starts = np.concatenate([[0], ends])[:-1]
    return [Episode(observations[a:b], actions[a:b], rewards[a:b], bool(terminals[b - 1]))
            for a, b in zip(starts, ends, strict=True)]


def _check_rewarded(file: Path, root: h5py.File, names: list[str]) -> None:
    """Refuse executed plans that were recorded without rewards, all of them in one error."""
    unrewarded = [name for name in names if 'rewards' not in root[name] and 'plans' in root[name]]
    if unrewarded:
        named = ', '.join(unrewarded[:N_NAMED]) + (', ...' if len(unrewarded) > N_NAMED else '')
        raise DatasetError(f'{file}: {len(unrewarded)} of {len(names)} episodes were recorded '
                           f'without rewards, expected them on topic reward: {named}; train '
                           '--skip-unrewarded leaves them out, align --from-log takes them')


def read_episodes(path: Path, robot: Robot, *, needs_rewards: bool = True) -> list[Episode]:
    """
    Read a Minari data set (its folder or its HDF5 file) or a D4RL file.

    :param needs_rewards: whether to refuse episodes without rewards; otherwise these are NaN.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    file = path / MINARI_FILE if path.is_dir() else path
    with open_file(file) as root:
        names = episode_names(root)
        if needs_rewards:
            _check_rewarded(file, root, names)
        episodes = ([read_minari_episode(file, root[name], robot, needs_rewards=needs_rewards)
                     for name in names] if names else _read_d4rl(file, root, robot))
    episodes = [e for e in episodes if len(e)]
    if not episodes:
        raise DatasetError(f'{file}: no episodes, expected at least one')
    return episodes


def write_d4rl(file: Path, episodes: Sequence[Episode]) -> None:
    """
    Write episodes in D4RL's layout; the observation after the last action is left out.

    :raises OutputError: if the file cannot be written.
    """
    ends = np.cumsum([len(e) for e in episodes]) - 1
    terminals = np.zeros(ends[-1] + 1, dtype=bool)
    timeouts = np.zeros_like(terminals)
    terminals[ends] = [e.terminated for e in episodes]
    timeouts[ends] = ~terminals[ends]
    arrays = (np.concatenate([e.observations[:len(e)] for e in episodes]),
              np.concatenate([e.actions for e in episodes]),
              np.concatenate([e.rewards for e in episodes]), terminals, timeouts)
    with written(file) as scratch, h5py.File(scratch, 'w') as root:
        for key, array in zip(D4RL_KEYS, arrays, strict=True):
            root[key] = array


def read_metadata(path: Path) -> dict[str, Any]:
    """
    Return what is recorded beside a Minari data set; empty for a D4RL file.

    :raises DatasetError: if it is damaged.
    """
    folder = path if path.is_dir() else path.parent.parent
    file = folder / 'data' / 'metadata.json'
    try:
        return json.loads(file.read_text()) if file.is_file() else {}
    except json.JSONDecodeError as error:
        raise DatasetError(f'{file}: not a JSON file ({error})') from error


@dataclass(frozen=True)
class Windows:
    """All windows of length H of a data set, as rows ``[a | s]`` in SI units."""

    rows: NDArray
    """Torques [N m] and states [SI] of all episodes, one after another, shape (n, D)."""
    starts: NDArray
    """First row of every window; no window crosses or passes the end of an episode."""
    values: NDArray
    """Discounted return-to-go of every row, shape (n,)."""
    horizon: int

    @classmethod
    def cut(cls, episodes: list[Episode], robot: Robot, horizon: int, *, discount: float,
            fall_penalty: float) -> 'Windows':
        """
        Cut every window of ``horizon`` rows.

        :raises DatasetError: if no episode is long enough.
        """
        rows, starts, values = [], [], []
        n_rows = 0
        for episode in episodes:
            n = len(episode)
            state = np.clip(episode.observations[:n], -robot.state_clip, robot.state_clip)
            rows.append(np.concatenate([episode.actions * robot.torque_limit, state], axis=1))
            values.append(return_to_go(episode, discount=discount, fall_penalty=fall_penalty))
            starts.append(np.arange(n_rows, n_rows + max(0, n - horizon + 1)))
            n_rows += n
        if not sum(len(s) for s in starts):
            raise DatasetError(f'the longest of {len(episodes)} episodes has '
                               f'{max(map(len, episodes))} steps, expected at least {horizon}, '
                               'the horizon')
        return cls(np.concatenate(rows), np.concatenate(starts), np.concatenate(values), horizon)
