# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Obstacles: how far they are, which plans are preferred, and how plans evade them."""

import json

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.commands.measure.reach import reach
from diffusion_planner_ros.errors import ConfigError, RobotError
from diffusion_planner_ros.experiments.goals.obstacle_course import draw_course
from diffusion_planner_ros.goals.obstacle import Box, Disc, nearest_obstacle
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.guides.guide_registry import GUIDES
from diffusion_planner_ros.planning.navigation.navigator import Navigator
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.environment import make_environment

DISC, BOX = Disc((0.5, -0.2), 0.3), Box((-0.4, 0.3), (0.4, 0.1), yaw=0.7)
RADIUS, MARGIN = 0.2, 0.1  # of the robot, and beyond it [m]
MAZE = PlannerConfig(**Preset.load('maze').planner)
# Eastwards in the long corridor, with an obstacle 1 m ahead that leaves a way.
STATE, AHEAD = np.array([-4.0, 1.0, 1.5, 0.0]), Disc((-3.0, 1.25), 0.2)


@pytest.fixture(scope='module')
def bundle():
    return Bundle.load(share_file('models/point_maze'))


def test_distances_are_signed_and_from_the_edge():
    assert_allclose(DISC.distance(np.array([[0.5, 0.3], [0.5, -0.2]]))[0], [0.2, -0.3])
    box = Box((1.0, 1.0), (0.5, 0.2), yaw=np.pi / 2)  # half as wide as high
    points = np.array([[1.0, 1.0], [1.3, 1.0], [1.0, 1.8], [1.2 + 0.3, 1.5 + 0.4]])
    assert_allclose(box.distance(points)[0], [-0.2, 0.1, 0.3, 0.5], atol=1e-12)
    nearest, _ = nearest_obstacle([DISC, box], np.array([[0.5, 0.3], [1.0, 1.8]]))
    assert_allclose(nearest, [0.2, 0.3], atol=1e-12)


@pytest.mark.parametrize('obstacle', [DISC, BOX], ids=['disc', 'box'])
def test_the_gradient_of_a_distance_is_that_of_finite_differences(obstacle):
    points, step = np.random.default_rng(0).uniform(-1.0, 1.0, (200, 2)), 1e-7
    _, gradient = obstacle.distance(points)
    found = [(obstacle.distance(points + step * axis)[0] - obstacle.distance(points)[0]) / step
             for axis in np.eye(2)]
    assert_allclose(gradient, np.transpose(found), atol=1e-5)


def rows_at(bundle, points):
    """Return a normalised trajectory (1, n, D) through points (n, 2) [m]."""
    rows = np.zeros((len(points), bundle.row_dim))
    rows[:, 2:4] = points
    return bundle.normalizer.normalize(rows)[None]


def guide_of(bundle, *obstacles):
    guide = GUIDES['obstacles'](bundle, PlannerConfig(obstacle_margin=MARGIN))
    guide.obstacles = obstacles
    return guide


def test_the_preference_is_how_much_too_near_the_first_rows_are(bundle):
    guide = guide_of(bundle, DISC)
    near, far = [0.5, -0.2 + 0.3 + RADIUS + MARGIN - 0.04], [3.0, 0.0]
    assert_allclose(guide.value(rows_at(bundle, [near, far, near])), -2 * 0.04 / 0.05, rtol=1e-4)
    late = [far] * 20 + [near] * 20
    assert_allclose(guide.value(rows_at(bundle, late)), 0.0)  # too blurred to be believed
    assert_allclose(guide_of(bundle).value(rows_at(bundle, [near])), 0.0)


def test_the_gradient_is_that_of_the_preference(bundle):
    guide, rng = guide_of(bundle, DISC, BOX), np.random.default_rng(0)
    x = rows_at(bundle, rng.uniform(-1.0, 1.0, (16, 2)))
    gradient, step = guide.gradient(x, 0), 1e-6
    found = np.zeros_like(x)
    for row in range(x.shape[1]):
        for column in (2, 3):
            ends = [x.copy(), x.copy()]
            ends[0][0, row, column] -= step
            ends[1][0, row, column] += step
            found[0, row, column] = np.diff([guide.value(end)[0] for end in ends])[0] / (2 * step)
    assert_allclose(gradient, found, atol=1e-3)
    assert np.abs(gradient[:, :13]).max() > 1
    assert_array_equal(gradient[:, 13:], 0.0)


def plan(planner, bundle):
    navigator = Navigator(bundle.robot, horizon=bundle.horizon)
    navigator.go([(0.5, 1.0)])
    return planner.plan(STATE, condition=navigator.advance(STATE))


