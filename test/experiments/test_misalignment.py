# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Misalignment: known errors, branches that are the simulator's own future, recorded windows."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.errors import DatasetError
from diffusion_planner_ros.experiments.closed_loop import noise_seed, run_episode
from diffusion_planner_ros.experiments.diagnosis.recorded_windows import (
    draw_windows,
    plan_from,
    replay,
)
from diffusion_planner_ros.experiments.misalignment import (
    branch_from,
    compare_states,
    execute,
    forecast_error_of,
    measure_misalignment,
    Misalignment,
    misalignment_of,
    watch_episode,
)
from diffusion_planner_ros.planning.planner import Plan, Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

N, H, S, A = 5, 8, 17, 6


def random_torques(n, seed=0):
    return 100.0 * np.random.default_rng(seed).uniform(-1.0, 1.0, (n, A))


@pytest.fixture
def executed():
    return np.random.default_rng(0).standard_normal((N, H - 1, S))


@pytest.fixture
def planner(bundle):
    return Planner(bundle, PlannerConfig(n_candidates=2))


def test_a_known_error_is_found_in_its_step_and_entry(executed):
    planned = executed.copy()
    planned[:, 2, 4] += 0.3
    found = Misalignment(planned, executed)
    assert found.mean == pytest.approx(0.3 / np.sqrt((H - 1) * S))
    assert found.stderr == pytest.approx(0.0, abs=1e-12)
    assert_allclose(found.per_step, np.where(np.arange(H - 1) == 2, 0.3 / np.sqrt(S), 0.0),
                    atol=1e-12)
    assert_allclose(found.per_entry, np.where(np.arange(S) == 4, 0.3 / np.sqrt(H - 1), 0.0),
                    atol=1e-12)


def test_plans_count_alike_and_their_spread_is_the_standard_error(executed):
    sizes = np.arange(N)
    found = Misalignment(executed + sizes[:, None, None], executed)
    assert_allclose(found.per_plan, sizes)
    assert found.mean == pytest.approx(2.0)
    assert found.stderr == pytest.approx(np.sqrt(2.5 / N))
    assert np.isnan(Misalignment(executed[:1], executed[:1]).stderr)


def test_what_follows_a_fall_does_not_count(executed):
    executed[:, 3:] = np.nan
    executed[0, 1:] = np.nan
    found = Misalignment(np.nan_to_num(executed) + 0.5, executed)
    assert_allclose(found.per_plan, 0.5)
    assert_allclose(found.per_step, [0.5, 0.5, 0.5, *[np.nan] * 4])
    assert_allclose(found.per_entry, 0.5)


def test_the_error_is_in_standard_deviations_and_planned_velocities_are_clipped(bundle):
    std = bundle.normalizer.std[A:]
    executed = np.tile(np.append(np.zeros(S - 1), 10.0), (2, H - 1, 1))
    planned = executed + np.append(0.1 * std[:-1], 3.0)
    assert_allclose(compare_states(planned, executed, bundle).per_entry,
                    [*[0.1] * (S - 1), 0.0], atol=1e-9)


def test_a_copied_state_goes_on_as_the_original_does_to_the_bit(walker):
    for torque in random_torques(15):
        walker.step(torque)
    walker.push(np.array([2.0, 0.0, 0.0]))  # still to come
    copy = Walker2D()
    copy.restore(walker.snapshot())
    torques = random_torques(7, seed=1)
    assert_array_equal(execute(copy, torques), execute(walker, torques))
    assert_array_equal(copy.qpos, walker.qpos)


def test_after_a_fall_nothing_is_executed(walker):
    walker.data.qpos[2] = 0.99  # pitch [rad], nearly fallen
    walker.data.qvel[2] = 3.0
    states = execute(walker, np.zeros((H - 1, A)))
    n_steps = round(walker.data.time / walker.control_period)
    assert 1 <= n_steps < H - 1
    assert np.isfinite(states[:n_steps]).all()
    assert states[n_steps - 1, 1] > 1.0
    assert np.isnan(states[n_steps:]).all()


def test_a_plan_of_the_states_that_its_actions_give_is_aligned(walker, bundle):
    torques, start = random_torques(H), walker.state
    second = Walker2D()
    second.restore(walker.snapshot())
    states = np.concatenate([[start], execute(second, torques[:-1])])
    plan = Plan(np.concatenate([torques, states], axis=1)[None], np.zeros(1),
                np.zeros((1, H), dtype=bool), A, scores=np.zeros(1))
    branch = branch_from(walker, plan, bundle)
    assert misalignment_of([branch], bundle).mean == 0.0
    assert_array_equal(branch.forecast, bundle.forecast(start, torques[:-1]))
    assert forecast_error_of([branch], bundle).mean > 0.0


def test_an_episode_that_is_watched_is_the_one_that_is_not(planner):
    watched = watch_episode(3, planner=planner, every=4)
    result, trace = run_episode(3, planner=planner)
    assert watched.result == result
    assert_array_equal(watched.episode.observations, trace.episode.observations)
    n = len(trace.episode)
    assert list(watched.branches) == list(range(0, n, 4))
    assert_allclose(watched.plans[:, 0, :A], trace.episode.actions * 100.0, rtol=1e-12)
    # The first action of a branch is the one that the episode takes, too.
    for step, branch in watched.branches.items():
        assert_array_equal(branch.plan.states, watched.plans[step, :, A:])
        assert_array_equal(branch.executed[0], trace.episode.observations[step + 1])


def test_the_measure_of_a_bundle_is_that_of_its_episodes(bundle):
    config = PlannerConfig(n_candidates=2, seed=5)
    with ThreadPoolExecutor(1) as pool:  # threads start sooner than processes
        found = measure_misalignment(bundle.path, config, [3, 4], pool=pool)
    branches = [b for seed in (3, 4) for b in watch_episode(
        seed, planner=Planner(bundle, replace(config, seed=noise_seed(config, seed)))
    ).branches.values()]
    expected = misalignment_of(branches, bundle)
    assert_array_equal(found.planned, expected.planned)
    assert_array_equal(found.executed, expected.executed)


def test_recorded_actions_give_the_recorded_states(recorded, robot, bundle):
    windows = draw_windows(recorded.episodes, robot, H, n_windows=30,
                           rng=np.random.default_rng(0))
    assert windows.shape == (30, H, A + S)
    assert (np.abs(windows[:, 0, A:]) < robot.state_clip).all()
    floor = compare_states(replay(windows, robot), windows[:, 1:, A:], bundle)
    assert floor.per_plan.max() < 1e-6
    branches = plan_from(windows[:3], Planner(bundle, PlannerConfig()))
    assert_allclose([b.plan.states[0] for b in branches], windows[:3, 0, A:], atol=1e-5)
    assert misalignment_of(branches, bundle).mean > 0.01


def test_a_placed_robot_is_in_the_recorded_state(walker, recorded):
    observation = recorded.episodes[0].observations[10]
    walker.place(observation)
    assert_array_equal(walker.state, observation)
    assert walker.position == 0.0


def test_data_without_a_window_is_refused(recorded, robot):
    episodes = recorded.episodes[:2]
    longest = max(map(len, episodes))
    with pytest.raises(DatasetError, match=f'none of 2 episodes, of at most {longest} steps'):
        draw_windows(episodes, robot, longest + 1, n_windows=1, rng=np.random.default_rng(0))
