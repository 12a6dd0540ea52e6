# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals: plans whose last state is fixed lead there, and what is measured is what is executed."""

import json

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.commands.measure.goals import goals
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.goals.inpainted_goals import try_goal
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.conditions import last_state
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file

A, S = 6, 17


@pytest.fixture(scope='module')
def shipped():
    return Bundle.load(share_file('models/walker2d'))


def test_the_last_state_alone_is_fixed():
    state = np.arange(S, dtype=float)
    condition = last_state(state, horizon=4, row_dim=A + S)
    assert_array_equal(condition.known[-1, A:], state)
    assert condition.mask.sum() == S
    assert condition.mask[-1, A:].all()


def test_a_goal_can_be_reached_and_both_plans_are_executed(shipped):
    planner, robot, twin = Planner(shipped, PlannerConfig()), Walker2D(), Walker2D()
    robot.reset(3)
    plan = planner.plan(robot.state, step=5)
    trial = try_goal(planner, robot, plan, 5)
    for end, actions in ((trial.free_executed[-1], plan.actions),
                         (trial.aimed_executed[-1], trial.aimed.actions)):
        twin.reset(3)
        for torque in actions[:-1]:
            twin.step(torque)
        assert_array_equal(end, twin.state)
    assert_allclose(trial.aimed.states[-1], trial.goal, rtol=1e-4, atol=1e-4)
    assert np.abs(trial.goal - trial.free_executed[-1]).max() > 0.1
    assert not trial.has_fallen


def test_distances_with_and_without_goals_are_reported(no_processes, capsys):
    goals(planner=PlannerConfig(), episodes=2, first_seed=7, processes=1, json=True)
    report = json.loads(capsys.readouterr().out)
    assert report['goals'] == 40
    assert report['falls'] < 5  # open loop, with torques that are disturbed
    assert 0 < report['distance'] < 1
    assert 0 < report['distance_without_goal'] < 1
    assert 0 < report['misalignment_without_goal'] < report['misalignment'] < 1


def test_no_episodes_are_refused():
    with pytest.raises(ConfigError, match='episodes is 0, expected at least 1'):
        goals(planner=PlannerConfig(), episodes=0)
