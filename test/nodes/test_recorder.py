# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Executed plans: how messages become episodes, and that a real run is recorded as it was."""

from contextlib import contextmanager
from dataclasses import replace
import json
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys
import time

import h5py
from hardware_driver import truth_of
from lifecycle import ACTIVATE, change, CONFIGURE, Health
from nav_msgs.msg import Odometry
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from ros_processes import environment, observer, running, spin_until, TIME_LIMIT
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory
import yaml

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.data.executed_plans import LogWriter, read_log
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import ConfigError, DatasetError, OutputError, StateError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.ros.hardware_bench import MeasuredRobot
from diffusion_planner_ros.experiments.ros.ros_session import session, SessionConfig
from diffusion_planner_ros.messages.rewards import reward_from_msg
from diffusion_planner_ros.nodes.common.conversions import (
    msg_from_joints,
    msg_from_plan,
    msg_from_reward,
    msg_from_torque,
    states_from_plan,
)
from diffusion_planner_ros.nodes.recorder_node import RecorderConfig
from diffusion_planner_ros.nodes.recording.episode_builder import EARLY, EpisodeLog, LATE
from diffusion_planner_ros.nodes.recording.message_sorter import MessageSorter
from diffusion_planner_ros.nodes.threads.scheduling import SchedulingConfig
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Plan, Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robot import QUANTITIES
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment

H, S, A = 8, 17, 6
PERIOD = 8_000_000  # [ns]
MILLISECOND = 1_000_000  # [ns]


# Messages, without DDS


def test_messages_go_on_in_the_order_in_which_they_were_published():
    seen, messages = [], MessageSorter(hold=0.5)
    for sent, now in ((30, 0.0), (10, 0.1), (20, 0.6), (40, 0.6)):
        messages.put(sent, now, lambda sent=sent: seen.append(sent))
    messages.release(0.4)
    assert seen == []
    messages.release(0.5)
    assert seen == [10, 20, 30]
    messages.release_all()
    assert seen == [10, 20, 30, 40]


def test_messages_of_one_time_go_on_as_they_came():
    seen, messages = [], MessageSorter(hold=0.0)
    for k in range(5):
        messages.put(7, 0.0, lambda k=k: seen.append(k))
    messages.release(0.0)
    assert seen == [0, 1, 2, 3, 4]


def test_planned_states_travel_unchanged(robot):
    candidates = np.random.default_rng(0).normal(size=(1, H, A + S))
    plan = Plan(candidates, np.zeros(1), np.zeros((1, H), dtype=bool), A, np.zeros(1))
    msg = msg_from_plan(plan, robot, 0, {})
    assert_array_equal(states_from_plan(msg, robot), plan.states)
    for number in (np.nan, -np.inf, 1e39):  # one would make the whole log unreadable
        msg.points[3].positions[2] = number
        with pytest.raises(StateError, match='the plan has states that are not finite'):
            states_from_plan(msg, robot)
    msg.points[3].velocities = []
    with pytest.raises(StateError, match='a point of the plan has another number'):
        states_from_plan(msg, robot)
    msg.joint_names[1] = 'tail'
    with pytest.raises(StateError, match=r"joint 'rootz' is missing .*, found rootx?|tail"):
        states_from_plan(msg, robot)


def test_rewards_travel_unchanged_and_need_not_say_that_it_is_over():
    assert reward_from_msg(msg_from_reward(0.1, True, 5)) == (0.1, True)
    assert reward_from_msg(JointState(name=['effort', 'reward'], position=[9.0, 1.5])) == (
        1.5, False)
    for msg in (JointState(name=['reward'], position=[float('nan')]), JointState(name=['r'])):
        with pytest.raises(StateError, match='the reward is nan, expected a finite number'):
            reward_from_msg(msg)
    with pytest.raises(StateError, match="'terminated' of the reward is nan, expected 0 or 1"):
        reward_from_msg(JointState(name=['reward', 'terminated'], position=[1.0, float('nan')]))


# Episodes, without DDS


