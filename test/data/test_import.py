# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner import``: recordings of any kind become a data set to train on."""

import json
import shutil

from bag_writer import made_up_walk, write_bag
import minari
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.commands.learn.import_recording import import_recording
from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.d4rl_format import write_d4rl
from diffusion_planner_ros.data.executed_plans import LogWriter
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.import_run import import_recordings
from diffusion_planner_ros.data.minari_format import read_metadata
from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import DatasetError, RobotError
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.robot_folder import robot_folder, SEARCH_PATH
from diffusion_planner_ros.sim.rollout import rollout
from diffusion_planner_ros.sim.task_rewards import task_judge

N = 40
ROUNDING = 1e-6  # of single precision, in which data sets are stored, as a share


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')  # writing sets it


@pytest.fixture(scope='module')
def walk():
    return made_up_walk(N)


@pytest.fixture(scope='module')
def fall():
    """An episode under random torques that ends in a fall, as the simulator has it."""
    robot, rng = Walker2D(), np.random.default_rng(0)
    robot.reset(seed=0)
    episode = rollout(robot, lambda state, step: rng.uniform(-50, 50, 6))
    assert episode.terminated
    return episode


def unrewarded(episode):
    return Episode(episode.observations, episode.actions, np.full(len(episode), np.nan),
                   terminated=False)


def log_of(file, robot, *episodes):
    """Write episodes as the node recorder does; return the file."""
    writer = LogWriter(file, robot, bundle_hash='')
    for e in episodes:
        plans = np.full((len(e), 8, robot.state_dim), np.nan, dtype=np.float32)
        writer.write(Episode(e.observations, e.actions, e.rewards, e.terminated, plans))
    return file


def without_rewards(walk):
    return [s for s in walk.sent() if s.topic != '/reward']


@pytest.mark.parametrize('storage', ['mcap', 'sqlite'])
def test_a_recording_becomes_a_data_set_with_a_report(tmp_path, robot, walk, storage, capsys,
                                                      monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bag(tmp_path / 'my walk', walk.sent(), storage)
    import_recording(BagConfig(), (tmp_path / 'my walk',), json=True)
    report = json.loads(capsys.readouterr().out)
    assert report['data_set'] == 'data/walker2d/my-walk-v0'
    assert {k: report[k] for k in ('episodes', 'steps', 'episodes_with_rewards', 'falls')} == {
        'episodes': 1, 'steps': N, 'episodes_with_rewards': 1, 'falls': 0}
    (part,) = report['recordings'].values()
    assert (part['dropped'], part['cuts']) == ({}, {'end of the recording': 1})
    assert part['spacing'] == '8 ms, control period 8 ms'
    folder = tmp_path / report['data_set']
    episode, = read_episodes(folder, robot)
    assert_allclose(episode.observations, walk.states, rtol=ROUNDING)
    assert_allclose(episode.actions * 100.0, walk.torques, rtol=ROUNDING)
    assert_array_equal(episode.rewards, walk.rewards)
    assert read_metadata(folder)['recordings'] == [str(tmp_path / 'my walk')]
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(folder.parent))
    assert minari.load_dataset('my-walk-v0')[0].observations.shape == (N + 1, 17)


def test_the_report_is_readable(tmp_path, walk, capsys):
    bag = write_bag(tmp_path / 'bag', walk.sent())
    import_recording(BagConfig(), (bag,), out=tmp_path / 'set-v0')
    lines = capsys.readouterr().out.splitlines()
    assert f'steps                  {N}' in lines
    assert any(line.split() == ['joint_states', '/joint_states,', '41', 'messages']
               for line in lines)


