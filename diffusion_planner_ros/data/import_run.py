# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Make a data set of recordings: of ``ros2 bag``, of LeRobot, or of any format that is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..episode import Episode
from ..errors import DatasetError
from ..robot import Robot
from .bags.bag_config import BagConfig
from .formats import FORMATS, known_format, read_episodes
from .minari_format import write_minari
from .recordings.lerobot import is_lerobot, read_lerobot
from .recordings.on_progress import ignored, OnProgress
from .recordings.recording import naming, Recording
from .recordings.tally import Tally
from .recordings.unit_check import check_units
from .rewarded_parts import rewarded_parts

NAME = re.compile(r'[\w-]+-v\d+')  # what Minari allows

Judge = Callable[[Episode], tuple[NDArray, NDArray]]
"""Says of an episode what each step is worth, shape (n,), and in which states the robot has not
fallen, shape (n + 1,)."""


def import_recordings(paths: Sequence[Path], robot: Robot, config: BagConfig, out: Path, *,
                      judge: Judge | None = None,
                      limits: Mapping[str, tuple[float, float]] | None = None,
                      on_progress: OnProgress = ignored
                      ) -> dict[str, Any]:
    """
    Read recordings and write them as one Minari data set.

    :param robot: whose layout and control period the data set has.
    :param config: how recordings of ``ros2 bag`` are read; ``max_gap`` is for LeRobot as well.
    :param out: folder of the data set, to be made; its name ends in a version, as ``-v0``.
    :param judge: says the rewards of episodes that have none for every step; without it, steps
        without a reward are left out where others have one.
    :param limits: lowest and highest position by joint [m, rad], to find wrong units.
    :param on_progress: see ``OnProgress``.
    :return: what was read and dropped, for a report.
    :raises DatasetError: naming what was found, what was expected and what to do about it.
    """
    check_paths(paths, out)
    episodes, parts = [], {}
    for path in paths:
        recording = read_recording(path, robot, config, on_progress=on_progress)
        finished = _finished(recording, judge)
        if not finished:
            raise DatasetError(f'{path}: no step is left, {recording.tally.explained()}')
        with naming(path):
            check_units(finished, robot, limits or {})
        parts[str(path)] = recording.facts | summary(finished) | {
            'dropped': dict(recording.tally.dropped), 'cuts': dict(recording.tally.cuts)}
        episodes += finished
    write_minari(out.parent, out.name, episodes, environment=None, algorithm='recorded',
                 description=f"Recordings of '{robot.name}', made by diffusion_planner import",
                 metadata={'recordings': [str(path) for path in paths]})
    return {'data_set': str(out), 'robot': robot.name, **summary(episodes), 'recordings': parts}


def check_paths(paths: Sequence[Path], out: Path) -> None:
    """
    Check that recordings are there, and that the data set is not.

    :raises DatasetError: if there is none, or one is missing; if the data set is there already, or
        has a name that Minari does not allow.
    """
    if not paths:
        raise DatasetError('no recording is named, expected at least one')
    for path in paths:
        if not path.exists():
            raise DatasetError(f'{path}: no such file or folder, expected one of: {_kinds()}; is '
                               'the path right?')
    if not NAME.fullmatch(out.name):
        stem = re.sub(r'-v\d+$', '', out.name)
        proposal = re.sub(r'[^\w-]+', '-', stem).strip('-') or 'recorded'
        raise DatasetError(f"{out}: the name of the data set is '{out.name}', expected letters, "
                           'digits, - and _, then a version; call it '
                           f"'{out.with_name(proposal + '-v0')}'")
    if out.exists():
        raise DatasetError(f'{out}: is there already, expected a new folder; name another one or '
                           'delete it')


def _kinds() -> str:
    """Return what can be imported, in words."""
    return ', '.join(('a recording of ros2 bag (a folder, or a file that ends in .mcap or .db3)',
                      'a LeRobot data set, a folder with meta/info.json',
                      *(f.name for f in FORMATS)))