class Stream:
    """Publishes numbered steps of a robot to a log: state, action and plan k are full of k."""

    def __init__(self, **settings):
        self.episodes, self.n_left_out = [], []
        self.log = EpisodeLog(**{'period': PERIOD, 'horizon': H, 'max_steps': 1000,
                                 'on_episode': self.take, **settings})
        self.sent = 0

    def take(self, episode, n_left_out):
        self.episodes.append(episode)
        self.n_left_out.append(n_left_out)

    def state(self, k, stamp=None, action=None):
        stamp = k * PERIOD if stamp is None else stamp
        self.sent += MILLISECOND
        if self.log.is_due(stamp):
            self.log.add_state(self.sent, stamp, np.full(S, float(k)),
                               np.full(A, k - 1.0 if action is None else action))

    def plan(self, k):
        self.log.add_plan(k * PERIOD, np.full((H, S), float(k)))

    def reward(self, k, terminated=False):
        self.log.add_reward(self.sent, k * PERIOD, float(k), terminated)

    def steps(self, first, last):
        """Show states first to last, plans of all but the last and the rewards between them."""
        for k in range(first, last + 1):
            self.state(k)
            if k > first:
                self.reward(k)
            if k < last:
                self.plan(k)

    def close(self):
        self.log.close()
        return self.episodes


def check(episode, first, last, *, terminated=False):
    """Check that an episode is steps ``first`` to ``last`` of a stream, none missing."""
    states, steps = np.arange(first, last + 1.0), np.arange(first, last + 0.0)
    assert_array_equal(episode.observations, np.tile(states[:, None], S))
    assert_array_equal(episode.actions, np.tile(steps[:, None], A))
    assert_array_equal(episode.rewards, states[1:])
    assert_array_equal(episode.plans, np.tile(steps[:, None, None], (H, S)))
    assert episode.terminated == terminated


def test_rows_belong_together():
    stream = Stream()
    stream.steps(0, 5)
    (episode,) = stream.close()
    check(episode, 0, 5)
    assert episode.observations.dtype == float and episode.plans.dtype == np.float32


def test_a_repeated_state_counts_once():
    stream = Stream()
    for k in (0, 0, 0, 1, 1, 2):
        stream.state(k)
    assert [len(e.actions) for e in stream.close()] == [2]


@pytest.mark.parametrize('second', [0, 3])
def test_a_stamp_that_jumps_back_begins_an_episode(second):
    stream = Stream()
    stream.steps(0, 5)
    stream.steps(second, 9)
    first, other = stream.close()
    check(first, 0, 5)
    check(other, second, 9)


def test_a_lost_state_splits_the_episode():
    stream = Stream()
    stream.steps(0, 4)
    stream.steps(6, 9)
    first, other = stream.close()
    check(first, 0, 4)
    check(other, 6, 9)


@pytest.mark.parametrize(('late', 'n_episodes'), [(0.45, 1), (0.55, 2)])
def test_half_a_period_late_is_no_gap(late, n_episodes):
    stream = Stream()
    for k in range(4):
        stream.state(k)
    for k in range(4, 8):
        stream.state(k, stamp=round((k + late) * PERIOD))
    assert len(stream.close()) == n_episodes


def test_an_action_that_is_not_known_splits_the_episode():
    stream = Stream()
    for k in range(10):
        stream.state(k, action=np.nan if k == 5 else 0.0)
    assert [len(e.actions) for e in stream.close()] == [4, 4]


def test_the_action_before_the_first_state_need_not_be_known():
    stream = Stream()
    for k in range(3):
        stream.state(k, action=0.0 if k else np.nan)
    assert [len(e.actions) for e in stream.close()] == [2]


def test_a_fall_ends_the_episode_and_nothing_follows_from_its_repetitions():
    stream = Stream()
    stream.steps(0, 5)
    stream.reward(5, terminated=True)
    for _ in range(3):
        stream.state(5)
    stream.steps(0, 3)
    first, other = stream.close()
    check(first, 0, 5, terminated=True)
    check(other, 0, 3)


def test_a_fall_may_be_told_before_its_state_and_after_the_next():
    for order in ('before', 'after'):
        stream = Stream()
        stream.steps(0, 4)
        if order == 'before':
            stream.reward(5, terminated=True)
        stream.plan(4)
        stream.state(5)
        if order == 'after':
            stream.state(6)
            stream.state(7)
            stream.reward(5, terminated=True)
        check(stream.close()[0], 0, 5, terminated=True)


