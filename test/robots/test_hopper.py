# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot that is configuration alone, from nothing to a walk through ROS: no Python knows it."""

from dataclasses import replace
import json
from pathlib import Path
import shutil

import pytest
from ros_processes import environment
import yaml

from diffusion_planner_ros.commands.learn.align import align
from diffusion_planner_ros.commands.learn.collect import collect
from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.commands.learn.train import train
from diffusion_planner_ros.commands.measure.diagnose import diagnose
from diffusion_planner_ros.commands.measure.evaluate import evaluate
from diffusion_planner_ros.commands.measure.robustness import robustness
from diffusion_planner_ros.commands.walk import walk
from diffusion_planner_ros.data.minari_format import read_metadata
from diffusion_planner_ros.errors import ConfigError, ModelError, RobotError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import REPLANNED
from diffusion_planner_ros.learning.align_config import AlignConfig
from diffusion_planner_ros.nodes.threads.scheduling import SchedulingConfig
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robots.robot_folder import robot_folder, SEARCH_PATH, TASK_FILE
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.behaviour import behaviour_data, behaviour_policy
from diffusion_planner_ros.sim.perturbation import UNPERTURBED

SEED = 4
ONE_CANDIDATE = PlannerConfig(n_candidates=1, n_denoise_steps=1)
WALKER = share_file('models/walker2d')
pytestmark = pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')


@pytest.fixture(scope='module')
def learned(tmp_path_factory):
    """Folder with the data of a poor policy, and a checkpoint that learned from them."""
    folder = tmp_path_factory.mktemp('hopper')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MINARI_DATASETS_PATH', '')
        for name, value in (('N_ENVS', 2), ('ROLLOUT_STEPS', 128), ('CHECKPOINT_ROLLOUTS', 1)):
            patch.setattr(behaviour_policy, name, value)
        patch.setattr(behaviour_data, 'POLICY_SEEDS', range(2))
        patch.setattr(behaviour_data, 'N_SIMULATORS', 2)
        collect('hopper', folder / 'data', n_learn=512, n_transitions=400)
    return folder


@pytest.fixture(scope='module')
def bundle(learned, config_of, tmp_path_factory):
    """A tiny model of it, which is exported soon and falls soon."""
    config = config_of(n_updates=50, width=16, depth=1, dynamics_depth=1, horizon=4)
    out = tmp_path_factory.mktemp('models') / 'tiny_hopper'
    train((learned / 'data/hopper/medium-expert-v0',), config, robot='hopper', out=learned / 'run')
    export(learned / 'run' / 'checkpoint.pt', out)
    return out


