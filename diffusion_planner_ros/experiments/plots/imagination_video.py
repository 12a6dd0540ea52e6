# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A video of planned states, imposed on the robot, beside the execution of their actions."""

from pathlib import Path

import numpy as np

from ...sim.environment import make_environment
from ..diagnosis.diagnosis import Diagnosis
from .video import render_apart

SLOW_MOTION = 2.0


def render_imagination(found: Diagnosis, video: Path) -> str | None:
    """
    Render both side by side, in slow motion.

    :param video: MP4 file to write.
    :return: None if it was written, else why not.
    """
    robot, recordings = found.bundle.robot, []
    joints = make_environment(robot.name).joint_names
    for name, positions in (('planned states, imposed', found.imagined),
                            ('planned actions, executed', found.executed)):
        times = np.arange(len(positions)) * robot.control_period
        labels = [f'{name}   {t:.2f} s   {x:.2f} m' for t, x in
                  zip(times, positions[:, 0], strict=True)]
        if len(positions) < len(found.imagined):
            labels[-1] += '   fallen'
        recordings.append({'times': times * SLOW_MOTION, 'labels': np.array(labels),
                           **dict(zip(joints, positions.T, strict=True))})
    return render_apart(robot.name, recordings, video)
