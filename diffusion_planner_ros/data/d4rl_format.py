# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""D4RL's layout: one HDF5 file of flat arrays, in which flags end the episodes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..episode import Episode
from ..errors import DatasetError
from ..files import written
from ..robot import Robot
from .hdf5_access import holds, open_to_read, read_array

KEYS = ('observations', 'actions', 'rewards', 'terminals', 'timeouts')
NEXT_OBSERVATIONS = 'next_observations'  # in D4RL's files of version 2, and in ours
POLICY_ACTIONS = 'infos/policy_actions'
SUFFIXES = ('.hdf5', '.h5')


def is_d4rl(path: Path) -> bool:
    """Return whether a file is HDF5, by its name or its content; ask other formats first."""
    return path.suffix in SUFFIXES or holds(path, lambda root: True)


def read_d4rl(file: Path, robot: Robot, *, needs_rewards: bool = True) -> list[Episode]:
    """
    Read a file in D4RL's layout (Fu et al. 2020, https://arxiv.org/abs/2004.07219).

    :param needs_rewards: of no effect: the layout has rewards always.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    del needs_rewards
    shapes = {'observations': (robot.state_dim,), NEXT_OBSERVATIONS: (robot.state_dim,),
              'actions': (robot.action_dim,), POLICY_ACTIONS: (robot.action_dim,)}
    with open_to_read(file) as root:
        keys = (*KEYS, *(key for key in (NEXT_OBSERVATIONS, POLICY_ACTIONS) if key in root))
        arrays = {key: read_array(file, root, key, shapes.get(key, ())) for key in keys}
    n = len(arrays['observations'])
    for key, array in arrays.items():
        if len(array) != n:
            raise DatasetError(f"{file}: key '/{key}' has {len(array)} rows, expected {n} as "
                               'there are observations')
    terminals, timeouts = (arrays[key].astype(bool) for key in ('terminals', 'timeouts'))
    ends = np.flatnonzero(terminals | timeouts) + 1
    # What follows the last end was cut off by the recording and is an episode without a fall.
    ends = np.unique(np.append(ends, n)) if n else ends
    starts = np.concatenate([[0], ends])[:-1]
    episodes = []
    for begin, end in zip(starts, ends, strict=True):
        observations = arrays['observations'][begin:end]
        if NEXT_OBSERVATIONS in arrays:
            observations = np.append(observations, arrays[NEXT_OBSERVATIONS][end - 1:end], axis=0)
        policy_actions = arrays.get(POLICY_ACTIONS)
        episodes.append(Episode(
            observations, arrays['actions'][begin:end], arrays['rewards'][begin:end],
            bool(terminals[end - 1]),
            policy_actions=None if policy_actions is None else policy_actions[begin:end]))
    return episodes


def write_d4rl(file: Path, episodes: Sequence[Episode]) -> None:
    """
    Write episodes in D4RL's layout; plans are left out.

    The state after the last action is written where it is known of every episode, and so are the
    policy's own actions.

    :param episodes: at least one, each with rewards.
    :raises OutputError: if the file cannot be written.
    """
    import h5py

    ends = np.cumsum([len(e) for e in episodes]) - 1
    terminals = np.zeros(ends[-1] + 1, dtype=bool)
    timeouts = np.zeros_like(terminals)
    terminals[ends] = [e.terminated for e in episodes]
    timeouts[ends] = ~terminals[ends]
    arrays = {'observations': np.concatenate([e.observations[:len(e)] for e in episodes]),
              'actions': np.concatenate([e.actions for e in episodes]),
              'rewards': np.concatenate([e.rewards for e in episodes]),
              'terminals': terminals, 'timeouts': timeouts}
    if all(e.last_state is not None for e in episodes):
        arrays[NEXT_OBSERVATIONS] = np.concatenate([e.observations[1:] for e in episodes])
    if all(e.policy_actions is not None for e in episodes):
        arrays[POLICY_ACTIONS] = np.concatenate([e.policy_actions for e in episodes])
    with written(file) as scratch, h5py.File(scratch, 'w') as root:
        for key, array in arrays.items():
            root[key] = array
