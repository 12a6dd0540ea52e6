# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals for the tip of an arm: kinematics both ways, and what is beyond reach."""

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.errors import GoalError, RobotError
from diffusion_planner_ros.robot import Robot

GOAL = {'kind': 'arm', 'joints': ['shoulder', 'elbow'], 'links': [0.5, 0.3], 'tolerance': 0.02,
        'base': [1.0, 0.0], 'ranges': {'elbow': [-2.5, 2.5]}}


def robot(**changes):
    goal = {**GOAL, **changes}
    state = [{'joint': joint, 'quantity': quantity, 'unit': unit}
             for quantity, unit in (('position', 'rad'), ('velocity', 'rad/s'))
             for joint in ('shoulder', 'elbow')]
    return Robot.from_dict({'name': 'arm', 'control_period': 0.1, 'goal': goal, 'action': [],
                            'state': state}, 'a test')


def test_the_tip_is_where_the_links_lead():
    position = robot().goal.position
    assert_allclose(position([0, 0, 9, 9]), [1.8, 0.0])
    assert_allclose(position([np.pi / 2, 0, 9, 9]), [1.0, 0.8], atol=1e-12)
    assert_allclose(position([np.pi / 2, np.pi / 2, 9, 9]), [0.7, 0.5], atol=1e-12)


def test_the_state_at_a_goal_has_the_tip_there_at_rest():
    goals, rng = robot().goal, np.random.default_rng(0)
    for _ in range(100):
        goal, near = goals.draw(rng), rng.uniform(-2.5, 2.5, 4)
        state = goals.state_at(goal, near)
        assert_allclose(goals.position(state), goal, atol=1e-12)
        assert_allclose(state[2:], 0.0)
        assert np.abs(state[1]) <= 2.5


@pytest.mark.parametrize('turns', [0, 3])
@pytest.mark.parametrize('elbow', [1.0, -1.0])
def test_the_nearest_of_the_solutions_is_taken(elbow, turns):
    goals, near = robot().goal, np.array([0.4 + 2 * np.pi * turns, elbow, 0.0, 0.0])
    goal = goals.position(near)
    assert_allclose(goals.state_at(goal, np.add(near, [0.1, -0.1, 0.2, 0.2])), near, atol=1e-9)


def test_a_joint_with_a_range_is_led_back_into_it():
    goals = robot(ranges={'shoulder': [-3.2, 3.2], 'elbow': [-2.5, 2.5]}).goal
    near = np.array([20.0, 1.0, 0.0, 0.0])
    state = goals.state_at(goals.position(near), near)
    assert np.abs(state[0]) <= 3.2
    assert_allclose(goals.position(state), goals.position(near), atol=1e-9)


@pytest.mark.parametrize(('goal', 'reason'), [
    ([2.0, 0.0], r'is 1 m from the arm\'s base, beyond reach: expected 0\.2 to 0\.8 m'),
    ([1.1, 0.0], 'is 0.1 m from'),
    ([1.205, 0.0], 'no joint positions bring the tip .* elbow from -2.5 to 2.5 rad')])
def test_a_goal_beyond_reach_is_refused(goal, reason):
    with pytest.raises(GoalError, match=reason):
        robot().goal.check(goal)
    with pytest.raises(GoalError, match=reason):
        robot().goal.state_at(goal, np.zeros(4))


def test_a_layout_is_read_as_it_was_written():
    first = robot()
    assert Robot.from_dict(first.to_dict(), 'a test') == first


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'links': [0.5, 0.0]}, 'goal.links is .* expected two lengths above 0'),
    ({'ranges': {'wrist': [0, 1]}}, "key 'goal.ranges.wrist' is unknown")])
def test_a_wrong_section_is_refused_by_name(changes, reason):
    with pytest.raises(RobotError, match=f'a test: .*{reason}'):
        robot(**changes)
