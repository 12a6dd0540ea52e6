# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot's task: what ships is as it is written, and a wrong file is refused with the remedy."""

from pathlib import Path
import re

import pytest
import yaml

from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.robots.robot_folder import robot_folder, TASK_FILE
from diffusion_planner_ros.robots.task import Health, InitialNoise, Reward, Task

FILE = Path('robots/mine/task.yaml')
UNBOUNDED = float('inf')


def facts(robot='hopper'):
    return yaml.safe_load((robot_folder(robot) / TASK_FILE).read_text())


def test_a_task_is_read_as_it_is_written():
    task = Task.load('hopper')
    assert task.initial_noise == InitialNoise(0.005, velocity_bound=0.005, velocity_std=None)
    assert task.healthy == Health({'rootz': (0.7, UNBOUNDED), 'rooty': (-0.2, 0.2)},
                                  (-100.0, 100.0), ends_episode=True)
    assert task.reward == Reward(1.0, 1.0, 0.001)
    assert task.has_falls


def test_a_robot_without_healthy_ranges_never_falls():
    task = Task.load('half_cheetah')
    assert task.healthy is None
    assert not task.has_falls
    assert task.initial_noise == InitialNoise(0.1, velocity_bound=None, velocity_std=0.1)


def test_ranges_that_end_no_episode_make_no_falls():
    changed = facts()
    changed['healthy']['ends_episode'] = False
    assert not Task.from_dict(changed, FILE).has_falls


@pytest.mark.parametrize(('robot', 'random', 'expert'), [
    ('walker2d', 1.629008, 4592.3), ('hopper', -20.272305, 3234.3),
    ('half_cheetah', -280.178953, 12135.0)])
def test_a_score_is_that_of_d4rl(robot, random, expert):
    # D4RL's infos.py: 0 at a random policy's return, and 100 at its expert's.
    score = Task.load(robot).normalized_score
    assert [score(random), score(expert)] == pytest.approx([0.0, 100.0])


def test_without_reference_returns_there_is_no_score():
    changed = facts()
    del changed['reference_returns']
    assert Task.from_dict(changed, FILE).normalized_score(100.0) is None


def changed(**changes):
    """Return a task in which keys have other values, None for a key that is not there."""
    whole = facts()
    for name, value in changes.items():
        *sections, key = name.split('__')
        section = whole
        for part in sections:
            section = section[part]
        if value is None:
            del section[key]
        else:
            section[key] = value
    return whole


@pytest.mark.parametrize(('changes', 'message'), [
    ({'mjcf': None}, "key 'mjcf' is missing"),
    ({'reward__control_cost': None}, "key 'reward.control_cost' is missing"),
    ({'frame_skp': 4}, "key 'frame_skp' is unknown, expected one of mjcf, frame_skip, "),
    ({'reward__speed': 1.0}, "key 'reward.speed' is unknown, expected one of forward_velocity, "
                             'healthy, control_cost'),
    ({'frame_skip': 2.5}, 'frame_skip is 2.5, expected an integer from 1 to'),
    ({'frame_skip': 0}, 'frame_skip is 0, expected an integer from 1'),
    ({'max_episode_steps': True}, 'max_episode_steps is True, expected an integer'),
    ({'forward_joint': 3}, 'forward_joint is 3, expected a text'),
    ({'pushed_body': ' '}, "pushed_body is ' ', expected a text"),
    ({'reward': 1.0}, 'reward is 1.0, expected a mapping'),
    ({'reward__healthy': '1e-3'}, "reward.healthy is '1e-3', expected a finite number; YAML takes "
                                  'it for a text: write 1.0e-3'),
    ({'reward__healthy': float('inf')}, 'reward.healthy is inf, expected a finite number'),
    ({'initial_noise__position_bound': -0.1}, 'initial_noise.position_bound is -0.1, expected a '
                                              'finite number, at least 0'),
    ({'initial_noise__velocity_std': 0.1}, 'initial_noise.velocity_bound is 0.005, expected a '
                                           'number either there, .* or as velocity_std'),
    ({'initial_noise__velocity_bound': None}, 'initial_noise.velocity_bound is None, expected a '
                                              'number either there'),
    ({'healthy__positions__rootz': [2.0, 0.7]}, r'healthy.positions.rootz is \[2.0, 0.7\], '
                                                'expected two numbers, the smaller one first'),
    ({'healthy__positions__rootz': 0.7}, 'healthy.positions.rootz is 0.7, expected two numbers'),
    ({'healthy__ends_episode': 'yes'}, "healthy.ends_episode is 'yes', expected true or false"),
    ({'healthy__positions': None, 'healthy__others': None},
     'healthy.positions is {}, expected the range of at least one joint'),
    ({'reference_returns__expert': -30.0}, 'reference_returns.expert is -30.0, expected more than '
                                           'random, which is -20.27'),
    ({'reference_returns__note': None}, "key 'reference_returns.note' is missing"),
], ids=lambda value: str(value)[:40])
def test_a_wrong_task_is_refused_with_file_key_value_and_what_was_expected(changes, message):
    with pytest.raises(RobotError, match=f'^{re.escape(str(FILE))}: {message}'):
        Task.from_dict(changed(**changes), FILE)


@pytest.mark.parametrize(('text', 'message'), [
    (': :', r'task\.yaml: not a readable YAML file'),
    ('- mjcf', r'task\.yaml: expected a mapping, found list'),
    ('', r'task\.yaml: expected a mapping, found NoneType'),
    (None, r'mine: no task\.yaml in it, expected one: it says how the robot is simulated')])
def test_a_file_that_holds_no_task_is_refused(text, message, tmp_path):
    folder = tmp_path / 'mine'
    folder.mkdir()
    (folder / 'layout.yaml').write_text('name: mine')
    if text is not None:
        (folder / TASK_FILE).write_text(text)
    with pytest.raises(RobotError, match=message):
        Task.load(str(folder))
