# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A data set that is recorded with noise, jitter, loss and disorder comes back as it was."""

from degraded_bag import Faults, noise_of, places, write, wrong_torques
import numpy as np
import pytest

from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.import_run import import_recordings

N_EPISODES = 20
FAULTS = Faults()
SIGMAS = 6  # within which noise is


@pytest.mark.parametrize(('settings', 'share_kept', 'share_wrong'), [
    ({}, 0.95, 0.0),
    # A lost command is taken for one that was held; a lost odometry costs its state.
    ({'torque_source': 'commands', 'odometry_joints': ('rootx=x', 'rootz=z', 'rooty=pitch')},
     0.92, 0.025)], ids=['efforts', 'commands and odometry'])
def test_nearly_all_steps_come_back_with_their_torques(dataset, tmp_path, robot, monkeypatch,
                                                       settings, share_kept, share_wrong):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    write(dataset, tmp_path / 'set', FAULTS, episodes=N_EPISODES)
    written = read_episodes(tmp_path / 'set' / 'direct-v0', robot)
    import_recordings([tmp_path / 'set' / 'bag'], robot, BagConfig(**settings),
                      tmp_path / 'imported-v0')
    imported = read_episodes(tmp_path / 'imported-v0', robot, needs_rewards=False)
    states = np.concatenate([e.observations[:len(e)] for e in written])
    actions = np.concatenate([e.actions for e in written])
    n_steps = n_wrong = 0
    firsts = places(states, imported, robot, FAULTS)
    for episode, first in zip(imported, firsts, strict=True):
        true = states[first:first + len(episode)]
        error = np.abs(episode.observations[:len(episode)] - true)
        # A pitch that odometry measures turns its velocity, too.
        assert (error < SIGMAS * (noise_of(robot, FAULTS) + 0.002 * np.abs(true))).all()
        n_steps += len(episode)
        n_wrong += wrong_torques(episode, actions[first:])
    assert n_steps > share_kept * len(actions)
    assert n_wrong <= share_wrong * n_steps
