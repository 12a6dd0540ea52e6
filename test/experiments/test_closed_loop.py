# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Closed-loop evaluation: what is simulated for a bundle, and what episodes come to."""

from dataclasses import replace
import shutil
import subprocess
import sys

import pytest
from walker import normalized_score
import yaml

from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.experiments.closed_loop import (
    check_robot,
    episode_planner,
    EpisodeResult,
    run_episode,
    summarize,
)
from diffusion_planner_ros.experiments.standard_error import standard_error
from diffusion_planner_ros.planning.bundle import Bundle, write_calibration
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robots.robot_folder import robot_folder, TASK_FILE
from diffusion_planner_ros.sim.perturbation_ranges import DRAWN

RESULTS = [EpisodeResult(seed, episode_return, steps=10, fell=seed == 1, distance=1.0 + seed)
           for seed, episode_return in enumerate((100.0, 200.0, 600.0))]


WITH_A_WORKER = """
import time
from diffusion_planner_ros.experiments.closed_loop import open_pool
if __name__ == '__main__':
    with open_pool(1) as pool:
        pool.submit(str).result()
        print('working', flush=True)
        pool.submit(time.sleep, 60).result()
"""


def test_workers_end_with_a_process_that_is_killed(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(WITH_A_WORKER)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'working\n'
        process.kill()
        # The pipe is closed when the last of them is gone.
        process.communicate(timeout=30)


def test_episodes_are_summed_up():
    facts = summarize(RESULTS, 'walker2d')
    assert facts['return_mean'] == 300.0
    # Deviations -200, -100 and 300: a variance of 70,000, over three episodes.
    assert facts['return_stderr'] == pytest.approx((70_000 / 3) ** 0.5)
    assert facts['normalized_score'] == normalized_score(300.0)
    assert (facts['falls'], facts['fall_rate']) == (1, pytest.approx(1 / 3))
    assert facts['distance_mean_m'] == 2.0


def test_a_single_value_has_no_standard_error():
    assert standard_error([3.0]) is None
    assert summarize(RESULTS[:1], 'walker2d')['return_stderr'] is None


def test_a_robot_without_reference_has_no_score(tmp_path):
    folder = shutil.copytree(robot_folder('hopper'), tmp_path / 'hopper')
    facts = yaml.safe_load((folder / TASK_FILE).read_text())
    del facts['reference_returns']
    (folder / TASK_FILE).write_text(yaml.safe_dump(facts))
    assert summarize(RESULTS, 'hopper')['normalized_score'] is not None
    assert summarize(RESULTS, str(folder))['normalized_score'] is None


@pytest.mark.parametrize(('changes', 'message'), [
    ({'name': 'r2d2'}, "no robot 'r2d2': expected one of half_cheetah, hopper"),
    ({'state': ()}, 'the state is , expected rootz position, rooty position'),
    ({'control_period': 0.01}, 'control period is 0.01 s, expected 0.008 s for walker2d'),
    ({'action': ()}, 'commands the joints , expected thigh_joint, leg_joint')])
def test_a_bundle_of_another_robot_is_refused(bundle, changes, message):
    check_robot(bundle)
    other = replace(bundle, robot=replace(bundle.robot, **changes))
    with pytest.raises(RobotError, match=message):
        check_robot(other)


def test_every_episode_draws_its_own_robot(bundle):
    planner = episode_planner(bundle.path, PlannerConfig(n_candidates=1), 5)
    drawn, _ = run_episode(5, planner=planner, perturbation=DRAWN)
    assert drawn == run_episode(5, planner=planner, perturbation=DRAWN.draw(5))[0]
    assert drawn != run_episode(5, planner=planner)[0]


def test_a_bundle_is_loaded_again_only_when_it_was_written_again(bundle, tmp_path):
    path = shutil.copytree(bundle.path, tmp_path / 'bundle')
    config = PlannerConfig(seed=3)
    first, second = (episode_planner(path, config, seed) for seed in (0, 1))
    assert second.bundle is first.bundle
    assert (first.config.seed, second.config.seed) == (3, 4)
    write_calibration(path, {'note': 'anew'})
    assert episode_planner(path, config, 0).bundle.hash == Bundle.load(path).hash
    assert episode_planner(path, config, 0).bundle.hash != first.bundle.hash
