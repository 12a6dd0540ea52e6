# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Formats of recorded episodes: what is written is read back, and what is damaged is refused."""

from dataclasses import replace
import re

import h5py
import minari
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import normalized_score

from diffusion_planner_ros.data import d4rl_format, formats
from diffusion_planner_ros.data.formats import EpisodeFormat, read_episodes
from diffusion_planner_ros.data.minari_format import MINARI_FILE, read_metadata
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import DatasetError, OutputError
from diffusion_planner_ros.sim.behaviour.behaviour_data import write_data_set

S, A = 17, 6
D4RL_KEYS = ('observations', 'actions', 'rewards', 'terminals', 'timeouts')
MINARI_KEYS = ('observations', 'actions', 'rewards', 'terminations', 'truncations')


def make_episode(n, *, first=0, terminated=True, n_observations=None):
    """Number the steps from ``first``, in every entry: no two rows of a data set are alike."""
    steps = first + np.arange(n_observations or n, dtype=float)
    return Episode(observations=np.tile(steps[:, None], S) / 1000.0,
                   actions=np.tile(steps[:n, None], A) / 1000.0, rewards=steps[:n],
                   terminated=terminated)


def d4rl_arrays(lengths, ends):
    """Return D4RL's flat arrays of episodes that end in a 'terminal', a 'timeout' or are cut."""
    n = sum(lengths)
    episode = make_episode(n)
    arrays = {'observations': episode.observations, 'actions': episode.actions,
              'rewards': episode.rewards, 'terminals': np.zeros(n, dtype=bool),
              'timeouts': np.zeros(n, dtype=bool)}
    for last, end in zip(np.cumsum(lengths) - 1, ends, strict=True):
        if end != 'cut':
            arrays[f'{end}s'][last] = True
    return arrays


def minari_arrays(n=12):
    episode = make_episode(n, n_observations=n + 1)
    return {'observations': episode.observations, 'actions': episode.actions,
            'rewards': episode.rewards, 'terminations': np.arange(n) == n - 1,
            'truncations': np.zeros(n, dtype=bool)}


def write_d4rl(file, **changes):
    """Write a file of two episodes; a change of None leaves the key out."""
    arrays = d4rl_arrays([12, 9], ['terminal', 'timeout']) | changes
    with h5py.File(file, 'w') as root:
        for key, array in arrays.items():
            if array is not None:
                root[key] = array
    return file


def write_minari_episode(file, **changes):
    with h5py.File(file, 'w') as root:
        for key, array in (minari_arrays() | changes).items():
            if array is not None:
                root[f'episode_0/{key}'] = array
    return file


def test_episodes_are_read_as_they_were_written(recorded, dataset, robot):
    episodes = read_episodes(dataset, robot)
    assert len(episodes) == len(recorded.episodes)
    for found, expected in zip(episodes, recorded.episodes, strict=True):
        assert_array_equal(found.observations, expected.observations.astype(np.float32))
        assert_array_equal(found.actions, expected.actions.astype(np.float32))
        assert_array_equal(found.rewards, expected.rewards)
        assert found.terminated == expected.terminated


