# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Navigation: what of a plan a goal fixes, which goal is next, and when it is reached."""

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from diffusion_planner_ros.errors import ConfigError, GoalError
from diffusion_planner_ros.planning.conditions import first_actions, held_state
from diffusion_planner_ros.planning.navigation.navigator import Navigator
from diffusion_planner_ros.robot import Robot

H, A, S = 12, 1, 3
FACTS = {
    'name': 'mass', 'control_period': 0.1, 'action': [{'joint': 'x', 'limit': 1.0}],
    'state': [{'joint': 'x', 'quantity': 'position', 'unit': 'm'},
              {'joint': 'y', 'quantity': 'position', 'unit': 'm'},
              {'joint': 'x', 'quantity': 'velocity', 'unit': 'm/s'}],
    'goal': {'kind': 'plane', 'joints': ['x', 'y'], 'tolerance': 0.1,
             'workspace': {'x': [-1.0, 1.0], 'y': [-1.0, 1.0]}}}
FAR = np.array([-1.0, -1.0, 0.5])


def navigator(**changes):
    return Navigator(Robot.from_dict(FACTS, 'a test'), horizon=H, least_rows=4, **changes)


def arrivals(navigator, state, n):
    """Return from which row on the goal holds, in one plan after the other."""
    masks = [navigator.advance(state).mask[:, A] for _ in range(n)]
    return [int(np.argmax(mask)) for mask in masks]


def test_a_state_is_held_from_its_row_of_arrival_on():
    condition = held_state(np.array([1.0, 2.0, 3.0]), arrival=9, horizon=H, row_dim=A + S,
                           fixed=np.array([True, False, True]))
    assert_array_equal(condition.mask[:9], False)
    assert_array_equal(condition.mask[9:], [[False, True, False, True]] * 3)
    assert_array_equal(condition.known[9:, A:], [[1.0, 2.0, 3.0]] * 3)


def test_of_two_conditions_the_second_holds_where_both_do():
    torques = first_actions(np.array([[5.0], [6.0]]), horizon=H, row_dim=A + S)
    goal = held_state(np.ones(S), arrival=1, horizon=H, row_dim=A + S)
    both = goal.overlaid(torques)
    assert_array_equal(both.known[1], [6.0, 1.0, 1.0, 1.0])
    assert both.mask.sum() == torques.mask.sum() + goal.mask.sum()
    other = held_state(np.zeros(S), arrival=H - 1, horizon=H, row_dim=A + S)
    assert_array_equal(goal.overlaid(other).known[-1, A:], 0.0)


def test_the_arrival_comes_nearer_and_a_late_robot_gets_time_again():
    leader = navigator()
    leader.go([[0.5, 0.5]])
    assert arrivals(leader, FAR, 10) == [11, 10, 9, 8, 7, 6, 5, 4, 11, 10]


def test_the_robot_is_held_at_the_last_goal():
    leader, there = navigator(), np.array([0.45, 0.5, 0.0])
    leader.go([[0.5, 0.5]])
    assert not leader.has_arrived(FAR)
    assert leader.has_arrived(there)
    assert arrivals(leader, there, 12)[-4:] == [4, 4, 4, 4]
    assert leader.goals
    assert arrivals(leader, FAR, 2) == [11, 10]  # it was pushed away


def test_plans_that_are_executed_for_several_periods_come_nearer_by_as_many():
    leader = navigator()
    leader.go([[0.5, 0.5]])
    rows = [int(np.argmax(leader.advance(FAR, 3).mask[:, A])) for _ in range(3)]
    assert rows == [11, 8, 5]


def test_goals_are_visited_in_order():
    leader = navigator()
    leader.go([[0.5, 0.5], [-0.5, 0.5]])
    first = np.array([0.5, 0.42, 0.3])
    assert leader.distance(first) == pytest.approx(0.08)
    assert not leader.has_arrived(first)  # there is another one
    assert arrivals(leader, FAR, 3) == [11, 10, 9]
    condition = leader.advance(first)
    assert_array_equal(condition.known[-1, A:], [-0.5, 0.5, 0.0])
    assert_array_equal(condition.mask[-2:, A:], [[False] * 3, [True] * 3])
    assert_array_equal(leader.goals, [[-0.5, 0.5]])
    assert leader.has_arrived(np.array([-0.5, 0.5, 0.0]))


def test_without_a_goal_nothing_is_fixed():
    leader = navigator()
    assert leader.advance(FAR) is None
    assert leader.goal is None
    assert not leader.has_arrived(FAR)
    leader.go([[0.5, 0.5]])
    leader.cancel()
    assert leader.advance(FAR) is None
    with pytest.raises(ConfigError, match='there is no goal'):
        leader.distance(FAR)


def test_a_goal_that_is_refused_changes_nothing():
    leader = navigator()
    leader.go([[0.5, 0.5]])
    with pytest.raises(GoalError, match=r'\(3, 0\) m is outside the workspace'):
        leader.go([[0.0, 0.0], [3.0, 0.0]])
    assert_array_equal(leader.goals, [[0.5, 0.5]])


def test_a_robot_without_goals_and_plans_too_short_are_refused(robot):
    with pytest.raises(ConfigError, match="robot 'walker2d' knows no goals"):
        Navigator(robot, horizon=H)
    with pytest.raises(ConfigError, match='least_rows is 12, expected 1 to 11 for plans of 12'):
        Navigator(Robot.from_dict(FACTS, 'a test'), horizon=H, least_rows=H)
