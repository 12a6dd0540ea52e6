"""What several tests share: a data set that was really recorded, models really trained on it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from walker import Walker2D

from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.learning.onnx_export import TrainedModel, WeightWriter
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.learning.trainer import train, Trainer
from diffusion_planner_ros.planning.bundle import Bundle, NETWORK_FILES
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.sim.behaviour.behaviour_data import (
    RecordedData,
    run_policy,
    write_data_set,
)

N_EPISODES = 48
HORIZON = 8
N_DIFFUSION_STEPS = 10
N_UPDATES = {'mlp': 400, 'unet': 40}
WIDTH = {'mlp': 32, 'unet': 8, 'transformer': 32}


class RandomPolicy:
    """Acts at random whatever it observes: the simplest policy that falls soon."""

    def distribution(self, states):
        shape = len(states), 6
        return np.zeros(shape), np.ones(shape)


@pytest.fixture(scope='session')
def robot():
    return Robot.load('walker2d')


@pytest.fixture(scope='session')
def recorded():
    """Episodes of Walker2D under random actions, from calm to wild."""
    episodes = run_policy(
        'walker2d', RandomPolicy(), seeds=range(N_EPISODES),
        noise_share=np.linspace(0.05, 1.0, N_EPISODES), rng=np.random.default_rng(0))
    return RecordedData('walker2d', 'tiny', episodes, policy_return=12.5)


@pytest.fixture(scope='session')
def dataset(recorded, tmp_path_factory) -> Path:
    """Folder of a Minari data set of the recorded episodes; its root is two folders above."""
    with pytest.MonkeyPatch.context() as patch:
        # Writing sets this variable; it must not reach other tests.
        patch.setenv('MINARI_DATASETS_PATH', '')
        return write_data_set(tmp_path_factory.mktemp('minari'), recorded, seed=7, n_learned=123)


@pytest.fixture(scope='session')
def windows(dataset, robot) -> Windows:
    return Windows.cut(read_episodes(dataset, robot), robot, HORIZON, discount=0.99,
                       fall_penalty=100.0)


def tiny_config(denoiser: str = 'mlp', prediction: str = 'x0', **changes) -> TrainConfig:
    """Return settings of a run that takes seconds."""
    return TrainConfig(**{
        'denoiser': denoiser, 'prediction': prediction, 'width': WIDTH.get(denoiser, 8),
        'depth': 2, 'value_width': 32, 'value_depth': 1, 'dynamics_width': 32, 'horizon': HORIZON,
        'n_diffusion_steps': N_DIFFUSION_STEPS, 'n_updates': N_UPDATES.get(denoiser, 40),
        'batch_size': 64, 'learning_rate': 3e-3, 'value_learning_rate': 3e-3, 'ema_decay': 0.95,
        **changes})


@pytest.fixture(scope='session')
def config_of() -> Callable[..., TrainConfig]:
    return tiny_config


@pytest.fixture(scope='session')
def checkpoint_of(windows, robot, tmp_path_factory) -> Callable[[str, str], Path]:
    """Train a tiny model once for every denoiser and prediction that is asked for."""
    @cache
    def trained(denoiser: str = 'mlp', prediction: str = 'x0') -> Path:
        trainer = Trainer(tiny_config(denoiser, prediction), robot, windows)
        facts = {'data': [{'name': 'tiny-v0', 'episodes': N_EPISODES}], 'best_policy_return': 12.5}
        return train(trainer, tmp_path_factory.mktemp(f'{denoiser}_{prediction}'), facts,
                     on_update=lambda n_done, losses: None)
    return trained


@pytest.fixture(scope='session')
def bundle_of(checkpoint_of, tmp_path_factory) -> Callable[[str, str], Path]:
    """Export the tiny model once for every denoiser and prediction; do not change the folder."""
    @cache
    def exported(denoiser: str = 'mlp', prediction: str = 'x0') -> Path:
        out = tmp_path_factory.mktemp('models') / f'{denoiser}_{prediction}'
        export(checkpoint_of(denoiser, prediction), out)
        return out
    return exported


@pytest.fixture(scope='session')
def writer(checkpoint_of, tmp_path_factory) -> WeightWriter:
    """Write networks shaped like the tiny residual MLP's; to trace them takes seconds."""
    model = TrainedModel.load(checkpoint_of('mlp', 'x0'))
    return WeightWriter(model, tmp_path_factory.mktemp('traced'), NETWORK_FILES)


@pytest.fixture(scope='session')
def bundle(bundle_of) -> Bundle:
    """The tiny residual MLP, loaded."""
    return Bundle.load(bundle_of('mlp', 'x0'))


@pytest.fixture(scope='module')
def kept(tmp_path_factory):
    """Give the tests of a file a node to share."""
    from ros_processes import keeping  # needs ROS, as only some tests do
    with keeping(tmp_path_factory.mktemp('kept')) as kept:
        yield kept


@pytest.fixture
def walker():
    """A robot at the initial state of seed 0."""
    walker = Walker2D()
    walker.reset(seed=0)
    return walker
