# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Data sets of LeRobot: frames become episodes of a robot, and what does not fit is refused."""

import json
import re

from bag_writer import made_up_walk
import numpy as np
from numpy.testing import assert_allclose
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from diffusion_planner_ros.data.recordings.lerobot import is_lerobot, read_lerobot
from diffusion_planner_ros.errors import DatasetError

GAP = 1.5  # control periods
LENGTHS = (30, 20, 25)  # frames of the episodes
FPS = 125
# Where the frames of an episode are.
FILES = {'v2.1': 'data/chunk-000/episode_{:06d}.parquet',
         'v3.0': 'data/chunk-000/file-000.parquet'}


@pytest.fixture(scope='module')
def walk():
    return made_up_walk(sum(LENGTHS))


def state_names(robot):
    ends = {'position': 'pos', 'velocity': 'vel'}
    return [f'{e.joint}.{ends[e.quantity]}' for e in robot.state]


def frames_of(walk):
    """Return the columns of every episode; in a frame, the action is that taken in its state."""
    frames, begin = [], 0
    for number, n in enumerate(LENGTHS):
        part = slice(begin, begin + n)
        frames.append({
            'observation.state': walk.states[part].astype(np.float32).tolist(),
            'action': walk.torques[part].astype(np.float32).tolist(),
            'timestamp': (np.arange(n) / FPS).astype(np.float32),
            'frame_index': np.arange(n), 'episode_index': np.full(n, number),
            'index': np.arange(begin, begin + n), 'task_index': np.zeros(n, dtype=int),
            'next.reward': walk.rewards[part].astype(np.float32),
            'next.done': np.arange(n) == n - 1})
        begin += n
    return frames


def write(folder, robot, frames, version='v3.0', **info):
    """Write a data set as LeRobot lays it out; return its folder."""
    features = {
        'observation.state': {'dtype': 'float32', 'shape': [17], 'names': state_names(robot)},
        'action': {'dtype': 'float32', 'shape': [6],
                   'names': {'motors': [e.joint for e in robot.action]}},
        'timestamp': {'dtype': 'float32', 'shape': [1], 'names': None}}
    (folder / 'meta').mkdir(parents=True)
    (folder / 'meta' / 'info.json').write_text(json.dumps({
        'codebase_version': version, 'robot_type': 'walker', 'fps': FPS,
        'total_episodes': len(LENGTHS), 'total_frames': sum(LENGTHS), 'features': features,
        **info}))
    files = {}
    for number, columns in enumerate(frames):
        files.setdefault(FILES[version].format(number), []).append(pa.table(columns))
    for name, tables in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.concat_tables(tables), folder / name)
    return folder


@pytest.mark.parametrize('version', FILES)
def test_episodes_are_read_from_both_layouts(tmp_path, robot, walk, version):
    folder = write(tmp_path / 'set', robot, frames_of(walk), version)
    assert is_lerobot(folder)
    recording = read_lerobot(folder, robot, GAP)
    assert [len(e) for e in recording.episodes] == [n - 1 for n in LENGTHS]
    begin = 0
    for episode, n in zip(recording.episodes, LENGTHS, strict=True):
        end = begin + n - 1  # what the last action led to was not recorded
        assert_allclose(episode.observations, walk.states[begin:end + 1], rtol=1e-6)
        assert_allclose(episode.actions * 100.0, walk.torques[begin:end], rtol=1e-6)
        assert_allclose(episode.rewards, walk.rewards[begin:end], rtol=1e-6)
        assert not episode.terminated  # done is no fall
        begin += n
    assert recording.facts['format'] == f'LeRobot {version}'
    assert (recording.facts['frames'], recording.tally.dropped) == (sum(LENGTHS), {})


def test_frames_may_come_in_any_order_and_without_timestamps(tmp_path, robot, walk):
    rng = np.random.default_rng(0)
    frames = []
    for columns in frames_of(walk):
        order = rng.permutation(len(columns['index']))
        frames.append({name: [column[i] for i in order] for name, column in columns.items()
                       if name not in ('timestamp', 'next.reward', 'next.done')})
    recording = read_lerobot(write(tmp_path / 'set', robot, frames), robot, GAP)
    assert [len(e) for e in recording.episodes] == [n - 1 for n in LENGTHS]
    assert_allclose(recording.episodes[0].observations, walk.states[:LENGTHS[0]], rtol=1e-6)
    assert not any(e.has_rewards for e in recording.episodes)


def test_a_frame_that_is_missing_and_one_that_is_done_end_an_episode(tmp_path, robot, walk):
    frames = frames_of(walk)
    frames[0] = {name: [v for i, v in enumerate(column) if i != 10]
                 for name, column in frames[0].items()}
    frames[1]['next.done'][7] = True
    frames[2]['observation.state'][12][3] = float('nan')
    recording = read_lerobot(write(tmp_path / 'set', robot, frames), robot, GAP)
    assert [len(e) for e in recording.episodes] == [9, 18, 7, 11, 11, 11]
    assert recording.tally.cuts == {'gap': 2, 'next.done': 1, 'end of the recording': 3}
    assert recording.tally.dropped == {'not finite': 1}
    assert recording.facts['damage'] == '1 of 75 frames are missing'


