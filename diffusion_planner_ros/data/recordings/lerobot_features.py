# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the entries of a LeRobot data set are: joints and quantities, by the names of features."""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from ...messages.names import shortened

INFO_FILE = Path('meta') / 'info.json'
VERSIONS = ('v2.', 'v3.')
# What an entry is by the end of its name, after the joint.
QUANTITIES = {'pos': 'position', 'position': 'position', 'vel': 'velocity',
              'velocity': 'velocity', 'effort': 'effort', 'torque': 'effort'}


def read_info(path: Path) -> dict[str, Any]:
    """
    Read what a data set says about itself.

    :raises DatasetError: if it is damaged, or of another version.
    """
    file = path / INFO_FILE
    try:
        info = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f'{file}: not a JSON file ({error})') from error
    version = info.get('codebase_version') if isinstance(info, dict) else None
    if not str(version).startswith(VERSIONS):
        raise DatasetError(f"{file}: codebase_version is '{version}', expected "
                           f'{" or ".join(v + "x" for v in VERSIONS)}; convert the data set with '
                           'the scripts of LeRobot')
    return info


def _names(where: str, feature: Mapping[str, Any], column: str) -> list[str]:
    """Return the names of the entries of a column, also if they are grouped."""
    names = feature.get('names')
    if isinstance(names, dict):  # {"motors": [...]}
        names = list(names.values())
    if isinstance(names, list) and names and isinstance(names[0], list):
        names = [name for group in names for name in group]
    if not isinstance(names, list):
        raise DatasetError(f"{where}: '{column}' has names {names}, expected a list with the "
                           'joint of every entry, as thigh_joint.pos; write it into this file')
    return [str(name) for name in names]


def find_entry(path: Path, info: Mapping[str, Any], columns: Mapping[str, str], joint: str,
               quantity: str) -> tuple[str, int]:
    """
    Find an entry of the robot's layout.

    :param columns: where to look, and what an entry is there if its name does not say.
    :param quantity: ``position``, ``velocity`` or ``effort``.
    :return: column and index in it.
    :raises DatasetError: naming what is there, if it is not.
    """
    where = f'{path / INFO_FILE}: features'
    features = info.get('features', {})
    found = []
    for column, default in columns.items():
        if column not in features:
            continue
        for index, name in enumerate(_names(where, features[column], column)):
            stem, _, end = name.rpartition('.')
            entry = (stem, QUANTITIES[end]) if end in QUANTITIES else (name, default)
            if entry == (joint, quantity):
                return column, index
            found.append(name)
    ends = ' or '.join(f'{joint}.{end}' for end, q in QUANTITIES.items() if q == quantity)
    raise DatasetError(f"{where}: no {quantity} of joint '{joint}' in {' or '.join(columns)}, "
                       f'found {shortened(found) or "no names"}; expected an entry named {ends}; '
                       'mend the names there, or the joints in the YAML file of --robot')


def frames_per_second(path: Path, info: Mapping[str, Any]) -> float:
    """
    Return how many frames there are in a second.

    :raises DatasetError: if the data set does not say.
    """
    fps = info.get('fps')
    if not isinstance(fps, int | float) or not fps > 0:
        raise DatasetError(f"{path / INFO_FILE}: fps is {fps}, expected frames per second above "
                           "0, as there is no column 'timestamp'; write it into this file")
    return float(fps)
