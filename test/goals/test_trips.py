# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Trips to goals: what counts as reached, and models that ship reach goals."""

import json

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.commands.measure.reach import reach
from diffusion_planner_ros.errors import ConfigError, RobotError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.goals.trip_plot import draw_trips
from diffusion_planner_ros.experiments.goals.trips import Trip
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.share import share_file


def trip(*distances):
    """Return a trip of a robot that is so far from its goal, which is at the origin [m]."""
    path = np.array([[distance, 0.0] for distance in distances])
    return Trip(0, np.zeros(2), path, path[None], [0.001])


@pytest.mark.parametrize(('distances', 'arrival'), [
    ((3.0, 2.0, 0.1, 0.2, 0.1), 2), ((3.0, 0.1, 0.5, 0.1), 3), ((3.0, 0.1, 0.5), None),
    ((0.1, 0.1), 0)])
def test_a_robot_has_arrived_when_it_stays(distances, arrival):
    assert trip(*distances).arrival(0.2) == arrival


@pytest.mark.parametrize('robot', ['point_maze', 'reacher'])
def test_the_model_that_ships_reaches_goals(robot, no_processes, tmp_path, capsys):
    picture = tmp_path / 'trips.png'
    reach(PlannerConfig(), robot=robot, trips=4, processes=1, picture=picture, n_drawn=3,
          json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts['goals'] == 4
    assert facts['reached'] >= 3
    assert len(facts['missed_seeds']) == 4 - facts['reached']
    assert facts['tolerance_m'] == Robot.load(robot).goal.tolerance
    assert picture.stat().st_size > 10_000


def test_every_plan_of_an_episode_ends_at_its_goal():
    bundle = Bundle.load(share_file('models/reacher'))
    space, ends = bundle.robot.goal, []

    def watch(robot, plan):
        ends.append(np.linalg.norm(space.position(plan.states[-1]) - robot.goal))
    result, _ = run_episode(5, planner=Planner(bundle, PlannerConfig()), on_plan=watch)
    assert len(ends) == 100
    assert_allclose(ends, 0.0, atol=1e-4)
    assert result.distance > 0


def test_a_robot_without_goals_is_refused(no_processes):
    with pytest.raises(RobotError, match="its robot 'walker2d' knows no goals, expected"):
        reach(PlannerConfig(), robot='walker2d', trips=1, processes=1)


@pytest.mark.parametrize(('options', 'reason'), [
    ({'trips': 0}, 'trips is 0, expected at least 1'),
    ({'n_drawn': 0}, 'n_drawn is 0, expected at least 1'), ({}, 'neither --robot nor --bundle')])
def test_what_makes_no_sense_is_refused(options, reason):
    with pytest.raises(ConfigError, match=reason):
        reach(PlannerConfig(), **options)


def test_trips_are_drawn_over_the_maze(tmp_path):
    found = [trip(2.0, 1.0, 0.0), trip(0.5, 0.2)]
    draw_trips(found, Robot.load('point_maze').goal, 'two trips', tmp_path / 'trips.png')
    assert (tmp_path / 'trips.png').read_bytes().startswith(b'\x89PNG')