def test_velocities_may_have_a_column_of_their_own(tmp_path, robot, walk):
    positions = [e.joint for e in robot.state if e.quantity == 'position']
    velocities = [e.joint for e in robot.state if e.quantity == 'velocity']
    frames = frames_of(walk)
    for columns in frames:
        states = columns.pop('observation.state')
        columns['observation.state'] = [s[:8] for s in states]
        columns['observation.velocity'] = [s[8:] for s in states]
    features = {'observation.state': {'names': [positions]},
                'observation.velocity': {'names': {'axes': velocities}},
                'action': {'names': [f'{e.joint}.effort' for e in robot.action]}}
    recording = read_lerobot(write(tmp_path / 'set', robot, frames, features=features), robot, GAP)
    assert_allclose(recording.episodes[0].observations, walk.states[:LENGTHS[0]], rtol=1e-6)


def test_frames_at_another_rate_are_resampled(tmp_path, robot, walk):
    frames = frames_of(walk)
    for columns in frames:
        columns['timestamp'] = columns['timestamp'] / 2  # 250 Hz
    episode = read_lerobot(write(tmp_path / 'set', robot, frames), robot, GAP).episodes[0]
    assert_allclose(episode.observations, walk.states[:LENGTHS[0]:2], atol=1e-5)
    pairs = walk.torques[:LENGTHS[0]].reshape(-1, 2, 6)[:len(episode)]
    assert_allclose(episode.actions * 100.0, pairs.mean(axis=1), atol=1e-3)


def change_names(robot, column, names):
    features = {'observation.state': {'names': state_names(robot)},
                'action': {'names': [e.joint for e in robot.action]}}
    features[column]['names'] = names
    return {'features': features}


def without(name):
    return lambda columns: columns.pop(name)


# what is wrong: what meta/info.json says instead, how columns are altered, what the error must say
WRONG = {
    'an old version': (lambda robot: {'codebase_version': 'v1.6'}, None, (
        "meta/info.json: codebase_version is 'v1.6'", 'expected v2.x or v3.x', 'convert')),
    'no episodes': (lambda robot: {}, without('episode_index'), (
        "column 'episode_index' is missing, found observation.state", 'expected a file of LeRobot',
        'convert the data set')),
    'no time': (lambda robot: {}, lambda columns: (
        columns.pop('timestamp'), columns.pop('frame_index')), (
        "column 'frame_index' is missing", 'expected')),
    'no frames per second': (lambda robot: {'fps': None}, without('timestamp'), (
        'meta/info.json: fps is None, expected frames per second above 0', 'write it into')),
    'no actions': (lambda robot: {}, without('action'), ("column 'action' is missing, found",)),
    'no names': (lambda robot: change_names(robot, 'action', None), None, (
        "'action' has names None, expected a list with the joint of every entry", 'write it')),
    'positions as actions': (lambda robot: change_names(
        robot, 'action', [f'{e.joint}.pos' for e in robot.action]), None, (
        "no effort of joint 'thigh_joint' in action, found thigh_joint.pos, leg_joint.pos",
        'expected an entry named thigh_joint.effort or thigh_joint.torque')),
    'no velocities': (lambda robot: change_names(
        robot, 'observation.state', [e.joint for e in robot.state][:8]), None, (
        "no velocity of joint 'rootx' in observation.state or observation.velocity, found rootz",
        'expected an entry named rootx.vel or rootx.velocity', 'mend the names')),
    'fewer numbers than names': (lambda robot: {}, lambda columns: columns.update(
        {'action': [a[:5] for a in columns['action']]}), (
        "column 'action' has 5 numbers in a frame, expected at least 6", 'mend the names')),
    'frames of different lengths': (lambda robot: {}, lambda columns: columns.update(
        {'action': [a[:5 + i % 2] for i, a in enumerate(columns['action'])]}), (
        "column 'action' does not hold equally many numbers in every frame", 'convert')),
    'too slow': (lambda robot: {}, lambda columns: columns.update(
        timestamp=columns['timestamp'] * 4), (
        'states are 32 ms apart', 'expected at most 1.5 control periods', 'record them faster')),
}


def refused(folder, robot):
    with pytest.raises(DatasetError) as caught:
        read_lerobot(folder, robot, GAP)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize('fault', WRONG)
def test_a_wrong_data_set_is_refused(tmp_path, robot, walk, fault):
    info, alter, words = WRONG[fault]
    frames = frames_of(walk)
    for columns in frames if alter else ():
        alter(columns)
    text = refused(write(tmp_path / 'set', robot, frames, **info(robot)), robot)
    assert re.search('.*'.join(map(re.escape, words)), text), text


def test_damaged_files_are_refused(tmp_path, robot, walk):
    folder = write(tmp_path / 'set', robot, frames_of(walk))
    file, = folder.glob('data/**/*.parquet')
    content = file.read_bytes()
    file.write_bytes(content[:len(content) // 2])
    assert re.search('not a readable Parquet file.*expected a complete one; download it again',
                     refused(folder, robot))
    file.unlink()
    assert 'no files data/**/*.parquet, expected the frames' in refused(folder, robot)
    (folder / 'meta' / 'info.json').write_text('{"fps"')
    assert 'not a JSON file' in refused(folder, robot)
