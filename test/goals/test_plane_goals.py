# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals of a robot that slides: what they fix, and which are refused with what reason."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.errors import GoalError, RobotError
from diffusion_planner_ros.robot import Robot

MAP = {'rows': ['#####', '#..##', '##..#', '#####'], 'cell': 2.0, 'origin': [-5.0, -4.0]}
GOAL = {'kind': 'plane', 'joints': ['x', 'y'], 'tolerance': 0.3, 'clearance': 0.25, 'map': MAP}
STATE = [('x', 'position'), ('y', 'position'), ('arm', 'position'), ('y', 'velocity'),
         ('x', 'velocity'), ('arm', 'velocity')]


def robot(**changes):
    """Return a robot whose section goal is GOAL with changes; None takes a key away."""
    goal = {key: value for key, value in {**GOAL, **changes}.items() if value is not None}
    return Robot.from_dict({
        'name': 'mass', 'control_period': 0.1, 'goal': goal, 'action': [],
        'state': [{'joint': joint, 'quantity': quantity,
                   'unit': 'm' if quantity == 'position' else 'm/s'}
                  for joint, quantity in STATE]}, 'a test')


def test_a_goal_fixes_position_and_velocity_of_its_joints_alone():
    goals = robot().goal
    assert_array_equal(goals.fixed, [True, True, False, True, True, False])
    state = goals.state_at([-2.5, 1.0], np.arange(6) + 1.0)
    assert_array_equal(state, [-2.5, 1.0, 3.0, 0.0, 0.0, 6.0])
    assert_array_equal(goals.position(state), [-2.5, 1.0])


def test_the_first_row_of_a_map_has_the_largest_y():
    grid = robot().goal.grid
    assert grid.cell_of([-4.9, 3.9]) == (0, 0)
    assert grid.cell_of([-2.0, 1.0]) == (1, 1)
    assert_array_equal(grid.centre(1, 1), [-2.0, 1.0])
    assert_array_equal(grid.bounds, [[-5.0, -4.0], [5.0, 4.0]])


@pytest.mark.parametrize(('goal', 'reason'), [
    ([-2.0, -1.0], r'goal \(-2, -1\) m is inside a wall: row 2, column 1 of the map'),
    ([-2.0, 0.1], r'too near the wall in row 2, column 1 of the map.*at least 0\.25 m'),
    ([0.0, 4.5], r'outside the workspace, expected x from -5 to 5 m and y from -4 to 4 m'),
    ([0.0, np.nan], 'expected two finite numbers'),
    ([0.0], 'expected two finite numbers')])
def test_a_goal_where_the_robot_cannot_be_is_refused(goal, reason):
    with pytest.raises(GoalError, match=reason):
        robot().goal.check(goal)
    with pytest.raises(GoalError, match=reason):
        robot().goal.state_at(goal, np.zeros(6))


def test_goals_are_drawn_from_all_over_the_free_space():
    goals, rng = robot().goal, np.random.default_rng(0)
    drawn = np.array([goals.draw(rng) for _ in range(300)])
    for goal in drawn:
        goals.check(goal)
    assert len({goals.grid.cell_of(goal) for goal in drawn}) == len(goals.grid.free_cells)


def test_a_workspace_may_be_a_box():
    goals = robot(map=None, workspace={'x': [-1.0, 2.0], 'y': [0.0, 0.5]}).goal
    assert_array_equal(goals.bounds, [[-1.0, 0.0], [2.0, 0.5]])
    goals.check(goals.draw(np.random.default_rng(0)))
    with pytest.raises(GoalError, match='expected x from -1 to 2 m and y from 0 to'):
        goals.check([2.5, 0.2])


@pytest.mark.parametrize('changes', [
    {}, {'map': None, 'workspace': {'x': [-1.0, 2.0], 'y': [0.0, 0.5]}}])
def test_a_layout_is_read_as_it_was_written(changes):
    first = robot(**changes)
    assert Robot.from_dict(first.to_dict(), 'a test') == first
    assert_allclose(first.goal.tolerance, 0.3)


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'kind': 'cube'}, "goal.kind is 'cube', expected one of plane, arm"),
    ({'joints': ['x']}, 'goal.joints is .* expected a list of 2 texts'),
    ({'joints': ['x', 'z']}, "joint 'z' has no position in the state, expected one of x, y, arm"),
    ({'tolerance': None}, "key 'goal.tolerance' is missing"),
    ({'radius': 1.0}, "key 'goal.radius' is unknown"),
    ({'map': None}, 'expected either a map or a workspace'),
    ({'map': {**MAP, 'rows': ['####', '#.##', '###']}}, r'rows\[2\] is .* expected 4 of'),
    ({'map': {**MAP, 'rows': ['###', '..#', '###']}}, 'walls .* all around'),
    ({'map': {**MAP, 'cell': 0}}, 'goal.map.cell is 0, expected a finite number, at least')])
def test_a_wrong_section_is_refused_by_name(changes, reason):
    with pytest.raises(RobotError, match=f'a test: .*{reason}'):
        robot(**changes)
