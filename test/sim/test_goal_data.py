# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Data of robots that are sent to goals: ways around walls, and what is recorded of trips."""

from collections import Counter
from itertools import pairwise
import json

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.commands.learn.collect import collect
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.minari_format import read_metadata
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.sim.behaviour.goal_data import record_trip
from diffusion_planner_ros.sim.behaviour.ways import Follower, shortest_path, way_to
from diffusion_planner_ros.sim.environment import make_environment

GRID = Robot.load('point_maze').goal.grid


def test_a_path_is_the_shortest_one_over_free_cells():
    rng = np.random.default_rng(0)
    for first, last, n_cells in (((1, 1), (1, 2), 2), ((1, 1), (1, 6), 10), ((7, 1), (1, 10), 18),
                                 ((3, 3), (3, 3), 1)):
        path = shortest_path(GRID, first, last, rng)
        assert (path[0], path[-1]) == (first, last)
        assert len(path) == n_cells
        assert not any(GRID.is_wall[cell] for cell in path)
        for (row, column), (next_row, next_column) in pairwise(path):
            assert abs(row - next_row) + abs(column - next_column) == 1


def test_of_several_shortest_paths_all_are_taken():
    rng = np.random.default_rng(0)
    found = Counter(tuple(shortest_path(GRID, (1, 8), (3, 10), rng)) for _ in range(40))
    assert len(found) > 1
    assert len({len(path) for path in found}) == 1


def test_a_way_leads_from_the_robot_to_the_goal_clear_of_walls():
    robot = make_environment('point_maze')
    for seed in range(20):
        robot.reset(seed)
        space = robot.robot.goal
        corners = way_to(space, robot.state, robot.goal, np.random.default_rng(seed))
        assert_allclose(corners[[0, -1]], [space.position(robot.state), robot.goal])
        for start, end in pairwise(corners):
            for share in np.linspace(0.0, 1.0, 20):
                assert not space.grid.walls_near(start + share * (end - start), 0.15)


def test_a_follower_goes_along_the_way_and_stops_at_its_end():
    follower = Follower(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0]]), 0.5)
    assert_allclose(follower.point(np.array([0.0, 0.1])), [0.5, 0.0])
    assert_allclose(follower.point(np.array([0.4, 0.1])), [0.9, 0.0])
    assert_allclose(follower.point(np.array([0.0, 0.1])), [0.9, 0.0])  # never back
    for place in np.linspace(0.4, 2.0, 20):
        follower.point(np.array([place, 0.0]))
    assert_allclose(follower.point(np.array([2.0, 0.0])), [2.0, 0.5], atol=1e-6)
    for place in np.linspace(0.0, 1.0, 20):
        end = follower.point(np.array([2.0, place]))
    assert_allclose(end, [2.0, 1.0])


@pytest.mark.parametrize('name', ['point_maze', 'reacher'])
def test_trips_end_with_a_stay_at_the_goal(name):
    robot = make_environment(name)
    for seed in range(5):
        episode = record_trip(robot, seed, 0.0)
        places = np.array([robot.robot.goal.position(s) for s in episode.observations])
        away = np.linalg.norm(places - robot.goal, axis=1)
        assert (away[-robot.task.reaching.stay // 2:] < robot.robot.goal.tolerance).all()
        assert_allclose(episode.actions, episode.policy_actions)
        assert len(episode.observations) == len(episode) + 1
        loud = record_trip(robot, seed, 1.0)
        assert np.abs(loud.actions - loud.policy_actions).max() > 0.1


def test_a_trip_follows_from_its_seed_and_half_of_them_begin_while_moving():
    robot = make_environment('point_maze')
    trips = [record_trip(robot, seed, 0.5) for seed in range(12)]
    assert_array_equal(record_trip(robot, 11, 0.5).observations, trips[11].observations)
    moving = sum(np.abs(trip.observations[0, 2:]).max() > 0.1 for trip in trips)
    assert 2 <= moving <= 10


def test_collect_writes_the_trips(tmp_path, capsys):
    collect('reacher', tmp_path, n_transitions=150, json=True)
    facts = json.loads(capsys.readouterr().out)['goals']
    folder = tmp_path / 'reacher' / 'goals-v0'
    assert facts['folder'] == str(folder)
    episodes = read_episodes(folder, Robot.load('reacher'))
    assert len(episodes) == facts['episodes'] >= 2
    assert sum(map(len, episodes)) == facts['transitions'] >= 150
    assert 'PD controller' in read_metadata(folder)['algorithm_name']


@pytest.mark.parametrize('options', [{'robust': True}, {'n_learn': 100}])
def test_what_is_about_a_policy_that_learns_is_refused(tmp_path, options):
    with pytest.raises(ConfigError, match='reacher is sent to goals by a controller'):
        collect('reacher', tmp_path, **options)
