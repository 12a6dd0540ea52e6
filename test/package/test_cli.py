# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The command line: complete help, one real run of the path of the data, clear errors."""

import contextlib
from dataclasses import dataclass
from functools import cache
import inspect
import io
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from walker import normalized_score

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.commands.figures.compounding import compounding
from diffusion_planner_ros.commands.figures.gaits import gaits
from diffusion_planner_ros.commands.figures.overestimation import overestimation
from diffusion_planner_ros.commands.figures.torques import torques
from diffusion_planner_ros.commands.inspect.animate import animate
from diffusion_planner_ros.commands.inspect.info import info
from diffusion_planner_ros.commands.inspect.new_robot import new_robot
from diffusion_planner_ros.commands.inspect.report import report
from diffusion_planner_ros.commands.inspect.snapshot import snapshot
from diffusion_planner_ros.commands.inspect.urdf import urdf
from diffusion_planner_ros.commands.learn.align import align
from diffusion_planner_ros.commands.learn.calibrate import calibrate
from diffusion_planner_ros.commands.learn.collect import collect
from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.commands.learn.import_recording import import_recording
from diffusion_planner_ros.commands.learn.study import study
from diffusion_planner_ros.commands.learn.train import train
from diffusion_planner_ros.commands.measure.compare import compare
from diffusion_planner_ros.commands.measure.diagnose import diagnose
from diffusion_planner_ros.commands.measure.endure import endure
from diffusion_planner_ros.commands.measure.evaluate import evaluate
from diffusion_planner_ros.commands.measure.reach import reach
from diffusion_planner_ros.commands.measure.robustness import robustness
from diffusion_planner_ros.commands.measure.soak import soak
from diffusion_planner_ros.commands.walk import walk
from diffusion_planner_ros.data.bags.bag_config import BagConfig
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.minari_format import read_metadata
from diffusion_planner_ros.errors import DatasetError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import Execution
from diffusion_planner_ros.learning.align_config import AlignConfig
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.nodes.threads.scheduling import SchedulingConfig
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.settings import settings_of
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.behaviour import behaviour_data, behaviour_policy
from diffusion_planner_ros.sim.behaviour.behaviour_data import find_expert
from diffusion_planner_ros.sim.behaviour.behaviour_policy import (
    CHECKPOINT_ROLLOUTS,
    Learned,
    N_ENVS,
)
from diffusion_planner_ros.sim.perturbation import Perturbation
from diffusion_planner_ros.sim.perturbation_ranges import DRAWN

VERBS = {'align': align, 'animate': animate, 'calibrate': calibrate, 'collect': collect,
         'diagnose': diagnose, 'train': train, 'export': export, 'info': info,
         'evaluate': evaluate, 'robustness': robustness, 'walk': walk, 'urdf': urdf,
         'snapshot': snapshot, 'soak': soak, 'study': study, 'endure': endure,
         'overestimation': overestimation, 'torques': torques, 'compounding': compounding,
         'gaits': gaits, 'compare': compare, 'import': import_recording, 'reach': reach,
         'new-robot': new_robot, 'report': report}
# The settings that a verb takes besides its own options, and the prefix of their options.
PLANNER = {'planner': (PlannerConfig, 'planner.')}
CHANGE = {'perturbation': (Perturbation, 'perturbation.')}
SCHEDULING = {'scheduling': (SchedulingConfig, 'scheduling.')}
SETTINGS = {'train': {'config': (TrainConfig, '')}, 'walk': PLANNER | SCHEDULING,
            'robustness': PLANNER, 'calibrate': PLANNER, 'export': PLANNER,
            'endure': PLANNER | SCHEDULING, 'overestimation': PLANNER,
            'torques': PLANNER, 'compounding': PLANNER, 'reach': PLANNER,
            'import': {'config': (BagConfig, '')},
            'align': {'config': (AlignConfig, '')} | PLANNER | CHANGE,
            'diagnose': PLANNER | CHANGE, 'study': PLANNER | CHANGE,
            'evaluate': PLANNER | CHANGE | {'execution': (Execution, '')}}
