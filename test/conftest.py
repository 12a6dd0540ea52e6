# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What several tests share: a data set that was really recorded, models really trained on it."""

from collections.abc import Callable, Iterator
import fcntl
from functools import cache
import os
from pathlib import Path
import pickle
import signal

from copying_threads import CopyingThreads
import numpy as np
import pytest
from torch.onnx._internal.exporter._registration import ONNXRegistry
from walker import Walker2D

from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.experiments import closed_loop, monitor_calibration
from diffusion_planner_ros.learning.learner import CHECKPOINT_FILE
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

# Tests run in parallel, file by file. These files take longest and come first, those that compute
# between those that wait for processes most of the time.
FIRST = (
    'test_faults_processes', 'test_alignment', 'test_walk', 'test_export', 'test_recorder',
    'test_methods', 'test_planner_node', 'test_mcap_recording', 'test_baselines',
    'test_service_calls', 'test_cli', 'test_hardware', 'test_training', 'test_lifecycle',
    'test_comparison', 'test_state_source',
    'test_align_a_robot', 'test_from_recording', 'test_own_robot', 'test_first_walk',
    'test_navigation', 'test_several_robots', 'test_launch_and_rviz', 'test_hardware_steps',
    'test_goals_by_inpainting',
    'test_faults_states', 'test_study', 'test_faults_bundle',
    'test_examples',
    'test_fuzz', 'test_soak', 'test_extend', 'test_mujoco_bridge', 'test_busy_computer',
    'test_diagnose', 'test_snapshot', 'test_signals', 'test_viewer_node', 'test_endure',
    'test_diffusion', 'test_faults_disk', 'test_packaging', 'test_docs', 'test_benchmark',
    'test_layers', 'test_robustness', 'test_stop', 'test_torques', 'test_scaling', 'test_planner')
N_EPISODES = 48
HORIZON = 8
N_DIFFUSION_STEPS = 10
N_UPDATES = {'mlp': 400, 'unet': 40}
WIDTH = {'mlp': 32, 'unet': 8, 'transformer': 32}


def pytest_configure() -> None:
    # Jobs in the background of a shell are deaf to Ctrl-C, and so would be all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(FIRST)))


class RandomPolicy:
    """Acts at random whatever it observes: the simplest policy that falls soon."""

    def distribution(self, states):
        shape = len(states), 6
        return np.zeros(shape), np.ones(shape)


@pytest.fixture(scope='session')
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """
    Give a function that lets one of the test processes make a folder for all.

    It takes the name of the folder and what fills it; nobody may change it afterwards.
    """
    root = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        root = root.parent  # of the folders of all processes

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = root / name, root / f'{name}.done'
        with (root / f'{name}.lock').open('w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder
    return made


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
def dataset(recorded, made_once) -> Path:
    """Folder of a Minari data set of the recorded episodes; its root is two folders above."""
    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            # Writing sets this variable; it must not reach other tests.
            patch.setenv('MINARI_DATASETS_PATH', '')
            write_data_set(folder, recorded, seed=7, n_learned=123)
    return made_once('minari', write) / 'walker2d' / 'tiny-v0'


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
def checkpoint_of(windows, robot, made_once) -> Callable[[str, str], Path]:
    """Train a tiny model once for every denoiser and prediction that is asked for."""
    def trained(denoiser: str = 'mlp', prediction: str = 'x0') -> Path:
        def make(folder: Path) -> None:
            # How well it plans is asked of the one that most tests share.
            changes = {} if (denoiser, prediction) == ('mlp', 'x0') else {'n_updates': 40}
            trainer = Trainer(tiny_config(denoiser, prediction, **changes), robot, windows)
            facts = {'data': [{'name': 'tiny-v0', 'episodes': N_EPISODES}],
                     'best_policy_return': 12.5}
            train(trainer, folder, facts, on_update=lambda n_done, losses: None)
        return made_once(f'{denoiser}_{prediction}', make) / CHECKPOINT_FILE
    return trained


@pytest.fixture(scope='session')
def bundle_of(checkpoint_of, made_once) -> Callable[[str, str], Path]:
    """Export the tiny model once for every denoiser and prediction; do not change the folder."""
    def exported(denoiser: str = 'mlp', prediction: str = 'x0') -> Path:
        checkpoint = checkpoint_of(denoiser, prediction)
        return made_once(f'{denoiser}_{prediction}_bundle',
                         lambda folder: export(checkpoint, folder))
    return exported


@pytest.fixture(scope='session', autouse=True)
def _quick_exports() -> Iterator[None]:
    """Let torch read its table of operators once, which takes 0.5 s, and calibrations be short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, 'from_torchlib',
                      staticmethod(cache(ONNXRegistry.from_torchlib)))
        patch.setattr(monitor_calibration, 'N_WINDOWS', 50)
        yield


@pytest.fixture(scope='session')
def writer(checkpoint_of, made_once) -> WeightWriter:
    """Write networks shaped like the tiny residual MLP's; to trace them takes seconds."""
    def trace(folder: Path) -> None:
        model = TrainedModel.load(checkpoint_of('mlp', 'x0'))
        writer = WeightWriter(model, folder, NETWORK_FILES)
        (folder / 'writer').write_bytes(pickle.dumps(writer))
    return pickle.loads((made_once('traced', trace) / 'writer').read_bytes())


@pytest.fixture(scope='session')
def bundle(bundle_of) -> Bundle:
    """The tiny residual MLP, loaded."""
    return Bundle.load(bundle_of('mlp', 'x0'))


@pytest.fixture
def no_processes(monkeypatch):
    """Let verbs run their episodes in threads; that processes do is tested with the others."""
    monkeypatch.setattr(closed_loop, 'open_pool', CopyingThreads)


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
