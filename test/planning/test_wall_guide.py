# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The guide walls: plans through walls are worth less, and are pushed out of them."""

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.guides.guide_registry import GUIDES
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file


@pytest.fixture(scope='module')
def bundle():
    return Bundle.load(share_file('models/point_maze'))


def rows_at(bundle, *points):
    """Return a normalised trajectory (1, n, D) through points (x, y) [m]."""
    rows = np.zeros((len(points), bundle.row_dim))
    rows[:, 2:4] = points
    return bundle.normalizer.normalize(rows)[None]


def test_the_preference_is_how_far_rows_are_inside_walls(bundle):
    grid, guide = bundle.robot.goal.grid, GUIDES['walls'](bundle, PlannerConfig())
    free = grid.centre(1, 1)
    into = grid.centre(1, 1) - [0.5 + 0.2, 0.0]  # 0.2 m into the outer wall
    assert_allclose(guide.value(rows_at(bundle, free, free)), 0.0)
    assert_allclose(guide.value(rows_at(bundle, free, into)), -0.2 / 0.05)
    assert_allclose(guide.value(rows_at(bundle, into, into)), -2 * 0.2 / 0.05)


def test_the_gradient_is_that_of_the_preference(bundle):
    guide, rng = GUIDES['walls'](bundle, PlannerConfig()), np.random.default_rng(0)
    low, high = bundle.robot.goal.bounds
    x = rows_at(bundle, *rng.uniform(low - 0.5, high + 0.5, (40, 2)))
    gradient, step = guide.gradient(x, 0), 1e-6
    found = np.zeros_like(x)
    for row in range(x.shape[1]):
        for column in (2, 3):
            ends = [x.copy(), x.copy()]
            ends[0][0, row, column] -= step
            ends[1][0, row, column] += step
            found[0, row, column] = np.diff([guide.value(end)[0] for end in ends])[0] / (2 * step)
    assert_allclose(gradient, found, atol=1e-4)
    assert np.abs(gradient).max() > 1


def test_the_chosen_plan_is_the_one_least_inside_walls(bundle):
    config = PlannerConfig(guides=('walls',), n_candidates=16)
    plan = Planner(bundle, config).plan(np.array([3.5, -0.5, 0.0, 0.0]))
    guide = GUIDES['walls'](bundle, config)
    depths = guide.value(bundle.normalizer.normalize(plan.candidates))
    assert plan.best == depths.argmax()


def test_a_robot_without_a_map_is_refused():
    walker = Bundle.load(share_file('models/walker2d'))
    with pytest.raises(ConfigError, match='layout of walker2d has no map'):
        Planner(walker, PlannerConfig(guides=('walls',)))
