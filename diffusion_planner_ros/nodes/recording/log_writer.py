"""Write recorded episodes to an HDF5 file in Minari's layout, the plans beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import OutputError
from ...robot import Robot
from .episode_builder import RecordedEpisode

if TYPE_CHECKING:
    import h5py


LAYOUT_SIZE = 65_536  # [bytes] that HDF5 needs beside the arrays of an episode; seen: 6,000
LAYOUT_SIZE_PER_EPISODE = 64  # [bytes] more, for the list of names moves when it grows; seen: 32


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
        with self._in_words():
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
        if self.has_failed:
            raise OutputError(f'{self.file}: an episode before could not be written')
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
        with self._in_words():
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

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise OutputError(f'{self.file}: is there already, expected a new file; name another '
                              'one or delete it') from error
        except (OSError, RuntimeError) as error:  # h5py raises either, in many lines
            reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())
            raise OutputError(f'{self.file}: cannot be written ({reason}), expected a file in a '
                              'folder that is there, yours to write to and not full') from error