# The option that needs no name, where it is no bundle.
POSITIONAL = {'import': 'recordings', 'new-robot': 'model', 'report': 'folders'}
N_ROLLOUT = 64  # steps of a robot between two lessons, for a policy as soon as possible
N_LEARN = CHECKPOINT_ROLLOUTS * N_ROLLOUT * N_ENVS  # transitions to PPO's first checkpoint
SMALL_MODEL = ('--width', '16', '--depth', '1', '--value-width', '16', '--value-depth', '1',
               '--n-updates', '60', '--batch-size', '32', '--n-diffusion-steps', '5')


def run(*words, code=0):
    """Run the command in a process of its own; return what it says."""
    done = subprocess.run(
        [sys.executable, '-m', 'diffusion_planner_ros.commands', *map(str, words)], text=True,
        capture_output=True, check=False, env={**os.environ, 'COLUMNS': '80'})
    assert done.returncode == code, done.stderr
    return done


@dataclass(frozen=True)
class Said:
    """What a command said in this process, and the code or the line that it ended with."""

    out: str
    errors: str
    code: object


def say(*words):
    """Run the command in this process, which has imported everything already."""
    out, errors = (io.TextIOWrapper(io.BytesIO(), 'utf-8', newline='') for _ in range(2))
    code = 0
    with (pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out),
          contextlib.redirect_stderr(errors)):
        patch.setenv('MINARI_DATASETS_PATH', '')
        patch.setenv('COLUMNS', '80')
        patch.setattr(sys, 'argv', ['diffusion_planner', *map(str, words)])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    texts = []
    for stream in (out, errors):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Said(*texts, code)


@cache
def help_of(verb):
    said = say(verb, '--help')
    assert said.code in (0, None), said.errors
    return said.out


def shown_defaults(text, positional='bundle'):
    """Return the default, or 'required', of every option in a help text."""
    shown = {}
    # An option begins its line, as does the value of a positional one; what is said of it is
    # indented.
    for block in re.split(r'\n│ (?=--?[a-z]|\[|PATH)', text)[1:]:
        option = re.match(r'--?([\w.-]+)', block)
        name = option.group(1) if option else positional
        plain = ' '.join(re.sub('[│╭╮╰╯─]', ' ', block).split())
        ending = re.search(r'\((?:default: (.*?)|(required))\)', plain)
        shown[name] = ending and (ending.group(2) or ending.group(1))
    return shown


def expected_defaults(verb):
    """Return the option and default of everything that a verb takes."""
    expected = {}
    for parameter in inspect.signature(VERBS[verb]).parameters.values():
        if parameter.name in SETTINGS.get(verb, {}):
            continue
        default = parameter.default
        expected[parameter.name] = 'required' if default is inspect.Parameter.empty else default
    for owner, prefix in SETTINGS.get(verb, {}).values():
        expected |= {prefix + k.name: k.default for k in settings_of(owner)}
    return {name.replace('_', '-'): shown(default) for name, default in expected.items()}


def shown(default):
    return ' '.join(map(shown, default)) if isinstance(default, tuple) else str(default) or "''"


@pytest.mark.parametrize('verb', VERBS)
def test_help_shows_every_option_with_its_default(verb):
    shown = shown_defaults(help_of(verb), POSITIONAL.get(verb, 'bundle'))
    expected = expected_defaults(verb)
    assert {name: shown.get(name) for name in expected} == expected


@pytest.mark.parametrize('verb', SETTINGS)
def test_help_says_what_every_setting_means_and_expects(verb):
    words = re.sub(r'[│╭╮╰╯─\s]', '', help_of(verb))
    for setting in (k for owner, _ in SETTINGS[verb].values() for k in settings_of(owner)):
        meaning = f'{setting.description} Expected: {setting.expectation}.'
        assert ''.join(meaning.split()) in words, setting.name


def test_help_names_every_verb():
    text = run('--help').stdout
    assert all(re.search(rf'\b{verb}\b', text) for verb in VERBS)


@dataclass(frozen=True)
class Journey:
    """What the commands wrote and reported on the way from nothing to a model bundle."""

    data: Path
    checkpoint: Path
    bundle: Path
    reports: dict


