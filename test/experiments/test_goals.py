"""Goals: plans whose last state is fixed lead there, and what is measured is what is executed."""

import json

import numpy as np
from numpy.testing import assert_array_equal
import pytest

from diffusion_planner_ros.commands.measure.goals import goals
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.goal_reaching import try_goal
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.conditions import last_state
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.walker2d import Walker2D

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


def test_a_goal_is_where_the_worst_candidate_leads_and_both_plans_are_executed(shipped):
    planner, robot, twin = Planner(shipped, PlannerConfig()), Walker2D(), Walker2D()
    robot.reset(3)
    plan = planner.plan(robot.state, step=5)
    trial = try_goal(planner, robot, plan, 5)
    for states, actions in (
            (trial.goal[None], plan.candidates[np.argmin(plan.scores), :-1, :A]),
            (trial.free_executed[-1:], plan.actions[:-1]),
            (trial.aimed_executed[-1:], trial.aimed.actions[:-1])):
        twin.reset(3)
        for torque in actions:
            twin.step(torque)
        assert_array_equal(states[0], twin.state)
    np.testing.assert_allclose(trial.aimed.states[-1], trial.goal, rtol=1e-4, atol=1e-4)
    assert not trial.has_fallen


def test_plans_of_the_shipped_model_go_where_they_are_told(capsys):
    goals(planner=PlannerConfig(), episodes=2, first_seed=7, processes=2, json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report['goals'], report['falls']) == (40, 0)
    assert report['distance'] < 0.8 * report['distance_without_goal']
    # The other states are consistent with it.
    assert report['misalignment'] < 2 * report['misalignment_without_goal']


@pytest.mark.parametrize(('settings', 'words'), [
    ({'episodes': 0}, 'episodes is 0, expected at least 1'),
    ({'planner': PlannerConfig(n_candidates=1)}, 'n_candidates is 1, expected at least 2')])
def test_numbers_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        goals(**{'planner': PlannerConfig(), **settings})