def gap(bundle, plan, obstacle):
    """Return how near the robot comes if it executes the first actions of a plan [m]."""
    places = bundle.forecast(STATE, plan.actions[:12])[:, :2]
    return obstacle.distance(places)[0].min() - RADIUS


def test_plans_evade_an_obstacle_that_is_told_between_two_of_them(bundle):
    planner = Planner(bundle, MAZE)
    free = plan(planner, bundle)
    assert gap(bundle, free, AHEAD) < 0.0
    planner.avoid([AHEAD])
    evading = plan(planner, bundle)
    assert gap(bundle, evading, AHEAD) > 0.04  # the margin
    assert np.abs(evading.actions).max() <= 10.0
    assert_allclose(evading.states[1:13], bundle.forecast(STATE, evading.actions[:12]), atol=1e-4)
    assert evading.states[12, 0] > AHEAD.centre[0]  # it goes on, past it
    planner.avoid([])
    assert_array_equal(plan(planner, bundle).candidates, free.candidates)


def test_without_obstacles_the_guide_changes_nothing(bundle):
    settings = {**Preset.load('maze').planner, 'guides': ('walls', 'learned_value'),
                'guide_weights': (10.0, 1.0)}
    free, guided = (plan(Planner(bundle, config), bundle)
                    for config in (PlannerConfig(**settings), MAZE))
    assert_array_equal(guided.candidates, free.candidates)
    assert guided.best == free.best


@pytest.mark.parametrize('robot', ['walker2d', 'reacher'])
def test_a_robot_that_does_not_slide_over_a_plane_is_refused(robot):
    bundle = Bundle.load(share_file(f'models/{robot}'))
    with pytest.raises(ConfigError, match=f'{robot} does not say where it is in a plane'):
        Planner(bundle, PlannerConfig(guides=('obstacles',)))


def test_obstacles_need_the_guide(bundle):
    with pytest.raises(ConfigError, match="guides is learned_value, expected 'obstacles' among"):
        Planner(bundle, PlannerConfig()).avoid([DISC])


@pytest.mark.parametrize('kind', [Disc, Box], ids=['disc', 'box'])
def test_the_simulated_robot_bumps_into_obstacles(kind):
    robot = make_environment('point_maze')
    robot.place(STATE)
    obstacle = kind((-3.0, 1.0), 0.2 if kind is Disc else (0.2, 0.2))
    blocked = make_environment('point_maze', obstacles=[obstacle])
    blocked.place(STATE)
    for _ in range(10):
        assert not robot.has_collided
        state, _, _ = blocked.step(np.array([5.0, 0.0]))
        free, _, _ = robot.step(np.array([5.0, 0.0]))
    assert blocked.has_collided
    assert state[0] < -3.4 + 0.02 < free[0]
    blocked.reset(0)
    assert not blocked.has_collided


def test_a_course_is_in_the_way_and_leaves_a_passage(bundle):
    space, rng = bundle.robot.goal, np.random.default_rng(0)
    start, goal = space.grid.centre(3, 1), space.grid.centre(3, 6)  # one corridor, y = 1
    middle = np.stack([np.linspace(start[0], goal[0], 101), np.full(101, 1.0)], axis=1)
    across = np.linspace(0.5, 1.5, 101)  # of the corridor
    for _ in range(5):
        obstacle, = draw_course(space, start, goal, 1, rng)
        assert obstacle.distance(middle)[0].min() < RADIUS
        for x in middle[:, 0]:
            if not -3.6 < x < -2.4:  # no other corridor leads off there
                continue
            places = np.stack([np.full(101, x), across], axis=1)
            room = np.minimum(obstacle.distance(places)[0], np.minimum(across - 0.5, 1.5 - across))
            assert room.max() > 1.5 * RADIUS - 0.05


def test_reach_counts_collisions(no_processes, tmp_path, capsys):
    reach(MAZE, robot='point_maze', trips=2, processes=1, obstacles=2, n_drawn=2,
          picture=tmp_path / 'trips.png', json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts['obstacles'] == 4
    assert facts['trips_with_obstacles'] == 2
    assert facts['collided'] == len(facts['collided_seeds']) == 0
    assert facts['reached_without_collision'] == facts['reached']


def test_a_robot_without_a_map_has_no_course(no_processes):
    with pytest.raises(RobotError, match="goals of its robot 'reacher' have no map, expected one"):
        reach(PlannerConfig(), robot='reacher', trips=1, processes=1, obstacles=1)