def test_several_recordings_become_one_data_set(tmp_path, robot, walk, fall):
    bags = [write_bag(tmp_path / name, walk.sent()) for name in ('a', 'b')]
    log = log_of(tmp_path / 'log.hdf5', robot, fall)
    facts = import_recordings([*bags, log], robot, BagConfig(), tmp_path / 'all-v2')
    assert (facts['episodes'], facts['steps'], facts['falls']) == (3, 2 * N + len(fall), 1)
    episodes = read_episodes(tmp_path / 'all-v2', robot)
    assert [len(e) for e in episodes] == [N, N, len(fall)]
    windows = Windows.cut(episodes, robot, 8, discount=0.99, fall_penalty=100.0)
    assert len(windows.starts) == 2 * (N - 7) + len(fall) + 1 - 7  # with the state of the fall
    assert list(facts['recordings']) == [str(p) for p in (*bags, log)]


def test_a_recording_without_rewards_is_written_without_them(tmp_path, robot, walk):
    bag = write_bag(tmp_path / 'bag', without_rewards(walk))
    facts = import_recordings([bag], robot, BagConfig(), tmp_path / 'set-v0')
    assert facts['episodes_with_rewards'] == 0
    episode, = read_episodes(tmp_path / 'set-v0', robot, needs_rewards=False)
    assert not episode.has_rewards
    with pytest.raises(DatasetError, match=r"key '/episode_0/rewards' is missing.*"
                       r'--skip-unrewarded.*import --rewards task'):
        read_episodes(tmp_path / 'set-v0', robot)


def test_steps_without_a_reward_are_left_out_where_others_have_one(tmp_path, robot, walk):
    rewards = [s for s in walk.sent() if s.topic == '/reward']
    messages = [s for s in walk.sent() if s.msg not in [r.msg for r in rewards[10:15]]]
    facts = import_recordings([write_bag(tmp_path / 'bag', messages)], robot, BagConfig(),
                              tmp_path / 'set-v0')
    first, second = read_episodes(tmp_path / 'set-v0', robot)
    assert_array_equal(first.rewards, walk.rewards[:10])
    assert_array_equal(second.rewards, walk.rewards[15:])
    (part,) = facts['recordings'].values()
    assert part['dropped'] == {'no reward': 5}


# Rewards of the task


def test_rewards_of_the_task_are_those_of_the_simulation(tmp_path, robot, fall):
    log = log_of(tmp_path / 'log.hdf5', robot, unrewarded(fall))
    facts = import_recordings([log], robot, BagConfig(), tmp_path / 'set-v0',
                              judge=task_judge(robot))
    episode, = read_episodes(tmp_path / 'set-v0', robot)
    assert (len(episode), episode.terminated) == (len(fall), True)
    assert (facts['episodes_with_rewards'], facts['falls']) == (1, 1)
    # The mean velocity in a step is not recorded, only that at its ends.
    assert_allclose(episode.rewards, fall.rewards, atol=0.1)
    assert episode.total_return == pytest.approx(fall.total_return, rel=0.01)


def test_with_the_task_a_robot_that_lies_is_left_out(tmp_path, robot, fall):
    lying = np.repeat(fall.observations[-1:], 20, axis=0)
    again = Episode(np.concatenate([fall.observations, lying, fall.observations[:11]]),
                    np.zeros((len(fall) + 31, 6)), np.full(len(fall) + 31, np.nan),
                    terminated=False)
    log = log_of(tmp_path / 'log.hdf5', robot, again)
    facts = import_recordings([log], robot, BagConfig(), tmp_path / 'set-v0',
                              judge=task_judge(robot))
    first, second = read_episodes(tmp_path / 'set-v0', robot)
    assert (len(first), first.terminated) == (len(fall), True)
    assert (len(second), second.terminated) == (10, False)
    (part,) = facts['recordings'].values()
    assert part['dropped'] == {'after a fall': 21}
    assert part['cuts'] == {'fall': 1}


def test_rewards_that_were_recorded_stay(tmp_path, robot, walk):
    bag = write_bag(tmp_path / 'bag', walk.sent())
    import_recordings([bag], robot, BagConfig(), tmp_path / 'set-v0', judge=task_judge(robot))
    episode, = read_episodes(tmp_path / 'set-v0', robot)
    assert_array_equal(episode.rewards, walk.rewards)


