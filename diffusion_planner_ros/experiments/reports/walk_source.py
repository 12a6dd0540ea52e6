# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A recorded episode of a walk through ROS 2."""

import numpy as np

from ...robot import Robot
from ..ros.ros_session import executed_states, planned_path, Recording
from .episode_sources import goal_of
from .recorded_episode import KnownPlan, recorded_episode, RecordedEpisode

COLUMN = {'position': 0, 'velocity': 1}  # of executed states


def recorded_walk(recording: Recording, robot: Robot, seed: int) -> RecordedEpisode:
    """
    Bring what was seen of an episode into the form of a report.

    :param seed: of its initial state.
    """
    times, joints = executed_states(recording)
    plans = []
    for message in recording.plans:
        moments, positions = planned_path(message)
        if times[0] <= moments[0] <= times[-1]:
            plans.append(KnownPlan(int(np.abs(times - moments[0]).argmin()),
                                   {joint: p[None] for joint, p in positions.items()}))
    torques = np.stack([joints[entry.joint][:, 2] for entry in robot.action], axis=1)
    torques[0] = np.nan  # nothing led to the first state
    return recorded_episode(
        robot, seed=seed, times=times, torques=torques, plans=plans,
        states=np.stack([joints[entry.joint][:, COLUMN[entry.quantity]]
                         for entry in robot.state], axis=1),
        positions={joint: rows[:, 0] for joint, rows in joints.items()},
        goal=goal_of(robot.name, seed))
