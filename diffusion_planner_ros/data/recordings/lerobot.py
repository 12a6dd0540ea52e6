# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
LeRobot data sets, versions 2 and 3: a folder with ``meta/info.json`` and Parquet files.

https://huggingface.co/docs/lerobot/lerobot-dataset-v3. Version 2 has a file for each episode,
version 3 has files with many; a frame names its episode in both.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from ...messages.names import shortened
from ...robot import Robot
from .lerobot_features import find_entry, frames_per_second, INFO_FILE, read_info
from .recording import naming, Recording
from .resampling import resample, Resampled
from .samples import Samples
from .tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa

# Columns with states, and what an entry is that its name does not say.
STATES = {'observation.state': 'position', 'observation.velocity': 'velocity'}
ACTION, EPISODE, FRAME, TIME = 'action', 'episode_index', 'frame_index', 'timestamp'
REWARD, DONE = 'next.reward', 'next.done'


def is_lerobot(path: Path) -> bool:
    """Return whether a path is the folder of a LeRobot data set."""
    return (path / INFO_FILE).is_file()


def read_lerobot(path: Path, robot: Robot, max_gap: float) -> Recording:
    """
    Read a data set of joint states and torques.

    A frame has the state, and the action that acted from there to the next frame. The names of the
    features in ``meta/info.json`` say which joint an entry is of: ``JOINT.pos``, ``JOINT.vel`` or
    ``JOINT.effort``; without an end, entries of ``observation.state`` are positions, those of
    ``observation.velocity`` velocities and those of ``action`` torques. All are in SI units.
    ``next.done`` ends an episode; that is no fall.

    :param max_gap: largest time between two frames of an episode [control periods].
    :raises DatasetError: naming file, column, what was found and expected.
    """
    info = read_info(path)
    states = [find_entry(path, info, STATES, e.joint, e.quantity) for e in robot.state]
    torques = [find_entry(path, info, {ACTION: 'effort'}, e.joint, 'effort')
               for e in robot.action]
    table = _table(path, {column for column, _ in (*states, *torques)})
    tally = Tally()
    everything = list(_samples(path, table, states, torques, info, tally))
    with naming(path):
        parts = [resample(samples, robot, max_gap, tally) for samples in everything]
    episodes = [episode for part in parts for episode in part.episodes]
    if not episodes:
        raise DatasetError(f'{path}: no step is left of {table.num_rows} frames, '
                           f'{tally.explained()}')
    resampled = Resampled(
        episodes, float(np.median([p.spacing for p in parts])),
        any(p.is_interpolated for p in parts), sum(p.n_measured for p in parts),
        sum(p.n_interpolated for p in parts))
    n_missing = int(info.get('total_frames', table.num_rows)) - table.num_rows
    return Recording(episodes, tally, {
        'format': f'LeRobot {info["codebase_version"]}',
        **({'damage': f'{n_missing} of {info["total_frames"]} frames are missing'}
           if n_missing > 0 else {}),
        'frames': table.num_rows, **resampled.facts(robot.control_period, max_gap)})


def _table(path: Path, columns: set[str]) -> 'pa.Table':
    """Read the frames of all files; optional columns where they are there."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    files = sorted(path.glob('data/**/*.parquet'))
    if not files:
        raise DatasetError(f'{path}: no files data/**/*.parquet, expected the frames of the data '
                           'set; download it completely')
    needed = [EPISODE, *sorted(columns)]
    tables = []
    for file in files:
        try:
            there = parquet.read_schema(file).names
            if missing := [c for c in (*needed, *([] if TIME in there else [FRAME]))
                           if c not in there]:
                raise DatasetError(f"{file}: column '{missing[0]}' is missing, found "
                                   f'{shortened(there)}; expected a file of LeRobot 2 or 3; '
                                   'convert the data set with the scripts of LeRobot')
            wanted = [c for c in (*needed, FRAME, TIME, REWARD, DONE) if c in there]
            tables.append(parquet.read_table(file, columns=wanted))
        except (pa.ArrowInvalid, OSError) as error:
            raise DatasetError(f'{file}: not a readable Parquet file ({error}), expected a '
                               'complete one; download it again') from error
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        raise DatasetError(f'{path}: files of data/ have other columns than the first '
                           f'({" ".join(str(error).split())}), expected the same in all of them; '
                           'convert the data set anew') from error


def _column(path: Path, table: 'pa.Table', name: str) -> NDArray:
    """Return a column of numbers, shape (n,), or of lists of them, shape (n, m)."""
    rows = table.column(name).to_pylist()
    try:
        return np.array(rows, dtype=float).reshape(len(rows), -1)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{path}: column '{name}' does not hold equally many numbers in every "
                           f'frame ({error}); convert the data set anew') from error


def _entries(path: Path, table: 'pa.Table', places: list[tuple[str, int]]) -> NDArray:
    """Return the entries at places in columns, shape (n, len(places))."""
    columns = {name: _column(path, table, name) for name, _ in places}
    for name, index in places:
        if index >= columns[name].shape[1]:
            raise DatasetError(f"{path}: column '{name}' has {columns[name].shape[1]} numbers in "
                               f'a frame, expected at least {index + 1} as {INFO_FILE} names '
                               'them; mend the names')
    return np.stack([columns[name][:, index] for name, index in places], axis=1)


def _samples(path: Path, table: 'pa.Table', states: list[tuple[str, int]],
             torques: list[tuple[str, int]], info: Mapping[str, Any], tally: Tally
             ) -> Iterator[Samples]:
    """Yield the frames of every episode, in order; what acted next becomes what acted before."""
    state, torque = _entries(path, table, states), _entries(path, table, torques)
    numbers = {name: _column(path, table, name)[:, 0] for name in table.column_names
               if name in (EPISODE, FRAME, TIME, REWARD, DONE)}
    if TIME in numbers:
        times = np.round(1e9 * numbers[TIME])
    else:
        times = np.round(1e9 * numbers[FRAME] / frames_per_second(path, info))
    is_whole = np.isfinite(state).all(axis=1) & np.isfinite(times)
    tally.drop('not finite', f'a frame of {path} has a state that is not finite',
               int((~is_whole).sum()))
    rewards = numbers.get(REWARD, np.full(len(state), np.nan))
    done = numbers.get(DONE, np.zeros(len(state))) > 0
    for episode in np.unique(numbers[EPISODE]):
        rows = np.flatnonzero((numbers[EPISODE] == episode) & is_whole)
        rows = rows[np.argsort(times[rows], kind='stable')]
        is_new = np.diff(times[rows], prepend=-np.inf) > 0
        tally.drop('repeated', n=int((~is_new).sum()))
        rows = rows[is_new]
        if len(rows) < 2:
            tally.drop('alone', f'episode {int(episode)} has {len(rows)} frames', len(rows))
            continue
        ends = (np.flatnonzero(done[rows[:-1]]) + 1).tolist()
        before = rows[:-1]
        tally.drop('no torque', f'an action of {path} is not finite',
                   int(np.isnan(torque[before]).any(axis=1).sum()))
        yield Samples(
            times[rows].astype(np.int64), state[rows],
            np.concatenate([np.full_like(torque[:1], np.nan), torque[before]]),
            np.append(np.nan, rewards[before]), np.zeros(len(rows), dtype=bool),
            dict.fromkeys(ends, 'next.done'))
