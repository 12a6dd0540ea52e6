# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots that are sent to goals: walls of a map, starts and goals of episodes, what they earn."""

import shutil

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import yaml

from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.robot_folder import LAYOUT_FILE, robot_folder, TASK_FILE
from diffusion_planner_ros.robots.task import Task
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.sim.task_rewards import task_judge

RADIUS = 0.2  # of the point mass [m]


@pytest.mark.parametrize('robot', ['point_maze', 'reacher'])
def test_start_and_goal_of_an_episode_follow_from_its_seed(robot):
    first, second = make_environment(robot), make_environment(robot)
    starts = []
    for seed in range(20):
        assert_array_equal(first.reset(seed), second.reset(seed))
        assert_array_equal(first.goal, second.goal)
        space = first.robot.goal
        space.check(first.goal)
        starts.append(space.position(first.state))
        assert -first.position == pytest.approx(np.linalg.norm(starts[-1] - first.goal))
        assert np.abs(first.qvel).max() <= 0.011  # as its initial noise
    assert (np.ptp(starts, axis=0) > 0.4 * np.diff(space.bounds, axis=0)[0]).all()


def test_the_walls_of_the_simulation_are_those_of_the_map():
    robot = make_environment('point_maze')
    robot.reset(0)
    grid = robot.robot.goal.grid
    for row, column in grid.free_cells:
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            robot.place(np.array([*grid.centre(row, column), 0.0, 0.0]))
            force = 10.0 * np.array([step[1], -step[0]])
            for _ in range(10):
                state, _, _ = robot.step(force)
            moved = np.linalg.norm(state[:2] - grid.centre(row, column))
            if grid.is_wall[row + step[0], column + step[1]]:
                assert moved == pytest.approx(grid.cell / 2 - RADIUS, abs=0.05)
            else:
                assert moved > grid.cell


def test_the_model_shows_the_goal():
    robot = make_environment('reacher')
    robot.reset(3)
    tip = robot.robot.goal.state_at(robot.goal, robot.state)
    assert_allclose(robot.qpos[2:], robot.goal)
    robot.place(tip)
    robot.aim([0.1, 0.05])
    assert_allclose(robot.qpos[2:], [0.1, 0.05])
    assert robot.position < 0


def test_the_kinematics_of_the_layout_are_those_of_the_model():
    robot, rng = make_environment('reacher'), np.random.default_rng(0)
    robot.reset(0)
    for _ in range(10):
        state = np.concatenate([rng.uniform(-2.5, 2.5, 2), np.zeros(2)])
        robot.place(state)
        assert_allclose(robot.robot.goal.position(state),
                        robot.data.body('fingertip').xpos[:2], atol=1e-9)


def test_the_reward_is_the_distance_from_the_goal_and_what_torques_cost():
    robot = make_environment('point_maze')
    robot.reset(0)
    robot.aim(np.add(robot.robot.goal.position(robot.state), [0.0, 0.3]))
    state, reward, fell = robot.step(np.array([0.0, -5.0]))
    assert not fell
    away = np.linalg.norm(robot.robot.goal.position(state) - robot.goal)
    assert away > 0.3
    assert reward == pytest.approx(-away - 0.01 * 0.25)


def test_rewards_about_goals_are_not_filled_into_recordings():
    with pytest.raises(RobotError, match='the task of reacher rewards being near a goal'):
        task_judge(Robot.load('reacher'))(Episode(np.zeros((2, 4)), np.zeros((1, 2)), np.zeros(1),
                                                  False))


@pytest.fixture
def own(tmp_path):
    """Folder of a point mass of the user's own, and a function that changes its files."""
    folder = shutil.copytree(robot_folder('point_maze'), tmp_path / 'point_maze')

    def change(name, section, **changes):
        file = folder / name
        facts = yaml.safe_load(file.read_text())
        for key, value in changes.items():
            (facts[section] if section else facts)[key] = value
        file.write_text(yaml.safe_dump({k: v for k, v in facts.items() if v is not None}))
    return folder, change


@pytest.mark.parametrize(('file', 'section', 'changes', 'reason'), [
    (TASK_FILE, 'reaching', {'stiffness': 'much'}, "reaching.stiffness is 'much', expected"),
    (TASK_FILE, 'reaching', {'gain': 1.0}, "key 'reaching.gain' is unknown"),
    (TASK_FILE, 'reaching', {'goal_joints': ['x', 'z']}, "reaching.goal_joints has 'z', expected "
                                                         'joints of point.xml: x, y'),
    (TASK_FILE, '', {'forward_joint': 'x'}, "key 'forward_joint' is unknown"),
    (TASK_FILE, 'reward', {'forward_velocity': 1.0}, "key 'reward.forward_velocity' is unknown"),
    (LAYOUT_FILE, '', {'goal': None}, 'layout of point_maze: no section goal'),
    (LAYOUT_FILE, 'goal', {'map': None, 'workspace': {'x': [-1, 1], 'y': [-1, 1]}},
     'reaching.wall_height is 0.4, expected none: the goals of point_maze have no map')])
def test_what_does_not_fit_is_refused(own, file, section, changes, reason):
    folder, change = own
    change(file, section, **changes)
    with pytest.raises(RobotError, match=reason):
        make_environment(str(folder))


def test_another_map_is_another_maze(own):
    folder, change = own
    change(LAYOUT_FILE, 'goal', map={'rows': ['####', '#..#', '####'], 'cell': 2.0,
                                     'origin': [0.0, 0.0]})
    robot = make_environment(str(folder))
    robot.reset(0)
    robot.place(np.array([3.0, 3.0, 0.0, 0.0]))
    for _ in range(30):
        state, _, _ = robot.step(np.array([10.0, 0.0]))
    assert state[0] == pytest.approx(6.0 - RADIUS, abs=0.05)
    assert Task.load(str(folder)).reaching.wall_height == 0.4
