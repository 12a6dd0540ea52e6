# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of a planner's markers, taken by the command over DDS."""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import subprocess
import sys

from matplotlib.image import imread
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from ros_processes import environment, observer, spin_for, TIME_LIMIT
from visualization_msgs.msg import MarkerArray
from walker import Walker2D

from diffusion_planner_ros.commands.inspect.snapshot import snapshot
from diffusion_planner_ros.errors import ConfigError, PlannerError
from diffusion_planner_ros.nodes.common.topics import MARKERS
from diffusion_planner_ros.nodes.display import markers
from diffusion_planner_ros.planning.planner import Plan
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.robot_folder import urdf_file
from diffusion_planner_ros.urdf_tree import Urdf

N_CANDIDATES, HORIZON = 3, 6
BEST = 41.25
STEPS = (10, 7, 4, 0)


@pytest.fixture(scope='module')
def scene():
    """A walker that moves on at 4 m/s, and what its candidates differ in: the left knee."""
    walker, robot = Walker2D(), Robot.load('walker2d')
    state = walker.reset(seed=0)
    rows = np.zeros((N_CANDIDATES, HORIZON, robot.action_dim + robot.state_dim))
    rows[..., robot.action_dim:] = state
    rows[..., robot.action_dim + 8] = 4.0
    bend = np.linspace(0.0, -0.5, HORIZON)
    rows[..., robot.action_dim + 6] += np.arange(N_CANDIDATES)[:, None] * bend
    values = np.array([39.5, BEST, 40.0])
    plan = Plan(rows, values, np.zeros(rows.shape[:2], dtype=bool), robot.action_dim, values)
    return plan, robot, Urdf.load(urdf_file('walker2d')), dict(
        zip(walker.joint_names, walker.qpos.tolist(), strict=True))


@pytest.fixture(scope='module')
def plan_array(scene):
    plan, robot, urdf, start = scene
    executed = [{**start, 'rootx': x} for x in np.linspace(-3.0, -0.1, 20)]
    return markers.plan_markers(plan, robot, urdf, start, executed,
                                markers.header_at(1_500_000_000, 'world'))


def denoising_arrays(scene, stamp):
    plan, robot, urdf, start = scene
    states = plan.candidates[..., robot.action_dim:]
    noise = np.random.default_rng(0).normal(0.0, 0.01, states.shape)
    return [markers.denoising_markers(states + t * noise, plan, t, STEPS[0], robot, urdf,
                                      start, markers.header_at(stamp, 'world')) for t in STEPS]


def take(*words, cwd, publish):
    """Run the command in ``cwd``; meanwhile publish a list of (topic, message) again and again."""
    with observer() as node:
        publishers = {topic: node.create_publisher(MarkerArray, topic, 1)
                      for topic, _ in publish}
        process = subprocess.Popen(
            [sys.executable, '-m', 'diffusion_planner_ros.commands', 'snapshot', '--json',
             *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=cwd, env={**environment(), 'PYTHONPATH': os.pathsep.join(sys.path)})
        try:
            for _ in range(round(TIME_LIMIT / 0.05)):
                for topic, message in publish:
                    if process.poll() is None:
                        publishers[topic].publish(message)
                        spin_for(node, 0.05)
                spin_for(node, 0.05)
                if process.poll() is not None:
                    break
            output, errors = process.communicate(timeout=TIME_LIMIT)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, errors
    return json.loads(output)


def has_color(picture, color):
    """Return whether many pixels have a colour, as far as 8 bits can tell."""
    near = np.abs(picture[..., :3] - np.asarray(color)).max(axis=-1) < 0.02
    return near.sum() > 50


def test_a_plan_becomes_a_picture(plan_array, tmp_path):
    report = take(cwd=tmp_path, publish=[('planner/markers', plan_array)])
    assert report['topic'] == 'planner/markers'
    assert report['time_s'] == 1.5
    assert (report['worst_value'], report['best_value']) == (39.5, BEST)
    assert report['lines'] == 3 + markers.N_GHOSTS + 3 + 3 * N_CANDIDATES
    picture = imread(tmp_path / 'snapshot.png')
    assert has_color(picture, markers.CHOSEN_COLOR)
    assert has_color(picture, markers.VALUE_COLORS[0])
    assert has_color(picture, markers.VALUE_COLORS[-1])


def test_the_steps_of_one_denoising_become_a_picture(scene, tmp_path):
    # The first plan is heard from its middle on only: not all of its steps are there.
    heard = denoising_arrays(scene, 1_000_000_000)[2:] + denoising_arrays(scene, 2_000_000_000)
    report = take('--denoising', '--out', 'steps.png', cwd=tmp_path,
                  publish=[('planner/denoising', array) for array in heard])
    assert report['time_s'] == 2.0
    assert report['messages'] == len(STEPS)
    picture = imread(tmp_path / 'steps.png')
    assert picture.shape[1] > picture.shape[0]
    assert has_color(picture, markers.VALUE_COLORS[-1])


def test_another_topic_can_be_named(plan_array, tmp_path):
    report = take('--topic', '/robot1/planner/markers', '--out', tmp_path / 'a.png', cwd=tmp_path,
                  publish=[('robot1/planner/markers', plan_array)])
    assert report['topic'] == '/robot1/planner/markers'
    assert (tmp_path / 'a.png').is_file()


@contextmanager
def silent_publisher():
    """Let somebody offer markers and publish none, seen from the context of this process."""
    for name, value in environment().items():
        os.environ[name] = value
    context = Context()
    rclpy.init(context=context)
    node = Node('silent', context=context)
    try:
        node.create_publisher(MarkerArray, MARKERS.path, 1)
        yield
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_silence_is_explained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PlannerError, match='ROS domain') as silence:
        snapshot(timeout=0.5)
    text = "no markers on topic '/planner/markers' in 0.5 s, which has 0 publishers"
    assert text in str(silence.value)
    with silent_publisher():
        for timeout in (1.0, 5.0, 25.0):  # until it is discovered
            with pytest.raises(PlannerError) as silence:
                snapshot(timeout=timeout)
            if '0 publishers' not in str(silence.value):
                break
    text = 'which has 1 publisher; the planner publishes only while it plans'
    assert text in str(silence.value)
    assert not (tmp_path / 'snapshot.png').exists()


@pytest.mark.parametrize(('options', 'message'), [
    ({'timeout': 0.0}, 'timeout is 0.0 s, expected a number above 0'),
    ({'out': Path('nowhere/a.png')},
     'nowhere/a.png: expected the name of a PNG file in a folder'),
])
def test_a_wrong_option_is_refused_at_once(options, message):
    with pytest.raises(ConfigError, match=message):
        snapshot(**options)
