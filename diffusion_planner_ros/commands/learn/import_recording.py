# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner import``: a data set of recordings of a robot."""

from pathlib import Path
import re
from typing import Literal

import tyro

from ...data.bags.bag_config import BagConfig
from ..output import progress, report


def import_recording(
    config: tyro.conf.OmitArgPrefixes[BagConfig],
    recordings: tyro.conf.Positional[tuple[Path, ...]] = (),
    robot: str = 'walker2d',
    out: Path | None = None,
    rewards: Literal['recorded', 'task'] = 'recorded',
    urdf: Path | None = None,
    json: bool = False,
) -> None:
    """
    Make a data set of rosbag2 recordings (MCAP, SQLite), LeRobot data sets or recorder files.

    The data set is Minari's, for ``train --data``. The report says what was read, and what was
    dropped and why. ROS is not needed.

    :param config: how recordings of ``ros2 bag`` are read.
    :param recordings: folders or files of ``ros2 bag``, folders of LeRobot data sets, or HDF5
        files of the node ``recorder``, of Minari or D4RL; at least one.
    :param robot: name of a robot, path of its folder, or path of a layout's YAML file.
    :param out: folder of the data set, to be made; data/ROBOT/NAME-v0 by default, NAME being that
        of the first recording.
    :param rewards: where a recording has no reward, ``task`` takes that of the robot's simulation
        and ends episodes where the robot fell; ``recorded`` leaves steps without a reward out if
        others have one.
    :param urdf: URDF file whose position limits tell degrees from radians; the shipped one of the
        robot by default, if there is one.
    :param json: print the report as JSON.
    """
    from ...data.import_run import check_paths, import_recordings
    from ...robot import Robot
    from ...robots.robot_folder import make_known, urdf_file, YAML
    from ...urdf_tree import Urdf

    layout = Robot.load(robot)
    if Path(robot).suffix not in YAML:
        make_known(robot)  # its URDF and its task are found by its name
    if out is None:
        first = recordings[0].resolve() if recordings else Path('recorded')
        name = re.sub(r'[^\w-]+', '-', first.name if first.is_dir() else first.stem)
        out = Path('data') / layout.name / f'{name}-v0'
    judge = None
    if rewards == 'task':
        from ...sim.task_rewards import task_judge

        judge = task_judge(layout)
    description = urdf or urdf_file(layout.name)
    limits = Urdf.load(description).position_limits if description else {}
    check_paths(recordings, out)  # before a bar is drawn
    with progress('reading', None, unit='messages') as advance:
        def on_progress(n_read: int, n_more: int) -> None:
            if n_more:
                advance.expect(n_more)
            advance(n_read)
        facts = import_recordings(recordings, layout, config, out, judge=judge, limits=limits,
                                  on_progress=on_progress)
    report(facts, as_json=json)