def run_here(*words):
    """Run the command in this process; return its report."""
    said = say(*words, '--json')
    assert not said.code, said.code
    return json.loads(said.out)


@pytest.fixture(scope='module')
def journey(tmp_path_factory):
    folder = tmp_path_factory.mktemp('journey')
    data, runs, bundle = folder / 'data', folder / 'run', folder / 'models' / 'tiny'
    bundle.mkdir(parents=True)
    (bundle / 'value.onnx').write_bytes(b'an old bundle, damaged')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour_policy, 'ROLLOUT_STEPS', N_ROLLOUT)
        patch.setattr(behaviour_data, 'POLICY_SEEDS', range(5))
        collected = run_here('collect', '--out', data, '--n-learn', N_LEARN,
                             '--n-transitions', 200)
    reports = {
        'collect': collected,
        'train': run_here('train', '--data', data / 'walker2d' / 'medium-replay-v0',
                          data / 'walker2d' / 'medium-expert-v0', '--out', runs, *SMALL_MODEL),
        'export': run_here('export', '--checkpoint', runs / 'checkpoint.pt', '--out', bundle)}
    return Journey(data, runs / 'checkpoint.pt', bundle, reports)


def test_collect_writes_the_data_sets_with_their_facts(journey):
    report = journey.reports['collect']
    assert set(report) == {'medium', 'medium-replay', 'medium-expert', 'expert', 'poor'}
    for name, facts in report.items():
        episodes = read_episodes(journey.data / 'walker2d' / f'{name}-v0', Robot.load('walker2d'))
        returns = [e.total_return for e in episodes]
        assert facts['episodes'] == len(episodes)
        assert facts['transitions'] == sum(map(len, episodes))
        assert facts['mean_return'] == pytest.approx(np.mean(returns))
        assert facts['normalized_score'] == pytest.approx(normalized_score(np.mean(returns)))
        metadata = read_metadata(journey.data / 'walker2d' / f'{name}-v0')
        assert metadata['policy_return'] == facts['policy_return']
        assert (metadata['seed'], metadata['n_learned_transitions']) == (0, N_LEARN)
    assert report['medium']['transitions'] >= 200
    assert 0 < report['medium-replay']['transitions'] <= N_LEARN
    assert report['medium-expert']['policy_return'] >= report['medium']['policy_return']


def test_a_collection_that_was_interrupted_is_not_begun_again_by_mistake(tmp_path):
    (tmp_path / 'walker2d-ppo.pkl').touch()
    assert 'add --resume to go on with it, or delete it' in say('collect', '--out', tmp_path).code


def test_a_run_too_short_for_a_policy_is_refused_with_the_shortest_that_is_not():
    learned = Learned('walker2d', checkpoints=[], episodes=[])
    with pytest.raises(DatasetError, match='20480'):
        find_expert(learned)


def test_export_reports_a_small_difference(journey):
    differences = journey.reports['export']['max_difference']
    assert set(differences) == {'x_0', 'value', 'gradient', 'dynamics', 'plan'}
    assert all(d <= 1e-4 for d in differences.values())


def test_export_replaces_an_old_bundle(journey):
    bundle = Bundle.load(journey.bundle)
    assert bundle.facts['training']['n_updates_done'] == 60
    assert {p.name for p in journey.bundle.iterdir()} == {
        'denoiser.onnx', 'value.onnx', 'dynamics.onnx', 'plan.onnx', 'model.yaml'}
    assert {p.name for p in journey.bundle.parent.iterdir()} == {'tiny'}


def test_info_reports_the_bundle_as_json(journey):
    report = json.loads(run('info', journey.bundle, '--json').stdout)
    collected = journey.reports['collect']
    assert report['hash'] == Bundle.load(journey.bundle).hash
    assert (report['robot'], report['horizon']) == ('walker2d', 8)
    assert report['schedule'] == 'cosine, 5 steps'
    assert len(report['state']) == 17
    assert report['action']['foot_joint'] == 'torque, +-100 [N m]'
    assert {d['name'] for d in report['data'].values()} == {
        'medium-replay-v0', 'medium-expert-v0'}
    assert report['best_policy_return'] == collected['medium-expert']['policy_return']
    assert report['score'].startswith('not measured')