def test_the_last_plan_and_reward_may_come_after_the_next_episode_began():
    stream = Stream()
    stream.steps(0, 4)
    stream.state(5)
    stream.state(0)
    stream.plan(4)
    stream.reward(5)
    stream.plan(0)
    stream.state(1)
    stream.reward(1)
    first, other = stream.close()
    check(first, 0, 5)
    check(other, 0, 1)


def test_without_plans_and_rewards_there_are_states_and_actions():
    stream = Stream()
    for k in range(4):
        stream.state(k)
    stream.plan(1)
    stream.reward(2)
    (episode,) = stream.close()
    assert not episode.has_rewards and not episode.terminated
    assert np.isfinite(episode.plans).all(axis=(1, 2)).tolist() == [False, True, False]


def test_without_the_last_rewards_an_episode_ends_at_the_last_one():
    stream = Stream()
    stream.steps(0, 5)
    stream.state(6)
    stream.state(7)
    (episode,) = stream.close()
    check(episode, 0, 5)
    assert stream.n_left_out == [2]


def test_rewards_that_are_missing_between_others_split_the_episode():
    stream = Stream()
    stream.state(0)
    stream.plan(0)
    for first, last in ((1, 4), (5, 5), (6, 9)):  # 0 to 1 and 4 to 6 have none
        stream.steps(first, last)
        stream.plan(last)
    stream.reward(9, terminated=True)
    first, other = stream.close()
    check(first, 1, 4)
    check(other, 6, 9, terminated=True)
    assert stream.n_left_out == [1, 2]


@pytest.mark.parametrize('rewarded', [(6,), (1, 3, 5)])
def test_rewards_that_are_not_for_every_step_are_left_out_instead_of_the_steps(rewarded):
    stream = Stream()
    for k in range(7):
        stream.state(k)
    for k in rewarded:
        stream.reward(k, terminated=k == 6)
    (episode,) = stream.close()
    assert len(episode) == 6 and not episode.has_rewards and stream.n_left_out == [0]
    assert episode.terminated == (6 in rewarded)


def test_a_single_step_may_have_its_reward():
    stream = Stream()
    stream.steps(0, 1)
    check(stream.close()[0], 0, 1)


def test_time_that_goes_on_a_minute_later_begins_an_episode():
    stream, minute = Stream(), 7500
    stream.steps(0, 4)
    stream.state(5)
    stream.state(minute)
    stream.plan(4)  # late ones of the old episode
    stream.reward(5)
    stream.plan(minute)
    stream.steps(minute, minute + 4)
    first, other = stream.close()
    check(first, 0, 5)
    check(other, minute, minute + 4)


def test_a_reward_before_its_state_is_not_one_of_the_last_episode_at_the_same_time():
    stream = Stream()
    stream.steps(0, 3)
    stream.state(0)
    for k in range(1, 4):
        stream.log.add_reward(stream.sent, k * PERIOD, -1.0, False)
        stream.state(k)
    first, other = stream.close()
    check(first, 0, 3)
    assert_array_equal(other.rewards, [-1.0, -1.0, -1.0])


def test_the_reward_before_a_cut_may_come_after_it():
    stream = Stream(max_steps=4)
    stream.steps(0, 3)
    stream.plan(3)
    stream.state(4)
    stream.plan(4)
    stream.state(5)
    stream.reward(4)
    stream.reward(5)
    first, other = stream.close()
    check(first, 0, 4)
    check(other, 4, 5)


def test_what_belongs_to_no_state_is_not_kept():
    stream = Stream()
    stream.state(0)
    for k in range(1000):
        stream.reward(k)
        stream.plan(k)
    for k in range(1, 101):
        stream.state(k)
    (episode,) = stream.close()
    n_kept = EARLY // PERIOD
    check(episode, 0, n_kept)
    assert stream.n_left_out == [100 - n_kept]


def test_plans_before_a_jump_do_not_choose_states_after_it():
    stream = Stream()
    for offset in (3, 5):  # the phase of the plans in each of two episodes [ms]
        for ms in range(400):
            if ms % 8 == offset:
                stream.log.announce_plan(ms * MILLISECOND)
        for ms in range(400):
            stream.state(ms, stamp=ms * MILLISECOND)
    for episode, offset in zip(stream.close(), (3, 5), strict=True):
        assert len(episode.actions) > 45
        # The first state may be older than all plans.
        assert_array_equal(episode.observations[1:, 0] % 8, offset)


