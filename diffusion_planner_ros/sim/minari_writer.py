"""Write data sets as Minari data sets (HDF5)."""

import os
from pathlib import Path
import shutil
import warnings

import gymnasium
import minari
from minari.data_collector import EpisodeBuffer
import numpy as np

from ..errors import DatasetError
from .behaviour_data import describe, RecordedData
from .walker2d import EXPERT_RETURN, RANDOM_RETURN


def write_minari(root: Path, data: RecordedData, *, seed: int, n_learned: int) -> Path:
    """
    Write one data set to ``root/walker2d/NAME-v0`` and return that folder.

    ``minari.load_dataset('walker2d/NAME-v0')`` reads it with ``MINARI_DATASETS_PATH`` set to
    ``root``. A data set of that name that is already there is replaced.

    :param seed: of the run that made the data, for the metadata.
    :param n_learned: transitions that the policies learned from, for the metadata.
    :raises DatasetError: if there is no complete episode to write.
    """
    if not data.episodes:
        raise DatasetError(f"data set '{data.name}' has no complete episode; collect more "
                           'transitions')
    dataset_id = f'walker2d/{data.name}-v0'
    folder = root / dataset_id
    shutil.rmtree(folder, ignore_errors=True)
    # Minari takes the folder of its data sets from the environment alone.
    os.environ['MINARI_DATASETS_PATH'] = str(root.resolve())
    buffers = [EpisodeBuffer(
        id=i, observations=e.observations.astype(np.float32),
        actions=e.actions.astype(np.float32), rewards=e.rewards.tolist(),
        terminations=[False] * (len(e) - 1) + [e.terminated],
        truncations=[False] * (len(e) - 1) + [not e.terminated])
        for i, e in enumerate(data.episodes)]
    spec = gymnasium.spec('Walker2d-v5')
    env = gymnasium.make(spec)
    with warnings.catch_warnings():
        # Minari asks every author for an address and a permanent link; these data are the user's.
        warnings.simplefilter('ignore', UserWarning)
        dataset = minari.create_dataset_from_buffers(
            dataset_id, buffers, env=env, algorithm_name='PPO (stable-baselines3)',
            ref_min_score=RANDOM_RETURN, ref_max_score=EXPERT_RETURN,
            observation_space=gymnasium.spaces.Box(
                -np.inf, np.inf, env.observation_space.shape, np.float32),
            action_space=env.action_space,
            description=f'Walker2d-v5, {data.name}, made by diffusion_planner collect')
    dataset.storage.update_metadata({'seed': seed, 'n_learned_transitions': n_learned,
                                     **describe(data)})
    return folder
