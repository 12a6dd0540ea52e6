# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Read a recording of ``ros2 bag`` into episodes of a robot."""

from pathlib import Path

from ...errors import DatasetError
from ...messages.odometry import BaseReader
from ...robot import Robot
from ..recordings.on_progress import ignored, OnProgress
from ..recordings.recording import naming, Recording
from ..recordings.resampling import resample
from ..recordings.tally import Tally
from .bag_checks import check_files
from .bag_config import BagConfig
from .bag_files import Bag, BagDamageError, open_damaged, open_whole
from .bag_samples import join
from .bag_streams import BagStreams
from .bag_topics import BagTopics


def read_bag(path: Path, robot: Robot, config: BagConfig, *,
             on_progress: OnProgress = ignored) -> Recording:
    """
    Read the folder of a recording, or one MCAP or SQLite file, as far as it goes.

    :param robot: states [SI] and actions [torque limits] are in its order.
    :param on_progress: see ``OnProgress``.
    :raises DatasetError: naming what was found, what was expected and what to do about it, if no
        step of the robot can be read.
    :raises ConfigError: if the odometry is to measure joints that the robot does not have.
    """
    if config.base_joints:
        BaseReader(robot, config.base_joints)
    check_files(path)
    try:
        with open_whole(path) as bag:
            return _read(path, bag, robot, config, on_progress)
    except BagDamageError as error:
        return _read(path, open_damaged(path, str(error)), robot, config, on_progress)


def _read(path: Path, bag: Bag, robot: Robot, config: BagConfig,
          on_progress: OnProgress) -> Recording:
    if not any(topic.n_messages for topic in bag.topics.values()):
        reason, advice = (
            (f' ({bag.damage})', 'copy it again, it was cut off before the first message')
            if bag.damage else ('', 'was anything published while it was recorded?'))
        raise DatasetError(f'{path}: holds no message{reason}, expected joint states at least; '
                           f'{advice}')
    topics = BagTopics.find(path, bag.topics, config)
    tally = Tally()
    read = {name for name in vars(topics).values() if name}
    on_progress(0, sum(bag.topics[name].n_messages for name in read))
    streams = BagStreams(bag, topics, robot, config, tally, on_progress)
    with naming(path):
        joined = join(streams, robot, config, tally)
        if len(joined.samples) < 2:
            raise DatasetError(f'{len(joined.samples)} states can be used, expected at least 2; '
                               f'{tally.explained()}')
        resampled = resample(joined.samples, robot, config.max_gap, tally)
        if not resampled.episodes:
            raise DatasetError(f'no step is left of {len(joined.samples)} states; '
                               f'{tally.explained()}')
    named = {name: f'{name}, {bag.topics[name].n_messages} messages'
             for name in read}
    return Recording(resampled.episodes, tally, {
        'format': 'rosbag2',
        **({'damage': f'{bag.damage}; read as far as it goes'} if bag.damage else {}),
        'topics': {what: named[name] for what, name in vars(topics).items() if name},
        'stamps': f'{joined.stamps} ({config.time})',
        'put_in_order': joined.n_put_in_order,
        **resampled.facts(robot.control_period, config.max_gap)})
