# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The policies that methods are compared with: what they learn from, and that they learn."""

import sys

import numpy as np
import pytest
from walker import normalized_score

from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.minari_format import read_metadata
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments.comparison.baselines.baseline_registry import BASELINES
from diffusion_planner_ros.experiments.comparison.baselines.behaviour import behaviour_facts
from diffusion_planner_ros.experiments.comparison.baselines.onnx_policy import OnnxPolicy
from diffusion_planner_ros.experiments.comparison.baselines.transitions import Transitions

# Enough to tell good actions from others; an update of CQL takes 0.2 s.
N_UPDATES = {'cql': 80, 'awac': 60, 'iql': 200, 'td3-bc': 100}
GOOD = 0.5  # the one action that is rewarded


def episode(robot, n_states, n_actions, *, terminated, begin=0):
    states = begin + np.arange(n_states)[:, None] / 10 * np.ones(robot.state_dim)
    actions = (begin + np.arange(n_actions))[:, None] / 100 * np.ones(robot.action_dim)
    return Episode(states, actions, np.arange(n_actions, dtype=float), terminated)


def test_episodes_become_transitions_to_the_state_that_followed(robot):
    found = Transitions.of([episode(robot, 4, 3, terminated=True),
                            episode(robot, 4, 3, terminated=False, begin=5),
                            episode(robot, 3, 3, terminated=True, begin=7),
                            episode(robot, 3, 3, terminated=False, begin=8)], robot)
    assert len(found) == 3 + 3 + 3 + 2  # the last one's last state is not known
    np.testing.assert_allclose(found.states[:, 0],
                               [0, .1, .2, 5, 5.1, 5.2, 7, 7.1, 7.2, 8, 8.1], rtol=1e-6)
    known = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]
    np.testing.assert_allclose((found.next_states - found.states)[known], 0.1, rtol=1e-5)
    assert np.flatnonzero(found.falls).tolist() == [2, 8]
    assert found.rewards[:, 0].tolist() == [0, 1, 2] * 3 + [0, 1]
    np.testing.assert_allclose(found.actions[-1], 0.09)
    assert found.returns.tolist() == [3, 3, 3, 3]


def test_states_are_clipped_as_a_planner_sees_them(robot):
    wild = Episode(np.full((3, robot.state_dim), 1e3), np.zeros((2, robot.action_dim)),
                   np.zeros(2), False)
    found = Transitions.of([wild], robot)
    np.testing.assert_allclose(found.states[0], np.minimum(robot.state_clip, 1e3))


@pytest.fixture(scope='module')
def rewarded(robot):
    """Transitions of random actions; the nearer an action is to GOOD, the more reward."""
    rng = np.random.default_rng(0)
    episodes = []
    for _ in range(20):
        actions = rng.uniform(-1, 1, (50, robot.action_dim))
        rewards = 20 * (1 - np.abs(actions - GOOD).mean(axis=1))
        episodes.append(Episode(rng.normal(size=(51, robot.state_dim)), actions, rewards, True))
    return Transitions.of(episodes, robot)


def trained(name, transitions, folder, *, n_updates):
    if name != 'bc':
        pytest.importorskip('d3rlpy', reason='the extra compare is not installed')
    training = BASELINES[name](transitions, seed=0, n_updates=n_updates)
    while training.n_done < n_updates:
        training.update()
    training.export(folder)
    return training, OnnxPolicy.load(folder)


def test_behaviour_cloning_imitates(robot, tmp_path):
    rng = np.random.default_rng(0)
    states = rng.normal(size=(2001, robot.state_dim))
    actions = np.tanh(states[:-1, :robot.action_dim])
    transitions = Transitions.of([Episode(states, actions, np.zeros(2000), False)], robot)
    _, policy = trained('bc', transitions, tmp_path, n_updates=500)
    found, std = policy.distribution(states[:200])
    assert np.abs(found - actions[:200]).mean() < 0.1 * np.abs(actions).mean()
    assert not std.any()


def but_some_are_slow(names):
    return [pytest.param(name, marks=pytest.mark.slow if name in ('cql', 'awac') else ())
            for name in names]


@pytest.mark.parametrize('name', but_some_are_slow(N_UPDATES))
def test_a_baseline_learns_which_actions_are_rewarded(name, rewarded, tmp_path):
    _, policy = trained(name, rewarded, tmp_path, n_updates=N_UPDATES[name])
    actions, _ = policy.distribution(rewarded.states[:200])
    # Actions of the data are 0.62 away on average, an action of zero is 0.5.
    assert np.abs(actions - GOOD).mean() < 0.42


@pytest.mark.parametrize('name', but_some_are_slow(BASELINES))
def test_a_baseline_goes_on_from_its_checkpoint(name, rewarded, tmp_path):
    training, before = trained(name, rewarded, tmp_path, n_updates=5)
    training.save(tmp_path)
    again = BASELINES[name](rewarded, seed=1, n_updates=8)
    again.restore(tmp_path)
    assert again.n_done == 5
    again.export(tmp_path)
    states = rewarded.states[:9]
    np.testing.assert_allclose(OnnxPolicy.load(tmp_path).distribution(states)[0],
                               before.distribution(states)[0])
    again.update()
    assert again.n_done == 6


def test_a_missing_library_is_named_with_the_remedy(rewarded, monkeypatch):
    monkeypatch.setitem(sys.modules, 'd3rlpy', None)
    with pytest.raises(ConfigError, match=r"'iql' needs the library d3rlpy.*\[compare\]"):
        BASELINES['iql'](rewarded, seed=0, n_updates=1)


def test_a_folder_without_a_policy_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r'policy\.onnx: no such file'):
        OnnxPolicy.load(tmp_path)


def test_the_behaviour_is_the_mean_of_the_data(dataset, robot):
    episodes = read_episodes(dataset, robot)
    returns = [e.total_return for e in episodes]
    facts = behaviour_facts(dataset, episodes, 'walker2d')
    assert facts['return_mean'] == pytest.approx(np.mean(returns))
    assert facts['return_percentile_95'] == pytest.approx(np.percentile(returns, 95))
    assert facts['normalized_score'] == pytest.approx(normalized_score(np.mean(returns)))
    assert facts['policy_return'] == read_metadata(dataset)['policy_return'] == 12.5
    assert facts['falls'] == sum(e.terminated for e in episodes)