def read_recording(path: Path, robot: Robot, config: BagConfig, *,
                   on_progress: OnProgress = ignored) -> Recording:
    """
    Read a recording of any kind, which is there.

    :param on_progress: see ``OnProgress``.
    :raises DatasetError: if it is of no known kind, or not usable.
    """
    if is_lerobot(path):
        return read_lerobot(path, robot, config.max_gap)
    if (known := known_format(path)) is not None:
        tally = Tally()
        episodes = [_complete(e, tally) for e in read_episodes(path, robot, needs_rewards=False)]
        return Recording([e for e in episodes if len(e)], tally, {'format': known.name})
    if path.suffix == '.bag':
        raise DatasetError(f'{path}: is a recording of ROS 1, expected one of: {_kinds()}; '
                           f'convert it with rosbags-convert --src {path} --dst {path.stem}')
    # Only now: who imports something else needs no rosbags.
    from .bags.bag_files import is_bag
    from .bags.bag_reader import read_bag

    if not is_bag(path):
        raise DatasetError(f'{path}: of no known format, expected one of: {_kinds()}; convert it')
    return read_bag(path, robot, config, on_progress=on_progress)


def summary(episodes: Sequence[Episode]) -> dict[str, int]:
    """Count episodes, steps and falls."""
    return {'episodes': len(episodes), 'steps': sum(map(len, episodes)),
            'episodes_with_rewards': sum(e.has_rewards for e in episodes),
            'falls': sum(e.terminated for e in episodes)}


def _complete(episode: Episode, tally: Tally) -> Episode:
    """Leave out a last action of which nobody knows what it led to."""
    if episode.last_state is not None:
        return episode
    tally.drop('no next state')
    return _part(episode, 0, len(episode) - 1, terminated=False)


def _finished(recording: Recording, judge: Judge | None) -> list[Episode]:
    """Return the episodes with rewards for all of their steps, or for none."""
    finished = []
    for episode in recording.episodes:
        if episode.has_rewards:
            finished.append(episode)
        elif judge is not None:
            finished += _judged(episode, judge, recording.tally)
        else:
            finished += _rewarded(episode, recording.tally)
    return finished


def _judged(episode: Episode, judge: Judge, tally: Tally) -> list[Episode]:
    """Fill in rewards that are missing, and end the episode where the robot fell."""
    rewards, is_healthy = judge(episode)
    episode = replace(episode, rewards=np.where(np.isnan(episode.rewards), rewards,
                                                episode.rewards))
    parts, first = [], 0
    for stands, steps in groupby(is_healthy[:-1].tolist()):
        end = first + len(list(steps))
        if stands:
            falls = not is_healthy[end]
            parts.append(_part(episode, first, end, terminated=falls or (
                end == len(episode) and episode.terminated)))
            if falls:
                tally.cut('fall')
        else:
            tally.drop('after a fall', n=end - first)
        first = end
    return parts


def _rewarded(episode: Episode, tally: Tally) -> list[Episode]:
    """Leave out steps without a reward, or the rewards if hardly a step has one."""
    has_reward = np.isfinite(episode.rewards)
    parts = [_part(episode, first, end, terminated=end == len(episode) and episode.terminated)
             for first, end in rewarded_parts(has_reward.tolist())]
    tally.drop('no reward', f'{int(has_reward.sum())} of {len(episode)} steps have a reward',
               len(episode) - sum(map(len, parts)))
    return [part if part.has_rewards else replace(part, rewards=np.full(len(part), np.nan))
            for part in parts]


def _part(episode: Episode, first: int, end: int, *, terminated: bool) -> Episode:
    policy_actions = episode.policy_actions
    return Episode(
        episode.observations[first:end + 1], episode.actions[first:end],
        episode.rewards[first:end], terminated,
        policy_actions=None if policy_actions is None else policy_actions[first:end])