def test_a_robot_of_the_users_own_is_judged_by_the_task_of_its_folder(
        tmp_path, robot, fall, monkeypatch):
    monkeypatch.setenv(SEARCH_PATH, '')
    own = shutil.copytree(robot_folder('walker2d'), tmp_path / 'crawler')
    layout, task = own / 'layout.yaml', own / 'task.yaml'
    layout.write_text(layout.read_text().replace('name: walker2d', 'name: crawler'))
    task.write_text(task.read_text().replace('healthy: 1.0', 'healthy: 5.0'))
    log = tmp_path / 'log.hdf5'
    write_d4rl(log, [fall])
    import_recording(BagConfig(), (log,), robot=str(own), out=tmp_path / 'set-v0', rewards='task')
    again, = read_episodes(tmp_path / 'set-v0', Robot.load(str(own)))
    assert_allclose(again.rewards, fall.rewards, rtol=ROUNDING)  # those that were recorded stay
    judged, _ = task_judge(Robot.load('crawler'))(fall)
    assert_allclose(judged[:-1], fall.rewards[:-1] + 4.0, atol=0.1)


def test_a_robot_without_a_simulation_has_no_task(tmp_path, walk):
    layout = Robot.load('walker2d').to_dict() | {'name': 'crawler'}
    (tmp_path / 'crawler.yaml').write_text(json.dumps(layout))  # which is YAML, too
    bag = write_bag(tmp_path / 'bag', without_rewards(walk))
    with pytest.raises(RobotError, match="no robot 'crawler': expected one of"):
        import_recording(BagConfig(), (bag,), robot=str(tmp_path / 'crawler.yaml'),
                         out=tmp_path / 'set-v0', rewards='task')


# Files that train reads as well


def test_a_file_of_the_recorder_is_imported(tmp_path, robot, fall):
    log = log_of(tmp_path / 'log.hdf5', robot, fall, unrewarded(fall))
    facts = import_recordings([log], robot, BagConfig(), tmp_path / 'set-v0')
    assert (facts['episodes'], facts['episodes_with_rewards'], facts['falls']) == (2, 1, 1)
    (part,) = facts['recordings'].values()
    assert part['format'] == 'a log of executed plans'
    first, second = read_episodes(tmp_path / 'set-v0', robot, needs_rewards=False)
    assert_allclose(first.observations, fall.observations, rtol=ROUNDING, atol=1e-9)
    assert_array_equal(first.rewards, fall.rewards)
    assert not second.has_rewards


def test_a_file_in_the_layout_of_d4rl_is_imported(tmp_path, robot, fall):
    whole = Episode(fall.observations[:-1], fall.actions, fall.rewards, terminated=True)
    write_d4rl(tmp_path / 'd4rl.hdf5', [fall])
    write_d4rl(tmp_path / 'short.hdf5', [whole])
    files = [tmp_path / 'd4rl.hdf5', tmp_path / 'short.hdf5']
    facts = import_recordings(files, robot, BagConfig(), tmp_path / 'set-v0')
    first, second = read_episodes(tmp_path / 'set-v0', robot)
    assert (len(first), first.terminated) == (len(fall), True)
    # Nobody knows the state that its last action led to.
    assert (len(second), second.terminated) == (len(fall) - 1, False)
    assert facts['recordings'][str(files[1])]['dropped'] == {'no next state': 1}


def test_a_file_of_another_robot_is_refused(tmp_path, robot, fall):
    log = log_of(tmp_path / 'log.hdf5', robot, fall)
    layout = robot.to_dict() | {'name': 'crawler', 'control_period': 0.01}
    with pytest.raises(DatasetError, match=r"log\.hdf5: is of robot 'walker2d' with another"):
        import_recordings([log], Robot.from_dict(layout, 'here'), BagConfig(), tmp_path / 'a-v0')


def test_without_a_recording_it_says_what_is_expected(tmp_path, robot):
    with pytest.raises(DatasetError, match='no recording is named, expected at least one'):
        import_recording(BagConfig(), out=tmp_path / 'a-v0')