@pytest.fixture
def domain(monkeypatch):
    """Let this process and its children use a ROS domain of their own."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)


def reported(capsys, verb, *arguments, **options):
    """Return the report of a verb as a program reads it."""
    capsys.readouterr()
    verb(*arguments, **options, json=True)
    return json.loads(capsys.readouterr().out)


def test_data_are_in_a_folder_of_the_robot_and_name_it_as_gymnasium_does(learned):
    folders = {p.name for p in (learned / 'data' / 'hopper').iterdir() if p.is_dir()}
    assert folders == {'medium-v0', 'medium-replay-v0', 'medium-expert-v0', 'expert-v0', 'poor-v0'}
    metadata = read_metadata(learned / 'data' / 'hopper' / 'medium-v0')
    assert json.loads(metadata['env_spec'])['id'] == 'Hopper-v5'
    assert metadata['ref_max_score'] == 3234.3


def test_lockstep_through_ros_gives_the_return_of_the_same_seed_in_process(
        bundle, domain, tmp_path, capsys):
    planner = Planner(Bundle.load(bundle), replace(ONE_CANDIDATE, seed=SEED))
    expected, _ = run_episode(SEED, planner=planner)
    assert expected.steps > 10
    summary = reported(capsys, walk, ONE_CANDIDATE, SchedulingConfig(), robot='hopper',
                       bundle=bundle, lockstep=True, seed=SEED, out=tmp_path, video=False)
    assert summary['returns'] == [expected.episode_return]  # to the last bit
    assert summary['episode_steps'] == [expected.steps]
    assert summary['distances_m'] == [expected.distance]
    assert summary['fell'] == [True]
    assert (tmp_path / 'plan.png').read_bytes().startswith(b'\x89PNG')


def test_a_task_of_the_users_own_is_simulated_where_its_folder_is_named(
        bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(SEARCH_PATH, '')
    folder = shutil.copytree(robot_folder('hopper'), tmp_path / 'hopper')
    facts = yaml.safe_load((folder / TASK_FILE).read_text())
    facts['reward']['healthy'] += 10.0
    (folder / TASK_FILE).write_text(yaml.safe_dump(facts))
    options = {'bundle': bundle, 'episodes': 1, 'first_seed': SEED, 'processes': 1}
    usual = reported(capsys, evaluate, ONE_CANDIDATE, REPLANNED, UNPERTURBED, **options)
    own = reported(capsys, evaluate, ONE_CANDIDATE, REPLANNED, UNPERTURBED, robot=str(folder),
                   **options)
    assert own['distance_mean_m'] == usual['distance_mean_m']
    assert own['return_mean'] > usual['return_mean'] + 50.0


@pytest.mark.parametrize(('verb', 'arguments', 'options'), [
    (walk, (ONE_CANDIDATE, SchedulingConfig()), {'bundle': WALKER}),
    (evaluate, (ONE_CANDIDATE, REPLANNED, UNPERTURBED), {'bundle': WALKER}),
    (diagnose, (ONE_CANDIDATE, UNPERTURBED), {'bundle': WALKER}),
    (robustness, (ONE_CANDIDATE,), {'bundles': (str(WALKER),)}),
], ids=lambda value: getattr(value, '__name__', ''))
def test_a_bundle_of_another_robot_is_refused(verb, arguments, options):
    with pytest.raises(RobotError, match="models/walker2d: is of robot 'walker2d', expected "
                                         "'hopper'"):
        verb(*arguments, robot='hopper', **options)


def test_bundles_of_two_robots_are_not_compared(bundle):
    with pytest.raises(RobotError, match="tiny_hopper: is of robot 'hopper', expected 'walker2d'"):
        robustness(ONE_CANDIDATE, bundles=(str(WALKER), str(bundle)))


def test_a_teacher_of_another_robot_is_refused(bundle):
    with pytest.raises(ModelError, match='from 17 states to 6 torques, expected 11 and 3 for '
                                         'hopper'):
        robustness(ONE_CANDIDATE, bundles=(str(bundle),),
                   teacher=str(share_file('models/walker2d-teacher.npz')))


def test_a_checkpoint_of_another_robot_is_refused(bundle, learned):
    del bundle  # its checkpoint is there then
    with pytest.raises(RobotError, match="is of robot 'hopper', expected 'half_cheetah'"):
        align(AlignConfig(), ONE_CANDIDATE, UNPERTURBED, robot='half_cheetah',
              checkpoint=learned / 'run' / 'checkpoint.pt')


def test_a_robot_that_ships_without_a_bundle_needs_one(tmp_path, monkeypatch):
    folder = shutil.copytree(robot_folder('hopper'), tmp_path / 'my_hopper')
    layout = folder / 'layout.yaml'
    layout.write_text(layout.read_text().replace('name: hopper', 'name: my_hopper'))
    monkeypatch.setenv(SEARCH_PATH, '')
    with pytest.raises(RobotError, match=r"no model bundle ships for robot 'my_hopper', expected "
                                         r'models/my_hopper; train one \(docs/how_to/train.md\)'):
        walk(ONE_CANDIDATE, SchedulingConfig(), robot=str(folder))


@pytest.mark.parametrize('options', [{'robust': True}, {'teacher': Path('teacher.npz')}])
def test_a_robot_that_never_falls_has_no_robust_teacher(options):
    with pytest.raises(ConfigError, match='half_cheetah never falls: no healthy ranges of its '
                                          'task end an episode'):
        collect('half_cheetah', **options)
