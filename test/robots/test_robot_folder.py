# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots are found by name or path; what layout, task and model disagree about is named."""

import os
import shutil

import numpy as np
import pytest
import yaml

from diffusion_planner_ros.commands.inspect.urdf import urdf
from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.robot_folder import (
    LAYOUT_FILE,
    make_known,
    robot_folder,
    SEARCH_PATH,
    TASK_FILE,
    urdf_file,
)
from diffusion_planner_ros.robots.task import Task
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.urdf_tree import Urdf

ROBOTS = ('walker2d', 'hopper', 'half_cheetah', 'point_maze', 'reacher')


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Folder of a robot of the user's own: a hopper with another name."""
    monkeypatch.setenv(SEARCH_PATH, '')
    folder = shutil.copytree(robot_folder('hopper'), tmp_path / 'my_hopper')
    rewrite(folder / LAYOUT_FILE, name='my_hopper')
    return folder


def rewrite(file, **changes):
    """Write a YAML file anew with other values of some keys."""
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))


@pytest.mark.parametrize('robot', ROBOTS)
def test_the_urdf_of_a_robot_that_ships_is_what_the_command_writes(robot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / 'robot.urdf'
    urdf(robot, out=file)
    assert file.read_text() == urdf_file(robot).read_text()
    driven = {j: limit for j, limit in Urdf.load(file).effort_limits.items() if limit}
    assert driven == {entry.joint: entry.limit for entry in Robot.load(robot).action}
    assert [p.name for p in tmp_path.iterdir()] == ['robot.urdf']  # no log of MuJoCo's warnings


def test_a_robot_is_found_by_the_path_of_its_folder(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    for path in (str(own), f'{own}/', './my_hopper'):
        assert Robot.load(path).name == 'my_hopper'
        assert Task.load(path).mjcf == 'hopper.xml'
        assert make_environment(path).robot.name == 'my_hopper'
    assert Robot.load(str(own / LAYOUT_FILE)).name == 'my_hopper'


def test_a_robot_is_found_by_its_name_once_it_is_known(own):
    known = 'half_cheetah, hopper, point_maze, reacher, walker2d'
    with pytest.raises(RobotError, match=f"no robot 'my_hopper': expected one of {known}, or the "
                                         rf'path .* {SEARCH_PATH}'):
        robot_folder('my_hopper')
    assert urdf_file('my_hopper') is None
    assert make_known(str(own)) == 'my_hopper'
    assert robot_folder('my_hopper') == own
    assert urdf_file('my_hopper') == own / 'robot.urdf'
    assert os.environ[SEARCH_PATH] == str(own.parent)  # for processes that are started
    assert make_known('walker2d') == 'walker2d'
    assert robot_folder('walker2d').parent.name == 'robots'


def test_a_folder_of_the_users_own_wins_over_one_that_ships(own):
    hopper = own.rename(own.parent / 'hopper')
    rewrite(hopper / LAYOUT_FILE, name='hopper')
    make_known(str(hopper))
    assert robot_folder('hopper') == hopper


@pytest.mark.parametrize('path', ['./nowhere', '/nowhere/at_all'])
def test_a_path_without_a_layout_is_refused(path):
    with pytest.raises(RobotError, match=f'{path}: no layout.yaml in it, expected the folder of'):
        robot_folder(path)


def test_a_name_that_is_not_that_of_the_folder_is_refused(own):
    rewrite(own / LAYOUT_FILE, name='hopper')
    with pytest.raises(RobotError, match=r"layout\.yaml: name is 'hopper', expected 'my_hopper'"):
        Robot.load(str(own))


def test_a_model_beside_the_task_is_simulated(own):
    (own / 'mine.xml').write_text(
        '<mujoco><worldbody><body name="cart"><joint name="rail" type="slide" axis="1 0 0"/>'
        '<geom type="sphere" size=".1" mass="2"/></body></worldbody><actuator>'
        '<motor joint="rail" ctrlrange="-5 5" gear="2"/></actuator></mujoco>')
    (own / LAYOUT_FILE).write_text(yaml.safe_dump({
        'name': 'my_hopper', 'control_period': 0.01,
        'state': [{'joint': 'rail', 'quantity': 'velocity', 'unit': 'm/s', 'clip': 1.0},
                  {'joint': 'rail', 'quantity': 'position', 'unit': 'm'}],
        'action': [{'joint': 'rail', 'limit': 10.0}]}))
    rewrite(own / TASK_FILE, mjcf='mine.xml', frame_skip=5, forward_joint='rail',
            pushed_body='cart',
            healthy={'positions': {'rail': [-1.0, 0.1]}, 'ends_episode': False},
            initial_noise={'position_bound': 0.0, 'velocity_std': 0.0})
    robot = make_environment(str(own))
    state = robot.reset(0)
    np.testing.assert_array_equal(state, [0.0, 0.0])
    state, reward, fell = robot.step(np.array([4.0]))  # [N] on 2 kg for 0.01 s
    np.testing.assert_allclose(state, [0.02, robot.position])
    assert reward == pytest.approx(robot.position / 0.01 + 1.0 - 0.001 * 0.4**2)
    robot.place(np.array([3.0, 0.2]))  # velocity first, as the layout has it
    np.testing.assert_array_equal(robot.state, [1.0, 0.2])
    np.testing.assert_array_equal(robot.qvel, [3.0])
    _, reward, fell = robot.step(np.zeros(1))
    assert not fell  # it is not healthy, but that does not end the episode
    assert reward == pytest.approx(3.0)


def motors(text):
    return f'<mujoco><worldbody>{BODY}</worldbody><actuator>{text}</actuator></mujoco>'


BODY = ('<body name="torso"><joint name="rootx" type="slide" axis="1 0 0"/>'
        '<geom type="sphere" size=".1"/></body>')
FREE = '<mujoco><worldbody>' + BODY.replace('type="slide" axis="1 0 0"', 'type="free"') + (
    '</worldbody></mujoco>')
STATE = Robot.load('hopper').to_dict()['state']
ACTION = Robot.load('hopper').to_dict()['action']


@pytest.mark.parametrize(('layout', 'task', 'message'), [
    ({}, {'mjcf': 'nowhere.xml'},
     r"mjcf is 'nowhere\.xml', expected a file that is there: neither .*my_hopper/nowhere\.xml "
     r'nor .*assets/nowhere\.xml is'),
    ({}, {'mjcf': 'task.yaml'}, 'MuJoCo does not load it'),
    ({}, {'mjcf': FREE}, "joint 'rootx' is a free joint, with seven positions, .* expected slides "
                         'and hinges'),
    ({}, {'forward_joint': 'root'}, "forward_joint is 'root', expected one of hopper.xml's rootx"),
    ({}, {'pushed_body': 'trunk'}, "pushed_body is 'trunk', expected one of hopper.xml's torso"),
    ({}, {'healthy': {'positions': {'z': [0.0, 1.0]}, 'ends_episode': True}},
     "a joint of healthy.positions is 'z', expected one of"),
    ({}, {'frame_skip': 5}, 'control_period is 0.008 s, expected 0.01 s, frame_skip 5 times'),
    ({'state': [{'joint': 'knee', 'quantity': 'position', 'unit': 'rad'}]}, {},
     "the state has joint 'knee', expected joints of hopper.xml: rootx"),
    ({'action': ACTION[::-1]}, {}, 'the action is of foot_joint, leg_joint, thigh_joint, expected '
                                   "hopper.xml's motors in their order: thigh_joint"),
    ({'action': [ACTION[0], ACTION[1], {'joint': 'foot_joint', 'limit': 100.0}]}, {},
     "limit of joint 'foot_joint' is 100 N m, expected 200 N m, gear times ctrlrange"),
    ({}, {'mjcf': motors('<position name="servo" joint="rootx" ctrlrange="-1 1"/>'),
          'healthy': {'others': [-1.0, 1.0], 'ends_episode': True}, 'state': True},
     r"actuator 0, 'servo', is a position servo \(kp 1\); expected motors alone"),
    ({}, {'mjcf': motors('<motor name="weak" joint="rootx" ctrlrange="-1 2"/>'),
          'healthy': {'others': [-1.0, 1.0], 'ends_episode': True}, 'state': True},
     "'weak', has the ctrlrange -1 2, no range from -x to x"),
], ids=lambda value: str(value)[:40])
def test_what_does_not_fit_the_model_is_refused(own, layout, task, message):
    task = dict(task)
    if str(task.get('mjcf', '')).startswith('<'):
        (own / 'mine.xml').write_text(task['mjcf'])
        task['mjcf'] = 'mine.xml'
    if task.pop('state', None):
        layout = {'state': [{'joint': 'rootx', 'quantity': 'velocity', 'unit': 'm/s'}]}
    rewrite(own / LAYOUT_FILE, **layout)
    rewrite(own / TASK_FILE, **task)
    with pytest.raises(RobotError, match=message):
        make_environment(str(own))
