# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot's description: it is read as it was written, and what is not known is refused."""

import pytest

from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.robot import Robot


def test_a_robot_is_read_as_it_was_written(robot):
    assert Robot.from_dict(robot.to_dict(), 'a test') == robot


def test_an_unknown_key_is_refused_by_name(robot):
    with pytest.raises(RobotError, match="a test: key 'control_perod' is unknown, expected name, "
                                         'control_period, state, action and, if it knows goals'):
        Robot.from_dict({**robot.to_dict(), 'control_perod': 0.01}, 'a test')


@pytest.mark.parametrize('part', ['state', 'action'])
def test_an_unknown_key_of_an_entry_is_refused(robot, part):
    facts = robot.to_dict()
    facts[part][0]['gain'] = 1.0
    with pytest.raises(RobotError, match=rf"a test: key '{part}\[0\]\.gain' is unknown, expected"):
        Robot.from_dict(facts, 'a test')


@pytest.mark.parametrize('key', ['name', 'control_period', 'state', 'action'])
def test_a_missing_key_is_named(robot, key):
    facts = robot.to_dict()
    del facts[key]
    with pytest.raises(RobotError, match=f"a test: key '{key}' is missing"):
        Robot.from_dict(facts, 'a test')