def test_a_single_state_is_no_episode_and_what_comes_before_any_is_dropped():
    stream = Stream()
    stream.plan(0)
    stream.reward(0)
    stream.state(3)
    assert stream.close() == []


def test_a_long_episode_is_cut_and_goes_on_from_where_it_was_cut():
    stream = Stream(max_steps=4)
    stream.steps(0, 10)
    for episode, first, last in zip(stream.close(), (0, 4, 8), (4, 8, 10), strict=True):
        check(episode, first, last)


def test_an_episode_is_handed_over_soon_after_its_end():
    stream = Stream()
    stream.steps(0, 5)
    stream.reward(5, terminated=True)
    stream.log.hand_over_ended(stream.sent + LATE)
    assert stream.episodes == []
    stream.log.hand_over_ended(stream.sent + LATE + 1)
    check(stream.episodes[0], 0, 5, terminated=True)
    assert len(stream.close()) == 1


@pytest.mark.parametrize('planned', [range(3, 1000, 8), range(0, 0)])
def test_of_a_faster_stream_the_states_are_taken_that_plans_start_from(planned):
    stream = Stream()
    for ms in planned:
        if ms != 403:  # this one the planner missed
            stream.log.announce_plan(ms * MILLISECOND)
    for ms in range(1000):
        stream.state(ms, stamp=ms * MILLISECOND)
    episode = max(stream.close(), key=lambda e: len(e.actions))
    assert len(episode.actions) >= 122
    if planned:
        assert_array_equal(episode.observations[:, 0] % 8, 3)
    else:
        steps = np.diff(episode.observations[10:, 0])
        assert_array_equal(steps, 8)


# Files


def recorded_episode(n=5, *, rewards=True, terminated=False):
    rng = np.random.default_rng(n)
    plans = rng.normal(size=(n, H, S)).astype(np.float32)
    plans[1] = np.nan
    return Episode(rng.normal(size=(n + 1, S)), rng.uniform(-1, 1, (n, A)),
                   rng.normal(size=n) if rewards else np.full(n, np.nan), terminated, plans)


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'log.hdf5'


def write(file, robot, *episodes):
    writer = LogWriter(file, robot, bundle_hash='abc')
    for episode in episodes:
        writer.write(episode)
    return file


def test_a_log_is_read_as_it_was_written(file, robot):
    written = [recorded_episode(3 + k, terminated=k % 2 == 0) for k in range(11)]
    write(file, robot, *written)
    for logged, expected in zip(read_log(file, robot), written, strict=True):
        assert_array_equal(logged.observations, expected.observations)
        assert_array_equal(logged.actions, expected.actions)
        assert_array_equal(logged.rewards, expected.rewards)
        assert_array_equal(logged.plans, expected.plans)
        assert logged.terminated == expected.terminated and logged.has_rewards
    with h5py.File(file) as root:
        assert root.attrs['bundle_hash'] == 'abc'
        assert root.attrs['control_period'] == robot.control_period
        last = root['episode_10']
        assert (last['terminations'][-1], last['truncations'][-1]) == (True, False)
        last = root['episode_9']
        assert (last['terminations'][-1], last['truncations'][-1]) == (False, True)


def test_a_log_is_a_data_set_to_train_on(file, robot):
    episodes = read_episodes(write(file, robot, recorded_episode(20)), robot)
    assert isinstance(episodes[0], Episode)
    windows = Windows.cut(episodes, robot, H, discount=0.99, fall_penalty=100.0)
    assert len(windows.starts) == 20 - H + 1


def test_a_log_without_rewards_is_read_and_refused_as_a_data_set(file, robot):
    write(file, robot, recorded_episode(rewards=False))
    (logged,) = read_log(file, robot)
    assert not logged.has_rewards and np.isnan(logged.rewards).all()
    assert len(logged) == 5
    with pytest.raises(DatasetError, match='1 of 1 episodes were recorded without rewards, '
                                           'expected them on topic reward: episode_0; train'):
        read_episodes(file, robot)