def test_more_than_ten_episodes_keep_their_order(tmp_path, recorded, robot, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    episodes = [replace(recorded.episodes[0], rewards=np.full(len(recorded.episodes[0]), float(i)))
                for i in range(12)]
    folder = write_data_set(tmp_path, replace(recorded, episodes=episodes), seed=0, n_learned=0)
    assert [e.rewards[0] for e in read_episodes(folder, robot)] == list(range(12))


def test_the_hdf5_file_is_read_like_its_folder(dataset, robot):
    from_folder = read_episodes(dataset, robot)
    from_file = read_episodes(dataset / MINARI_FILE, robot)
    assert [e.total_return for e in from_file] == [e.total_return for e in from_folder]
    assert read_metadata(dataset / MINARI_FILE) == read_metadata(dataset)


def test_minari_loads_what_was_written(recorded, dataset, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(dataset.parents[1]))
    loaded = minari.load_dataset('walker2d/tiny-v0')
    assert loaded.total_episodes == len(recorded.episodes)
    assert loaded.total_steps == sum(map(len, recorded.episodes))
    assert loaded.env_spec.id == 'Walker2d-v5'
    for found, expected in zip(loaded.iterate_episodes(), recorded.episodes, strict=True):
        assert_array_equal(found.observations, expected.observations.astype(np.float32))
        assert_array_equal(found.actions, expected.actions.astype(np.float32))
        assert_allclose(found.rewards, expected.rewards, rtol=1e-6)
        assert found.terminations[-1] == expected.terminated
        assert found.truncations[-1] != expected.terminated
        assert not any(found.terminations[:-1]) and not any(found.truncations[:-1])


def test_metadata_say_how_the_data_were_made(recorded, dataset, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(dataset.parents[1]))
    metadata = minari.load_dataset('walker2d/tiny-v0').storage.metadata
    mean_return = np.mean([e.rewards.sum() for e in recorded.episodes])
    assert metadata['seed'] == 7
    assert metadata['n_learned_transitions'] == 123
    assert metadata['policy_return'] == 12.5
    assert_allclose(metadata['policy_normalized_score'], normalized_score(12.5))
    assert_allclose(metadata['mean_return'], mean_return)
    assert_allclose(metadata['normalized_score'], normalized_score(mean_return))
    assert read_metadata(dataset)['policy_return'] == 12.5


def test_a_time_limit_is_not_a_fall(tmp_path, recorded, robot, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    cut = replace(recorded.episodes[0], terminated=False)
    fell = replace(recorded.episodes[0], terminated=True)
    folder = write_data_set(tmp_path, replace(recorded, episodes=[cut, fell]), seed=0, n_learned=0)
    assert [e.terminated for e in read_episodes(folder, robot)] == [False, True]


def test_writing_again_replaces_the_data_set(tmp_path, recorded, robot, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    for n in (3, 2):
        shorter = replace(recorded, episodes=recorded.episodes[:n])
        folder = write_data_set(tmp_path, shorter, seed=0, n_learned=0)
    assert len(read_episodes(folder, robot)) == 2


def test_a_data_set_without_episodes_is_not_written(tmp_path, recorded):
    with pytest.raises(DatasetError, match="'tiny' has no complete episode"):
        write_data_set(tmp_path, replace(recorded, episodes=[]), seed=0, n_learned=0)
    assert not any(tmp_path.iterdir())


def test_d4rl_episodes_end_at_terminals_and_timeouts_and_where_the_file_ends(tmp_path, robot):
    arrays = d4rl_arrays([12, 9, 5], ['terminal', 'timeout', 'cut'])
    episodes = read_episodes(write_d4rl(tmp_path / 'd4rl.hdf5', **arrays), robot)
    assert [len(e) for e in episodes] == [12, 9, 5]
    assert [e.terminated for e in episodes] == [True, False, False]
    for key in ('observations', 'actions', 'rewards'):
        joined = np.concatenate([getattr(e, key) for e in episodes])
        assert_array_equal(joined, arrays[key])


def test_a_d4rl_file_has_no_metadata(tmp_path):
    assert read_metadata(write_d4rl(tmp_path / 'd4rl.hdf5')) == {}


def expect_error(file, robot, *words):
    """Reading must name the file and then, in this order, all words."""
    with pytest.raises(DatasetError, match='.*'.join(map(re.escape, (str(file), *words)))):
        read_episodes(file, robot)


def test_a_missing_file_is_named(tmp_path, robot):
    expect_error(tmp_path / 'none.hdf5', robot, 'no such file', 'executed plans', 'Minari', 'D4RL')


def test_a_folder_without_data_names_the_file_it_lacks(tmp_path, robot):
    with pytest.raises(DatasetError, match=r'known format.*a folder with data/main_data.hdf5'):
        read_episodes(tmp_path, robot)


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused(dataset, tmp_path, robot, share):
    content = (dataset / MINARI_FILE).read_bytes()
    file = tmp_path / 'truncated.hdf5'
    file.write_bytes(content[:int(share * len(content))])
    expect_error(file, robot, 'not a readable HDF5 file', 'expected a complete one')


def test_a_text_file_is_refused(tmp_path, robot):
    file = tmp_path / 'notes.hdf5'
    file.write_text('these are not episodes\n')
    expect_error(file, robot, 'not a readable HDF5 file')


@pytest.mark.parametrize('key', D4RL_KEYS)
def test_a_missing_key_of_d4rl_is_named(tmp_path, robot, key):
    file = write_d4rl(tmp_path / 'd4rl.hdf5', **{key: None})
    others = ', '.join(sorted(set(D4RL_KEYS) - {key}))
    expect_error(file, robot, f"key '/{key}' is missing", f'found {others}')


@pytest.mark.parametrize('key', MINARI_KEYS)
def test_a_missing_key_of_minari_is_named(tmp_path, robot, key):
    file = write_minari_episode(tmp_path / 'main_data.hdf5', **{key: None})
    others = ', '.join(sorted(set(MINARI_KEYS) - {key}))
    expect_error(file, robot, f"key '/episode_0/{key}' is missing", f'found {others}')


@pytest.mark.parametrize('key', ['observations', 'actions', 'rewards'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(tmp_path, robot, key, value):
    array = d4rl_arrays([12, 9], ['terminal', 'timeout'])[key]
    array.flat[[3, 5]] = value
    file = write_d4rl(tmp_path / 'd4rl.hdf5', **{key: array})
    expect_error(file, robot, f"key '/{key}' has 2 values that are not finite", 'expected none')


@pytest.mark.parametrize(('key', 'shape', 'expected'), [
    ('observations', (21, 11), '(n, 17)'), ('actions', (21, 3), '(n, 6)'),
    ('rewards', (21, 1), '(n)'), ('observations', (21,), '(n, 17)')])
def test_other_dimensions_are_refused(tmp_path, robot, key, shape, expected):
    file = write_d4rl(tmp_path / 'd4rl.hdf5', **{key: np.zeros(shape)})
    expect_error(file, robot, f"key '/{key}' has shape {shape}", f'expected {expected}')


@pytest.mark.parametrize('key', D4RL_KEYS[1:])
def test_unequal_lengths_of_d4rl_are_refused(tmp_path, robot, key):
    array = d4rl_arrays([12, 9], ['terminal', 'timeout'])[key]
    file = write_d4rl(tmp_path / 'd4rl.hdf5', **{key: array[:-1]})
    expect_error(file, robot, f"key '/{key}' has 20 rows", 'expected 21')


@pytest.mark.parametrize('key', MINARI_KEYS[2:])
def test_unequal_lengths_of_minari_are_refused(tmp_path, robot, key):
    file = write_minari_episode(tmp_path / 'main_data.hdf5', **{key: minari_arrays()[key][:-1]})
    expect_error(file, robot, f"key '/episode_0/{key}' has 11 rows", 'expected 12')


@pytest.mark.parametrize('n', [11, 14])
def test_observations_that_do_not_fit_the_actions_are_refused(tmp_path, robot, n):
    file = write_minari_episode(tmp_path / 'main_data.hdf5', observations=np.zeros((n, S)))
    expect_error(file, robot, f"'/episode_0/observations' has {n} rows",
                 'expected 12 or 13 for 12 actions')


def test_dictionary_observations_are_refused(tmp_path, robot):
    file = write_minari_episode(tmp_path / 'main_data.hdf5', observations=None)
    with h5py.File(file, 'a') as root:
        root['episode_0/observations/achieved_goal'] = np.zeros((13, 2))
    expect_error(file, robot, "'/episode_0/observations' is a group", 'expected an array')


def test_an_empty_file_names_the_first_key_it_lacks(tmp_path, robot):
    file = write_d4rl(tmp_path / 'd4rl.hdf5', **dict.fromkeys(D4RL_KEYS))
    expect_error(file, robot, "key '/observations' is missing", 'found no key')


def test_a_d4rl_file_without_steps_has_no_episodes(tmp_path, robot):
    arrays = {k: v[:0] for k, v in d4rl_arrays([2], ['terminal']).items()}
    expect_error(write_d4rl(tmp_path / 'd4rl.hdf5', **arrays), robot, 'no episodes',
                 'expected at least one')


def test_a_minari_file_whose_only_episode_has_no_steps_has_no_episodes(tmp_path, robot):
    arrays = {k: v[:0] for k, v in minari_arrays().items()}
    expect_error(write_minari_episode(tmp_path / 'main_data.hdf5', **arrays), robot,
                 'no episodes', 'expected at least one')


@pytest.fixture
def noisy(recorded):
    """Episodes whose executed actions are the policy's own with noise."""
    rng = np.random.default_rng(0)
    return [replace(e, policy_actions=e.actions + rng.normal(size=e.actions.shape))
            for e in recorded.episodes[:3]]


def test_minari_keeps_the_actions_of_the_policy_itself(tmp_path, recorded, noisy, robot,
                                                       monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(tmp_path))
    folder = write_data_set(tmp_path, replace(recorded, episodes=noisy), seed=0, n_learned=0)
    for found, expected in zip(read_episodes(folder, robot), noisy, strict=True):
        assert_array_equal(found.policy_actions, expected.policy_actions.astype(np.float32))
        assert_array_equal(found.actions, expected.actions.astype(np.float32))
    loaded = minari.load_dataset('walker2d/tiny-v0')
    assert_array_equal(loaded[0].infos['policy_actions'],
                       noisy[0].policy_actions.astype(np.float32))


def test_d4rl_keeps_last_states_and_the_actions_of_the_policy_itself(tmp_path, noisy, robot):
    file = tmp_path / 'episodes.hdf5'
    written = [replace(e, terminated=i % 2 == 0) for i, e in enumerate(noisy)]
    d4rl_format.write_d4rl(file, written)
    for found, expected in zip(read_episodes(file, robot), written, strict=True):
        for key in ('observations', 'actions', 'rewards', 'policy_actions'):
            assert_array_equal(getattr(found, key), getattr(expected, key))
        assert found.terminated == expected.terminated
        assert found.plans is None


def test_d4rl_without_last_states_is_written_as_it_is(tmp_path, robot):
    episodes = [make_episode(5), make_episode(4, first=10, n_observations=5)]
    d4rl_format.write_d4rl(tmp_path / 'episodes.hdf5', episodes)
    found = read_episodes(tmp_path / 'episodes.hdf5', robot)
    assert [len(e.observations) for e in found] == [5, 4]
    assert all(e.last_state is None and e.policy_actions is None for e in found)


def test_policy_actions_of_another_length_are_refused(tmp_path, robot):
    file = write_minari_episode(tmp_path / 'main_data.hdf5')
    with h5py.File(file, 'a') as root:
        root['episode_0/infos/policy_actions'] = np.zeros((11, A))
    expect_error(file, robot, "'/episode_0/infos/policy_actions' has 11 rows", 'expected 12')


def test_another_format_is_one_more_entry_of_the_table(tmp_path, robot, monkeypatch):
    def read_zeros(path, robot, *, needs_rewards=True):
        del needs_rewards
        n = int(path.read_text())
        return [Episode(np.zeros((n, robot.state_dim)), np.zeros((n, robot.action_dim)),
                        np.zeros(n), terminated=False)]

    file = tmp_path / 'some.zeros'
    file.write_text('12')
    with pytest.raises(DatasetError, match=r'some\.zeros: of no known format, expected one of: a '
                                           'log of executed plans, a Minari data set'):
        read_episodes(file, robot)
    own = EpisodeFormat('a count of zeros', lambda path: path.suffix == '.zeros', read_zeros)
    monkeypatch.setattr(formats, 'FORMATS', [own, *formats.FORMATS])
    (episode,) = read_episodes(file, robot)
    assert len(episode) == 12
    file.write_text('0')
    expect_error(file, robot, 'no episodes, expected at least one')
    expect_error(tmp_path / 'none.zeros', robot, 'no such file', 'a count of zeros')


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match=r'nowhere/episodes\.hdf5: cannot be written'):
        d4rl_format.write_d4rl(tmp_path / 'nowhere' / 'episodes.hdf5', [make_episode(3)])


def test_an_episode_without_rewards_says_so():
    episode = make_episode(4, n_observations=5)
    assert episode.has_rewards
    assert_array_equal(episode.last_state, 4.0 / 1000.0)
    silent = replace(episode, rewards=np.full(4, np.nan), observations=episode.observations[:4])
    assert not silent.has_rewards
    assert silent.last_state is None
