"""Write recorded episodes to an HDF5 file in Minari's layout, the plans beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OutputError
from ..robot import Robot
from .episode_log import RecordedEpisode

if TYPE_CHECKING:
    import h5py


class LogWriter:
    """
    Writes one episode after the other.

    The file is open only while an episode is written: whatever happens later, it stays readable.

    :param file: to be made.
    :param bundle_hash: of the model that plans.
    :raises OutputError: if it is there already, cannot be written, or h5py is missing.
    """

    def __init__(self, file: Path, robot: Robot, *, bundle_hash: str) -> None:
        self.file = file
        self.n_episodes = 0
        with self._open('x') as root:
            root.attrs.update({
                'robot': json.dumps(robot.to_dict()), 'control_period': robot.control_period,
                'bundle_hash': bundle_hash,
                'created': datetime.now(timezone.utc).isoformat(timespec='seconds')})

    def write(self, episode: RecordedEpisode) -> None:
        """
        Add an episode.

        :raises OutputError: if the file cannot be written.
        """
        n = len(episode.actions)
        arrays = {'observations': episode.observations, 'actions': episode.actions,
                  'terminations': np.zeros(n, dtype=bool), 'truncations': np.zeros(n, dtype=bool),
                  'plans': episode.plans}
        arrays['terminations' if episode.terminated else 'truncations'][-1] = True
        if episode.rewards is not None:
            arrays['rewards'] = episode.rewards
        with self._open('r+') as root:
            group = root.create_group(f'episode_{self.n_episodes}')
            group.attrs.update({'id': self.n_episodes, 'total_steps': n})
            for key, array in arrays.items():
                group[key] = array
        self.n_episodes += 1

    @contextmanager
    def _open(self, mode: str) -> Iterator['h5py.File']:
        try:
            import h5py
        except ImportError as error:
            raise OutputError(f'{self.file}: cannot be written without h5py; install it (pip '
                              'install h5py, or the package python3-h5py)') from error
        try:
            # Whoever looks into the file meanwhile must not keep us from writing.
            with h5py.File(self.file, mode, locking=False) as root:
                yield root
        except FileExistsError as error:
            raise OutputError(f'{self.file}: is there already, expected a new file; name another '
                              'one or delete it') from error
        except OSError as error:
            raise OutputError(f'{self.file}: cannot be written ({error.strerror or error}), '
                              'expected a file in a folder that is there, yours to write to and '
                              'not full') from error
