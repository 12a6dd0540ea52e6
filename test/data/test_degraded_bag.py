"""A data set that is recorded with noise, jitter, loss and disorder comes back as it was."""

from degraded_bag import Faults, main
import numpy as np
import pytest

from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.import_run import import_recordings

N_EPISODES = 20
FAULTS = Faults()
SIGMAS = 6  # within which noise is


def place_of(found, states, noise):
    """Return which of the states (n, S) have been found, most probably."""
    errors = [np.square((states[first:first + len(found)] - found) / noise).sum()
              for first in range(len(states) - len(found) + 1)]
    first = int(np.argmin(errors))
    return slice(first, first + len(found))


@pytest.mark.parametrize(('settings', 'share_kept', 'share_wrong'), [
    ({}, 0.95, 0.0),
    # A lost command is taken for one that was held; a lost odometry costs its state.
    ({'torque_source': 'commands', 'odometry_joints': ('rootx=x', 'rootz=z', 'rooty=pitch')},
     0.92, 0.025)], ids=['efforts', 'commands and odometry'])
def test_nearly_all_steps_come_back_with_their_torques(dataset, tmp_path, robot, monkeypatch,
                                                       settings, share_kept, share_wrong):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    main(dataset, tmp_path / 'set', FAULTS, episodes=N_EPISODES)
    written = read_episodes(tmp_path / 'set' / 'direct-v0', robot)
    import_recordings([tmp_path / 'set' / 'bag'], robot, BagConfig(**settings),
                      tmp_path / 'imported-v0')
    imported = read_episodes(tmp_path / 'imported-v0', robot, needs_rewards=False)
    states = np.concatenate([e.observations[:len(e)] for e in written])
    actions = np.concatenate([e.actions for e in written])
    noise = np.array([FAULTS.position_noise if e.quantity == 'position' else FAULTS.velocity_noise
                      for e in robot.state])
    n_steps = n_wrong = 0
    for episode in imported:
        found = episode.observations[:len(episode)]
        steps = place_of(found, states, noise)
        error = np.abs(found - states[steps])
        # A pitch that odometry measures turns its velocity, too.
        assert (error < SIGMAS * (noise + 0.002 * np.abs(states[steps]))).all()
        n_steps += len(episode)
        n_wrong += int((np.abs(episode.actions - actions[steps]).max(axis=1) > 1e-6).sum())
    assert n_steps > share_kept * len(actions)
    assert n_wrong <= share_wrong * n_steps
