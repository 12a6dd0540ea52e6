# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is known of a plan is honoured: a mass that random forces push learns to reach goals."""

from mass import follow, trained
import numpy as np
import pytest

from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.planning.conditions import Condition, last_state
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

H = 8
FEW_STEPS = PlannerConfig(n_candidates=16, n_denoise_steps=4)


@pytest.fixture(scope='module')
def planner(tmp_path_factory):
    """Plan with a model that learned with random conditions."""
    rng, episodes = np.random.default_rng(0), []
    for _ in range(300):
        forces = rng.uniform(-1.0, 1.0, (30, 1))
        states = follow(rng.normal(0.0, 0.3, 2), forces[:, 0])
        episodes.append(Episode(states, forces, np.zeros(30), False))
    config = TrainConfig(
        width=128, depth=2, value_width=16, value_depth=1, dynamics_width=16, horizon=H,
        n_updates=1500, batch_size=128, learning_rate=3e-3, ema_decay=0.99, condition_share=1.0,
        discount=0.9, fall_penalty=0.0)
    _, bundle = trained(config, episodes, tmp_path_factory.mktemp('goals'))
    return Planner(bundle, FEW_STEPS)


def distance(planner, condition_of, n_goals=20):
    """Return the mean distance of where plans lead from goals that can be reached [std]."""
    rng, distances = np.random.default_rng(1), []
    std = planner.bundle.normalizer.std[1:]
    for step in range(n_goals):
        start = rng.normal(0.0, 0.3, 2)
        way = follow(start, rng.uniform(-1.0, 1.0, H - 1))
        plan = planner.plan(start, step=step, condition=condition_of(way))
        end = follow(start, plan.actions[:-1, 0])[-1]
        distances.append(np.sqrt(np.mean(np.square((end - way[-1]) / std))))
    return np.mean(distances)


def test_a_goal_is_reached(planner):
    def goal(way):
        return last_state(way[-1], horizon=H, row_dim=3)
    assert distance(planner, goal) < 0.3 * distance(planner, lambda way: None)


def test_single_entries_and_decided_actions_are_honoured_too(planner):
    rng, errors = np.random.default_rng(2), {'velocity': [], 'states': []}
    for step in range(20):
        start = rng.normal(0.0, 0.3, 2)
        forces = rng.uniform(-1.0, 1.0, H - 1)
        way = follow(start, forces)
        known, mask = np.zeros((H, 3)), np.zeros((H, 3), dtype=bool)
        known[-1, 2], mask[-1, 2] = way[-1, 1], True
        plan = planner.plan(start, step=step, condition=Condition(known, mask))
        errors['velocity'].append(follow(start, plan.actions[:-1, 0])[-1, 1] - way[-1, 1])
        known, mask = np.zeros((H, 3)), np.zeros((H, 3), dtype=bool)
        known[:4, 0], mask[:4, 0] = forces[:4], True
        plan = planner.plan(start, step=step, condition=Condition(known, mask))
        errors['states'].append(plan.states[4] - way[4])
    std = planner.bundle.normalizer.std[1:]
    assert np.sqrt(np.mean(np.square(errors['velocity']))) < 0.5 * std[1]
    assert np.sqrt(np.mean(np.square(errors['states'] / std))) < 0.2
