# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
The formats in which recorded episodes are read; a new one is one more line in ``FORMATS``.

A format is a file beside this one with two functions: one that recognises a path, and one that
reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..episode import Episode
from ..errors import DatasetError
from ..robot import Robot
from .d4rl_format import is_d4rl, read_d4rl
from .executed_plans import is_log, read_log
from .minari_format import is_minari, read_minari


@dataclass(frozen=True)
class EpisodeFormat:
    """How one kind of recording is recognised and read."""

    name: str
    """In words, for errors."""
    recognises: Callable[[Path], bool]
    """Tells by a path that is there whether it is of this format."""
    read: Callable[..., list[Episode]]
    """``read(path, robot, needs_rewards=True)`` returns the episodes; ``DatasetError`` names file,
    value and expectation."""


FORMATS = [  # the first one that recognises a path reads it
    EpisodeFormat('a log of executed plans', is_log, read_log),
    EpisodeFormat('a Minari data set, a folder with data/main_data.hdf5', is_minari, read_minari),
    EpisodeFormat("an HDF5 file in D4RL's layout", is_d4rl, read_d4rl),
]


def known_format(path: Path) -> EpisodeFormat | None:
    """Return the format of a path that is there; None if it is of none that is known."""
    return next((f for f in FORMATS if f.recognises(path)), None)


def read_episodes(path: Path, robot: Robot, *, needs_rewards: bool = True) -> list[Episode]:
    """
    Read recorded episodes of any known format.

    :param path: a file, or the folder of a Minari data set.
    :param robot: states [SI] and actions [torque limits] are in its order.
    :param needs_rewards: whether to refuse episodes without rewards; otherwise these are NaN.
    :return: episodes of at least one step; at least one.
    :raises DatasetError: naming file, key and expectation, if anything is not as it should be.
    """
    expected = ', '.join(f.name for f in FORMATS)
    if not path.exists():
        raise DatasetError(f'{path}: no such file or folder, expected one of: {expected}')
    known = known_format(path)
    if known is None:
        raise DatasetError(f'{path}: of no known format, expected one of: {expected}; recordings '
                           'of ros2 bag and data sets of LeRobot are for diffusion_planner import')
    episodes = [e for e in known.read(path, robot, needs_rewards=needs_rewards) if len(e)]
    if not episodes:
        raise DatasetError(f'{path}: no episodes, expected at least one')
    return episodes
