# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot without a goal is held where it was when holding began."""

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.planning.navigation.holder import Holder
from diffusion_planner_ros.robot import Robot

H, A = 12, 1
FACTS = {
    'name': 'mass', 'control_period': 0.1, 'action': [{'joint': 'x', 'limit': 1.0}],
    'state': [{'joint': 'x', 'quantity': 'position', 'unit': 'm'},
              {'joint': 'y', 'quantity': 'position', 'unit': 'm'},
              {'joint': 'x', 'quantity': 'velocity', 'unit': 'm/s'},
              {'joint': 'arm', 'quantity': 'position', 'unit': 'rad'}],
    'goal': {'kind': 'plane', 'joints': ['x', 'y'], 'tolerance': 0.1,
             'workspace': {'x': [-1.0, 1.0], 'y': [-1.0, 1.0]}}}


def holder(**changes):
    return Holder(Robot.from_dict(FACTS, 'a test'), horizon=H, **changes)


def test_plans_rest_where_the_first_one_began_also_outside_the_workspace():
    held = holder(least_rows=5)
    first = held.condition(np.array([7.0, -8.0, 0.5, 2.0]))
    assert_array_equal(first.mask[:5], False)
    assert_array_equal(first.mask[5:], [[False, True, True, True, False]] * 7)
    assert_array_equal(first.known[5:, A:A + 3], [[7.0, -8.0, 0.0]] * 7)
    assert held.condition(np.ones(4)) is first
    held.release()
    assert_array_equal(held.condition(np.ones(4)).known[-1, A:A + 3], [1.0, 1.0, 0.0])


def test_plans_that_are_short_rest_in_their_last_row():
    assert holder(least_rows=H + 3).condition(np.ones(4)).mask[:, A].sum() == 1


def test_a_robot_that_knows_no_goals_is_refused():
    facts = {key: value for key, value in FACTS.items() if key != 'goal'}
    with pytest.raises(ConfigError, match="robot 'mass' knows no goals, expected a section goal"):
        Holder(Robot.from_dict(facts, 'a test'), horizon=H)