def test_all_episodes_without_rewards_are_named_and_may_be_left_out(file, robot, tmp_path,
                                                                    monkeypatch, capsys):
    write(file, robot, *(recorded_episode(8 + k, rewards=k not in (1, 3)) for k in range(5)))
    line = ['diffusion_planner', 'train', '--data', str(file), '--out', str(tmp_path / 'run'),
            '--width', '8', '--depth', '1', '--value-width', '8', '--dynamics-width', '8',
            '--horizon', '8', '--n-updates', '2', '--batch-size', '4']
    monkeypatch.setattr(sys, 'argv', line)
    with pytest.raises(SystemExit, match=f'{file}: 2 of 5 episodes .*: episode_1, episode_3; '
                                         'train --skip-unrewarded leaves them out'):
        cli.main()
    monkeypatch.setattr(sys, 'argv', [*line, '--skip-unrewarded', '--json'])
    cli.main()
    out, errors = capsys.readouterr()
    assert f'{file}: 2 of 5 episodes have no rewards and are left out' in errors
    (data,) = json.loads(out)['data']
    assert (data['episodes'], data['transitions']) == (3, 8 + 10 + 12)


def test_a_log_without_any_reward_is_not_trained_on(file, robot, tmp_path, monkeypatch):
    write(file, robot, recorded_episode(20, rewards=False))
    monkeypatch.setattr(sys, 'argv', ['diffusion_planner', 'train', '--data', str(file), '--out',
                                      str(tmp_path / 'run'), '--skip-unrewarded'])
    with pytest.raises(SystemExit, match='none of 1 episodes has rewards, expected at least one'):
        cli.main()


def test_a_file_that_is_there_is_not_overwritten(file, robot):
    file.write_text('precious')
    with pytest.raises(OutputError, match='is there already, expected a new file'):
        LogWriter(file, robot, bundle_hash='')
    assert file.read_text() == 'precious'


def test_a_file_that_cannot_be_written_is_named(file, robot):
    with pytest.raises(OutputError, match=r'nowhere/log.hdf5: cannot be written .*expected'):
        LogWriter(file.parent / 'nowhere' / 'log.hdf5', robot, bundle_hash='')