def test_info_is_readable_without_json(journey):
    lines = say('info', journey.bundle).out.splitlines()
    assert any(re.fullmatch(r'horizon +8', line) for line in lines)
    assert any(re.fullmatch(r' +foot_joint +torque, \+-100 \[N m\]', line) for line in lines)


def test_info_says_that_a_score_cannot_be_put_beside_published_ones():
    score = run_here('info')['score']
    assert score['normalized_score'] > 100.0
    assert 'not comparable with published D4RL scores' in score['note']


def test_evaluate_reports_the_returns_of_its_episodes_as_json(journey):
    report = run_here('evaluate', '--bundle', journey.bundle, '--episodes', 2, '--first-seed', 5,
                      '--planner.n-candidates', 4, '--planner.seed', 3)
    bundle = Bundle.load(journey.bundle)
    expected = [  # the noise of every episode is its own
        run_episode(seed, planner=Planner(bundle, PlannerConfig(n_candidates=4, seed=3 + seed)))[0]
        for seed in (5, 6)]
    assert report['returns'] == [r.episode_return for r in expected]
    assert (report['seeds'], report['episodes']) == ([5, 6], 2)
    assert report['return_mean'] == pytest.approx(np.mean(report['returns']))
    assert report['return_stderr'] == pytest.approx(abs(np.diff(report['returns'])[0]) / 2)
    assert report['normalized_score'] == pytest.approx(normalized_score(report['return_mean']))
    assert report['falls'] == sum(r.fell for r in expected)
    assert report['fall_rate'] == report['falls'] / 2
    assert report['distance_mean_m'] == pytest.approx(np.mean([r.distance for r in expected]))
    assert 0 < report['plan_p50_ms'] <= report['plan_p99_ms']
    assert (report['provider'], report['mode']) == ('cpu', 'in process')


def test_a_score_is_written_only_when_asked_for(journey, no_processes, tmp_path):
    bundle = shutil.copytree(journey.bundle, tmp_path / 'bundle')
    words = ('evaluate', '--bundle', bundle, '--episodes', 1, '--processes', 1)
    run_here(*words)
    assert 'score' not in Bundle.load(bundle).facts
    report = run_here(*words, '--write-score')
    score = Bundle.load(bundle).facts['score']
    assert score['return_mean'] == report['return_mean']
    assert (score['episodes'], score['first_seed'], score['mode']) == (1, 0, 'in process')
    assert score['planner']['n_candidates'] == PlannerConfig().n_candidates


PRESET_VERBS = ('train', 'evaluate', 'robustness', 'walk', 'diagnose', 'endure')


@pytest.mark.parametrize('verb', PRESET_VERBS)
def test_the_help_of_a_verb_with_a_preset_shows_its_settings(verb):
    preset = Preset.load('diffuser')
    (owner, prefix), values = next(iter(SETTINGS[verb].values())), preset.planner
    if owner is TrainConfig:
        values = preset.train
    expected = {prefix + k.name: values.get(k.name, k.default) for k in settings_of(owner)}
    found = shown_defaults(say(verb, '--preset', 'diffuser', '--help').out)
    options = {name.replace('_', '-'): shown(default) for name, default in expected.items()}
    assert {name: found.get(name) for name in options} == options


@pytest.mark.parametrize('words', [
    ('speeds', '--bundle', share_file('models/walker2d_speeds')),
    ('evaluate', f'--bundle={share_file("models/walker2d_speeds")}')])
def test_settings_default_to_those_of_the_preset_that_the_bundle_names(words):
    preset = Preset.load('commanded').planner
    assert preset['n_denoise_steps'] != PlannerConfig().n_denoise_steps
    for more, steps in (((), preset['n_denoise_steps']),
                        (('--preset', 'walker'), PlannerConfig().n_denoise_steps)):
        found = shown_defaults(say(*words, *more, '--help').out)
        assert found['planner.n-denoise-steps'] == shown(steps)


