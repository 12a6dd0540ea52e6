# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Read HDF5 files so that every fault names file, key, value and expectation.

h5py is imported where a file is opened: the nodes write recordings and must start without it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError

if TYPE_CHECKING:
    import h5py

COPY = 'copy it again, or record it again if it is not whole where it comes from'
OF_ROBOT = 'is it of another robot? Name its own with --robot'


@contextmanager
def open_to_read(file: Path) -> Iterator['h5py.File']:
    """
    Open an HDF5 file to read.

    :raises DatasetError: if it is not there or damaged.
    """
    import h5py

    if not file.is_file():
        raise DatasetError(f'{file}: no such file, expected an HDF5 file of recorded episodes')
    if not file.stat().st_size:
        raise DatasetError(f'{file}: not a readable HDF5 file, it is empty, expected a complete '
                           f'one; {COPY}')
    try:
        with h5py.File(file, 'r') as root:
            yield root
    except OSError as error:
        raise DatasetError(f'{file}: not a readable HDF5 file ({error}), expected a complete one; '
                           f'{COPY}') from error


def holds(file: Path, question: Callable[['h5py.File'], bool]) -> bool:
    """Return whether a file is a readable HDF5 file for which ``question`` is true."""
    import h5py

    if not file.is_file():
        return False
    try:
        with h5py.File(file, 'r') as root:
            return question(root)
    except OSError:
        return False


def read_array(file: Path, group: 'h5py.Group', key: str, shape: tuple[int, ...]) -> NDArray:
    """
    Read one array and check it.

    :param shape: of every entry: the array's shape without its first dimension.
    :return: finite values, shape (n, *shape).
    :raises DatasetError: if the key is missing, or its array has another shape or a value that is
        not finite.
    """
    import h5py

    where = f"{file}: key '{group.name.rstrip('/')}/{key}'"
    if key not in group:
        raise DatasetError(f'{where} is missing, found {", ".join(sorted(group)) or "no key"}, '
                           "expected Minari's layout or D4RL's; convert the file")
    if not isinstance(group[key], h5py.Dataset):
        raise DatasetError(f'{where} is a group, expected an array (dictionary observations are '
                           'not supported); write them as one array')
    array = group[key][()]
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape:
        expected = ', '.join(['n', *map(str, shape)])
        raise DatasetError(f'{where} has shape {array.shape}, expected ({expected}); {OF_ROBOT}')
    if array.dtype.kind == 'f' and not np.isfinite(array).all():
        n_bad = int((~np.isfinite(array)).sum())
        raise DatasetError(f'{where} has {n_bad} values that are not finite, expected none; leave '
                           'out what was recorded while a sensor failed')
    return array