@contextmanager
def full_disk(size):
    """Let no file become larger than this [bytes]."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('room', [0, 10_000, 30_000, 100_000])
def test_an_episode_that_the_disk_has_no_room_for_is_not_begun(file, robot, room):
    writer = LogWriter(file, robot, bundle_hash='')
    writer.write(recorded_episode())
    size = file.stat().st_size
    with full_disk(size + room), pytest.raises(
            OutputError, match=r'log.hdf5: cannot be written \(File too large\), expected'):
        writer.write(recorded_episode(100))
    assert file.stat().st_size == size
    assert len(read_log(file, robot)) == 1
    with pytest.raises(OutputError, match=r'log.hdf5: an episode before could not be written'):
        writer.write(recorded_episode())
    assert len(read_log(file, robot)) == 1


def test_room_that_was_made_and_not_needed_is_given_back(file, robot):
    n = 1000
    write(file, robot, recorded_episode(n))
    numbers = (n + 1) * S + n * A + n
    assert 0 < file.stat().st_size - (8 * numbers + 4 * n * H * S + 2 * n) < 20_000


def test_a_log_that_cannot_be_begun_is_not_there(file, robot):
    with full_disk(1000), pytest.raises(OutputError, match=r'cannot be written \(File too large'):
        LogWriter(file, robot, bundle_hash='')
    assert not file.exists()


def test_a_reader_does_not_keep_the_recorder_from_writing(file, robot):
    writer = LogWriter(file, robot, bundle_hash='')
    hold = 'import h5py, sys; f = h5py.File(sys.argv[1]); print(flush=True); sys.stdin.read()'
    with subprocess.Popen([sys.executable, '-c', hold, str(file)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        writer.write(recorded_episode())
        reader.stdin.close()
    assert len(read_log(file, robot)) == 1


def test_without_h5py_it_says_what_to_install(file, robot, monkeypatch):
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(OutputError, match='cannot be written without h5py; install it'):
        LogWriter(file, robot, bundle_hash='')


@pytest.mark.parametrize(('change_file', 'message'), [
    (lambda root: root.attrs.pop('robot'), "attribute 'robot' is missing, expected a log"),
    (lambda root: root.attrs.update({'robot': root.attrs['robot'].replace('0.008', '0.01')}),
     "is of robot 'walker2d' with another layout or control period"),
    (lambda root: root['episode_0'].pop('plans'), "key '/episode_0/plans' is missing"),
    (lambda root: root['episode_0/plans'].write_direct(np.full((5, H, S), np.inf)),
     "'/episode_0/plans' has plans with values that are not finite"),
    (lambda root: root.pop('episode_0'), 'no episodes, expected at least one'),
])
def test_what_is_no_log_of_this_robot_is_refused(file, robot, change_file, message):
    write(file, robot, recorded_episode())
    with h5py.File(file, 'r+') as root:
        change_file(root)
    with pytest.raises(DatasetError, match=message):
        read_log(file, robot)


def test_a_log_of_plans_of_another_length_is_refused(file, robot):
    episode = recorded_episode()
    write(file, robot, replace(episode, plans=episode.plans[:-1]))
    with pytest.raises(DatasetError, match=r"'/episode_0/plans' has shape \(4, 8, 17\), expected "
                                           r'\(5, H, 17\)'):
        read_log(file, robot)


def test_a_recorder_needs_a_file():
    with pytest.raises(ConfigError, match="file is '', expected the name of a file to write"):
        RecorderConfig()


# Real nodes


@pytest.fixture(scope='module')
def shipped():
    return Bundle.load(share_file('models/walker2d'))


def check_run(found, seed, planner):
    """Check that a logged episode is that of the same seed in process."""
    plans = []
    _, trace = run_episode(seed, planner=planner,
                           on_plan=lambda walker, plan: plans.append(plan.states))
    assert_array_equal(found.observations, trace.episode.observations)
    assert_allclose(found.actions, trace.episode.actions, rtol=1e-15)
    assert_array_equal(found.rewards, trace.episode.rewards)
    assert found.terminated == trace.episode.terminated
    assert_array_equal(found.plans, np.array(plans, dtype=np.float32))


def test_a_run_in_lockstep_is_recorded_as_it_was(bundle, file, monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    config = SessionConfig(bundle=bundle.path, planner=PlannerConfig(), lockstep=True,
                           real_time_factor=1.0, first_seed=3, log=file,
                           scheduling=SchedulingConfig(realtime_priority=5))
    with session(config, record=False) as nodes:
        for node in ('bridge', 'planner'):
            words = nodes.processes[node].args
            told = yaml.safe_load(Path(words[words.index('--params-file') + 1]).read_text())
            assert told['/**']['ros__parameters']['realtime_priority'] == 5
        for seed in (3, 4):
            if seed != 3:
                nodes.reset(seed)
            nodes.finish_episode(seed, lambda facts: None)
    logged = read_log(file, bundle.robot)
    for found, seed in zip(logged, (3, 4), strict=True):
        check_run(found, seed, Planner(bundle, PlannerConfig(seed=seed)))
    with h5py.File(file) as root:
        assert root.attrs['bundle_hash'] == bundle.hash


def test_episodes_that_follow_each_other_by_themselves_are_told_apart(
        tmp_path, file, shipped, monkeypatch):
    n_steps = 40
    with (running('recorder', tmp_path, file=str(file)) as recorder,
          running('mujoco_bridge', tmp_path, lockstep=True, seed=3, max_episode_steps=n_steps),
          running('planner', tmp_path, autostart=False, lockstep=True, use_sim_time=True,
                  ramp_time=0.0) as planner, observer() as node):
        recording, planning = Health(node, 'recorder'), Health(node, 'planner')
        spin_until(node, lambda: 'recording' in recording.states, 'states', recorder)
        spin_until(node, lambda: recording.facts['plan_publishers'] == '1'
                   and recording.facts['reward_publishers'] == '1', 'others', recorder)
        spin_until(node, lambda: planning.facts.get('plan_subscribers') == '1', 'us', planner)
        assert change(node, CONFIGURE)
        assert change(node, ACTIVATE)
        wait_for_episode(2, recorder)
        assert recorder.stop() == 0
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', n_steps)
    for found, seed in zip(read_log(file, shipped.robot)[:3], (3, 4, 5), strict=True):
        check_run(found, seed, Planner(shipped, PlannerConfig()))
        assert not found.terminated


class Driver:
    """Plays a robot that a recorder listens to."""

    def __init__(self, node, robot):
        self.node = node
        self._names = [*dict.fromkeys(e.joint for e in robot.state)]
        self._actuated = [self._names.index(e.joint) for e in robot.action]
        self.states = node.create_publisher(JointState, 'joint_states', 100)
        self.odometry = node.create_publisher(Odometry, 'odometry', 100)
        self.commands = node.create_publisher(Float64MultiArray, 'effort_controller/commands', 100)
        self.plans = node.create_publisher(JointTrajectory, 'planner/plan', 100)
        self._rewards = node.create_publisher(JointState, 'reward', 100)

    def begin(self, publish, *publishers):
        """Publish the first state for a while: to be connected takes some time on both sides."""
        spin_until(self.node, lambda: all(p.get_subscription_count() for p in (
            self.states, *publishers)), 'the recorder')
        for _ in range(20):
            publish()
            time.sleep(0.05)

    def show(self, k, effort=10.0, reward=None, terminated=False):
        efforts = np.zeros(len(self._names))
        efforts[self._actuated] = effort
        still = np.full(len(self._names), k / 100.0)
        self.states.publish(msg_from_joints(self._names, still, still, efforts, k * PERIOD))
        if reward is not None:
            self.show_reward(k, reward, terminated)

    def show_reward(self, k, reward, terminated=False):
        self._rewards.publish(msg_from_reward(reward, terminated, k * PERIOD))


@contextmanager
def listening(tmp_path, file, robot, **settings):
    with running('recorder', tmp_path, file=str(file), **settings) as recorder, observer() as node:
        yield recorder, Driver(node, robot)


def wait_for_episode(number, recorder):
    deadline = time.monotonic() + TIME_LIMIT
    while f'episode {number}: ' not in recorder.output:
        assert time.monotonic() < deadline, recorder.output
        time.sleep(0.05)


def test_what_is_over_survives_a_kill(tmp_path, file, robot):
    with listening(tmp_path, file, robot) as (recorder, driver):
        driver.begin(lambda: driver.show(0))
        for k in range(6):
            driver.show(k, reward=float(k), terminated=k == 5)
        for k in range(4):
            driver.show(k)
        wait_for_episode(0, recorder)
        os.kill(recorder.process.pid, signal.SIGKILL)
        recorder.process.wait()
        (logged,) = read_log(file, robot)
    assert logged.terminated and logged.has_rewards
    assert_allclose(logged.actions, 0.1, rtol=1e-15)
    assert_array_equal(logged.rewards, np.arange(1, 6))
    assert np.isnan(logged.plans).all()


def test_a_full_disk_ends_it_with_one_line_and_leaves_whole_episodes(tmp_path, file, robot):
    with listening(tmp_path, file, robot) as (recorder, driver):
        driver.begin(lambda: driver.show(0))
        for k in range(6):
            driver.show(k, reward=float(k), terminated=k == 5)
        wait_for_episode(0, recorder)
        limit = file.stat().st_size + 1000
        resource.prlimit(recorder.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        n_lines = len(recorder.output.splitlines())
        for first in (0, 100):  # the disk is full for the first of them
            for k in range(first, first + 50):
                driver.show(k, reward=float(k), terminated=k == first + 49)
        assert recorder.process.wait(TIME_LIMIT) == 1
    (line,) = recorder.output.splitlines()[n_lines:]
    assert line.startswith(f'Recorder: {file}: cannot be written (File too large), expected')
    (logged,) = read_log(file, robot)
    assert logged.terminated and logged.has_rewards
    assert file.stat().st_size < limit


def test_a_signal_costs_no_reward(tmp_path, file, robot):
    with listening(tmp_path, file, robot) as (recorder, driver):
        driver.begin(lambda: driver.show(0))
        for k in range(200):  # like a robot that walks on, its rewards come after its states
            if k == 100:
                recorder.process.send_signal(signal.SIGINT)
            driver.show(k)
            time.sleep(0.002)
            driver.show_reward(k, float(k))
            time.sleep(0.006)
        assert recorder.process.wait(TIME_LIMIT) == 0
    (logged,) = read_log(file, robot)
    assert logged.has_rewards, recorder.output
    assert_array_equal(logged.rewards, 1.0 + np.arange(len(logged)))
    assert len(logged) >= 98, recorder.output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_states_alone_are_recorded_until_a_signal_and_a_lost_one_splits_them(
        tmp_path, file, robot, number):
    with listening(tmp_path, file, robot) as (recorder, driver):
        driver.begin(lambda: driver.show(0))
        for k in (0, 1, 2, 4, 5, 6, 7):
            driver.show(k)
        driver.show(8, effort=np.nan)
        recorder.process.send_signal(number)
        assert recorder.process.wait(TIME_LIMIT) == 0
        assert "expected finite numbers [N m], or torque_source 'commands'" in recorder.output
    first, other = read_log(file, robot)
    assert (len(first), len(other)) == (2, 3)
    assert not first.has_rewards and not first.terminated


@pytest.mark.parametrize(('settings', 'reason'), [
    ({'file': ''}, "Recorder: file is '', expected the name of a file to write"),
    ({'bundle': '/nothing'}, 'Recorder: /nothing/model.yaml: no such file'),
    ({'odometry_joints': ['tail=x']}, "Recorder: odometry_joints names 'tail', expected joints")])
def test_a_recorder_that_cannot_work_says_why_in_one_line(tmp_path, file, settings, reason):
    with running('recorder', tmp_path, **{'file': str(file), **settings}) as recorder:
        assert recorder.process.wait(TIME_LIMIT) == 1
        assert reason in recorder.output and 'Traceback' not in recorder.output
    assert not file.exists()


def state_of(bench, robot):
    msg = truth_of(bench, 0)
    numbers = {q: dict(zip(msg.name, getattr(msg, q), strict=True)) for q in QUANTITIES}
    return np.array([numbers[e.quantity][e.joint] for e in robot.state])


def test_records_a_driver_that_measures_no_torque_and_no_base(tmp_path, file, robot):
    base = ['rootx=x', 'rootz=z', 'rooty=pitch']
    from_joints = [k for k, e in enumerate(robot.state) if not e.joint.startswith('root')]
    positions = [k for k, e in enumerate(robot.state) if e.quantity == 'position']
    torques, truth, bench, rng = [], [], MeasuredRobot(), np.random.default_rng(0)
    with listening(tmp_path, file, robot, torque_source='commands', odometry_joints=base) as (
            recorder, driver):
        driver.begin(lambda: driver.states.publish(bench.joint_states(0)), driver.odometry,
                     driver.commands, driver.plans)
        for ms in range(400):
            stamp = ms * MILLISECOND
            if ms % 5 == 0:
                driver.odometry.publish(bench.odometry(stamp))
            if ms % 2 == 0:
                driver.states.publish(bench.joint_states(stamp))
            if ms % 8 == 4:  # these the planner has chosen
                truth.append(state_of(bench, robot))
                plan = Plan(np.tile(np.r_[np.zeros(A), truth[-1]], (1, H, 1)), np.zeros(1),
                            np.zeros((1, H), dtype=bool), A, np.zeros(1))
                driver.plans.publish(msg_from_plan(plan, robot, stamp, {}))
                torques.append(rng.uniform(-20.0, 20.0, A))
                driver.commands.publish(msg_from_torque(torques[-1], stamp))
            bench.step(torques[-1] if torques else np.zeros(A))
            time.sleep(0.001)
        assert recorder.stop() == 0
    logged = max(read_log(file, robot), key=len)
    n = len(logged)
    assert n >= len(truth) - 3, recorder.output  # whatever was chosen before the first plan
    truth, torques = np.array(truth)[-n - 1:], np.array(torques)[-n - 1:-1]
    found = logged.observations
    assert_array_equal(found[:, from_joints], truth[:, from_joints])
    assert_allclose(found[:, positions], truth[:, positions], atol=0.01)
    assert_allclose(logged.actions, torques / 100.0, rtol=1e-15)
    assert_allclose(logged.plans[:, 0], truth[:-1], rtol=1e-6)