def test_an_option_wins_over_the_preset(journey, no_processes):
    words = ('evaluate', '--bundle', journey.bundle, '--episodes', 1, '--processes', 1,
             '--first-seed', 5, '--planner.n-denoise-steps', 5)
    config = PlannerConfig(**{**Preset.load('guided').planner, 'n_denoise_steps': 5, 'seed': 5})
    expected, _ = run_episode(5, planner=Planner(Bundle.load(journey.bundle), config))
    for option in (('--preset', 'guided'), ('--preset=guided',)):
        assert run_here(*words, *option)['returns'] == [expected.episode_return]


def test_evaluate_draws_robots_when_asked_to(journey, no_processes):
    words = ('evaluate', '--bundle', journey.bundle, '--episodes', 1, '--processes', 1,
             '--first-seed', 5)
    report = run_here(*words, '--drawn')
    expected, _ = run_episode(5, planner=Planner(Bundle.load(journey.bundle), PlannerConfig(
        seed=5)), perturbation=DRAWN)
    assert report['returns'] == [expected.episode_return]
    assert 'expected one of them' in say(*words, '--drawn', '--perturbation.mass', 1.1).code


@pytest.mark.parametrize(('words', 'message'), [
    (('info', 'nowhere'), 'nowhere/model.yaml: no such file'),
    (('evaluate', '--bundle', 'nowhere'), 'nowhere/model.yaml: no such file'),
    (('walk', '--bundle', 'nowhere'), 'nowhere/model.yaml: no such file'),
    (('export', '--checkpoint', 'nowhere.pt'), 'nowhere.pt: no such checkpoint'),
    (('align', '--checkpoint', 'nowhere.pt'), 'nowhere.pt: no such checkpoint'),
    (('train', '--data', 'nowhere.hdf5'), 'nowhere.hdf5: no such file'),
    (('import', 'nowhere'), 'nowhere: no such file or folder, expected one of: a recording of'),
    (('walk', '--preset', 'nameless'), "preset is 'nameless', expected one of commanded"),
    (('compare', '--methods', 'walkman'), "methods has 'walkman', expected one of"),
    (('compare', '--data', 'nowhere', '--seeds', '1', '1'), 'seeds is (1, 1), expected at least'),
    (('compare', '--data', 'nowhere'), 'nowhere: no such file or folder, expected a data set'),
    (('compare', '--data', 'a/x', 'b/x'), 'data is a/x, b/x, expected at least one data set'),
    (('walk', '--preset'), '--preset names no preset, expected one of commanded'),
    (('evaluate', '--real-time'), '--real-time needs --through-ros'),
    (('evaluate', '--episodes', '0'), 'episodes is 0, expected at least 1')])
def test_a_wrong_path_or_option_ends_with_one_clear_line(words, message):
    said = say(*words)
    assert said.out == said.errors == ''
    line, = said.code.splitlines()
    assert line.startswith('diffusion_planner: ')
    assert message in line


def test_that_line_is_all_that_a_process_prints():
    done = run('info', 'nowhere', code=1)
    assert done.stdout == ''
    line, = done.stderr.splitlines()
    assert line.startswith('diffusion_planner: nowhere/model.yaml: no such file')


def test_an_unknown_robot_is_refused_and_the_shipped_ones_are_named():
    said = say('train', '--data', 'x.hdf5', '--robot', 'r2d2')
    shipped = 'half_cheetah, hopper, point_maze, reacher, walker2d'
    assert re.search(f"no robot 'r2d2': .* of {shipped}", said.code)


@pytest.mark.parametrize('verb', ['train', 'align', 'evaluate', 'walk'])
def test_a_setting_outside_its_range_is_refused_with_the_range(verb):
    owner, prefix = next(iter(SETTINGS[verb].values()))
    setting = next(k for k in settings_of(owner) if k.low is not None)
    option = f'--{prefix}{setting.name}'.replace('_', '-')
    data = ('--data', 'x.hdf5') if verb == 'train' else ()
    said = say(verb, *data, option, setting.high + 1)
    assert said.code
    text = f'{said.errors} {said.code}'
    text = ' '.join(re.sub('[│╭╮╰╯─]', ' ', text).split())
    assert f'{setting.name} is {setting.high + 1}, expected {setting.expectation}' in text
    assert 'Traceback' not in text
