# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Windows: which are cut from episodes, and the values of their rows."""

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.data.windows import n_rows, Windows
from diffusion_planner_ros.episode import Episode, return_to_go
from diffusion_planner_ros.errors import DatasetError

S, A = 17, 6


def make_episode(n, *, first=0, terminated=True, n_observations=None):
    """Number the steps from ``first``, in every entry: no two rows of a data set are alike."""
    steps = first + np.arange(n_observations or n, dtype=float)
    return Episode(observations=np.tile(steps[:, None], S) / 1000.0,
                   actions=np.tile(steps[:n, None], A) / 1000.0, rewards=steps[:n],
                   terminated=terminated)


def direct_return(rewards, k, discount, future):
    """Sum the definition: reward j counts discount ** (j - k), what follows counts after it."""
    n = len(rewards)
    return (sum(discount ** (j - k) * rewards[j] for j in range(k, n))
            + discount ** (n - k) * future)


@pytest.mark.parametrize('seed', range(20))
def test_windows_are_all_that_fit_into_an_episode_and_no_other(seed, robot):
    rng = np.random.default_rng(seed)
    horizon = int(rng.integers(2, 10))
    lengths = [*rng.integers(1, 3 * horizon, size=12).tolist(), horizon]
    firsts = [100 * i for i in range(len(lengths))]
    episodes = [make_episode(n, first=first, n_observations=n + int(rng.integers(2)),
                             terminated=False)
                for n, first in zip(lengths, firsts, strict=True)]
    windows = Windows.cut(episodes, robot, horizon, discount=0.9, fall_penalty=0.0)
    found = [windows.rows[start:start + horizon, A].tolist() for start in windows.starts]
    expected = [[(first + k + j) / 1000.0 for j in range(horizon)]
                for n, first in zip(lengths, firsts, strict=True)
                for k in range(n - horizon + 1)]
    assert_array_equal(found, expected)


def test_a_row_is_the_torque_and_then_the_clipped_state(robot):
    episode = make_episode(4)
    episode.observations[:] = np.linspace(-20.0, 20.0, S)
    episode.actions[:] = np.linspace(-1.0, 1.0, A)
    row = Windows.cut([episode], robot, 2, discount=0.9, fall_penalty=0.0).rows[0]
    assert_allclose(row[:A], np.linspace(-100.0, 100.0, A))  # [N m]
    assert_array_equal(row[A:A + 8], episode.observations[0, :8])  # positions are not clipped
    assert_array_equal(row[A + 8:], np.clip(episode.observations[0, 8:], -10.0, 10.0))


def test_cutting_does_not_change_the_episodes(robot):
    episode = make_episode(6)
    episode.observations[:] = 50.0
    Windows.cut([episode], robot, 2, discount=0.9, fall_penalty=0.0)
    assert_array_equal(episode.observations, 50.0)
    assert_array_equal(episode.actions, make_episode(6).actions)


def test_values_of_windows_are_those_of_their_own_episode(robot):
    episodes = [make_episode(5), make_episode(7, first=100, terminated=False)]
    windows = Windows.cut(episodes, robot, 3, discount=0.9, fall_penalty=50.0)
    expected = np.concatenate([return_to_go(e, discount=0.9, fall_penalty=50.0)
                               for e in episodes])
    assert_array_equal(windows.values, expected)


def test_episodes_that_are_all_too_short_are_refused(robot):
    with pytest.raises(DatasetError, match='longest of 2 episodes has 7 steps, expected at least '
                                           '8, the horizon'):
        Windows.cut([make_episode(7), make_episode(3)], robot, 8, discount=0.9, fall_penalty=0.0)


@pytest.mark.parametrize('discount', [0.0, 0.5, 0.99])
def test_return_to_go_of_a_fall_ends_with_the_penalty(discount):
    rewards = np.random.default_rng(0).normal(size=40)
    episode = replace(make_episode(40), rewards=rewards)
    found = return_to_go(episode, discount=discount, fall_penalty=30.0)
    expected = [direct_return(rewards, k, discount, future=-30.0) for k in range(40)]
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(('discount', 'n_last'), [(0.0, 1), (0.5, 2), (0.9, 10), (0.99, 40)])
def test_return_to_go_of_a_timeout_goes_on_as_it_was_last(discount, n_last):
    rewards = np.random.default_rng(1).normal(size=40)
    episode = replace(make_episode(40, terminated=False), rewards=rewards)
    found = return_to_go(episode, discount=discount, fall_penalty=30.0)
    for_ever = np.mean(rewards[-n_last:]) / (1.0 - discount)  # sum of a geometric series
    expected = [direct_return(rewards, k, discount, future=for_ever) for k in range(40)]
    assert_allclose(found, expected, rtol=1e-12)


def test_return_to_go_of_a_constant_reward_without_a_fall_is_the_geometric_series():
    episode = replace(make_episode(25, terminated=False), rewards=np.full(25, 3.0))
    assert_allclose(return_to_go(episode, discount=0.95, fall_penalty=9.0), 3.0 / 0.05)


def test_the_transition_into_a_fall_is_in_a_window(robot):
    fell = make_episode(5, n_observations=6)
    fell.observations[5] = 50.0
    other = make_episode(4, first=100, terminated=False, n_observations=5)
    windows = Windows.cut([fell, other], robot, 3, discount=0.9, fall_penalty=70.0)
    assert windows.starts.tolist() == [0, 1, 2, 3, 6, 7]
    last = windows.rows[5]
    assert_array_equal(last[:A], 0.0)  # the robot gets no torque after a fall
    assert_array_equal(last[A:], np.minimum(50.0, robot.state_clip))
    assert windows.values[5] == -70.0
    # What it comes to is what it was worth to be about to fall.
    assert_allclose(windows.values[4], fell.rewards[4] + 0.9 * windows.values[5])
    assert_array_equal(windows.rows[6, A:], other.observations[0])


@pytest.mark.parametrize(('terminated', 'n_observations', 'expected'), [
    (True, 6, 6), (True, 5, 5), (False, 6, 5), (False, 5, 5)])
def test_there_is_a_row_more_only_for_a_recorded_fall(robot, terminated, n_observations, expected):
    episode = make_episode(5, terminated=terminated, n_observations=n_observations)
    windows = Windows.cut([episode], robot, 3, discount=0.9, fall_penalty=0.0)
    assert n_rows(episode) == expected == len(windows.rows) == len(windows.values)
    assert len(windows.starts) == expected - 2


def test_an_episode_as_long_as_the_horizon_only_with_its_fall_has_a_window(robot):
    episode = make_episode(7, n_observations=8)
    assert len(Windows.cut([episode], robot, 8, discount=0.9, fall_penalty=0.0).starts) == 1
