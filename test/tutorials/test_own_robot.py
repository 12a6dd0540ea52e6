# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The tutorial "A robot of your own": what it says is done here, in its order, in small."""

import os
import subprocess
import sys

from lifecycle import Health
import pytest
from ros2_line import Ros2Line
from ros_processes import environment, observer, spin_until, STOP_TIME
from tutorial import Tutorial

from diffusion_planner_ros.robots.robot_folder import SEARCH_PATH

pytestmark = pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """Do all that comes before the nodes."""
    page = Tutorial('own_robot.md')
    with page.done_in(tmp_path_factory.mktemp('tutorial'), but=('ros2', 'export')):
        yield page


def test_the_model_becomes_a_robot_that_learns_and_moves(page):
    reports = {verb: report for verb, (report,) in page.reports.items()}
    assert list(reports) == ['new-robot', 'collect', 'train', 'export', 'evaluate', 'walk']
    assert 'wheel may turn without end' in ' '.join(reports['new-robot']['to_do'].values())
    assert reports['collect']['medium-expert']['transitions'] >= 300
    assert reports['evaluate']['episodes'] == 1
    assert 0 < reports['evaluate']['return_mean'] < 500
    assert reports['walk']['episode_steps'][0] > 0
    assert len(reports['walk']['returns']) == 1


def test_the_nodes_that_it_starts_one_by_one_move_the_robot(page, monkeypatch):
    (export,) = page.of('export')
    name, value = export.words[1].split('=')
    assert name == SEARCH_PATH
    monkeypatch.setenv(name, value.replace('$PWD', os.getcwd()))
    lines = [Ros2Line(step.text) for step in page.of('ros2', 'run')]
    assert [line.executable for line in lines] == ['mujoco_bridge', 'planner']
    nodes = [subprocess.Popen([sys.executable, '-m', 'diffusion_planner_ros.nodes',
                               line.executable, *line.arguments],
                              env=environment(), stdout=subprocess.DEVNULL) for line in lines]
    try:
        with observer() as node:
            bridge = Health(node, 'mujoco_bridge')
            spin_until(node, lambda: int(bridge.facts.get('total_steps', 0)) > 20, 'a walk')
    finally:
        for process in nodes:
            process.terminate()
        assert [process.wait(STOP_TIME) for process in nodes] == [0, 0]


def test_the_launch_line_names_arguments_and_paths_that_are_there(page):
    (line,) = (Ros2Line(step.text) for step in page.of('ros2', 'launch'))
    given = line.launch_arguments()
    assert list(given) == ['robot', 'bundle']
    assert all(os.path.isdir(path) for path in given.values())
