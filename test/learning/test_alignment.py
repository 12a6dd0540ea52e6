# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Alignment: what is learned from, how it is weighted, and that nothing is lost on the way."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
import json
import shutil
import sys

import h5py
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import torch
from walker import Walker2D

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.data.d4rl_format import write_d4rl
from diffusion_planner_ros.data.executed_plans import LogWriter, read_log
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.windows import n_rows, Windows
from diffusion_planner_ros.errors import ConfigError, DatasetError, ModelError, RobotError
from diffusion_planner_ros.experiments import bundle_export
from diffusion_planner_ros.experiments.alignment import alignment_run
from diffusion_planner_ros.experiments.alignment.alignment_run import (
    AlignmentRun,
    FIRST_SEED,
    GuardResult,
    PROGRESS_FILE,
)
from diffusion_planner_ros.experiments.alignment.online_alignment import align_online
from diffusion_planner_ros.experiments.bundle_export import compare, MAX_DIFFERENCE
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import Execution
from diffusion_planner_ros.experiments.misalignment import watch_episode
from diffusion_planner_ros.learning.advantage import generalized_advantage, imitation_weights
from diffusion_planner_ros.learning.align_config import AlignConfig
from diffusion_planner_ros.learning.alignment import Aligner
from diffusion_planner_ros.learning.learner import load_checkpoint
from diffusion_planner_ros.learning.networks.builders import build_networks
from diffusion_planner_ros.learning.networks.denoiser_registry import DENOISERS
from diffusion_planner_ros.learning.onnx_export import TrainedModel, WeightWriter
from diffusion_planner_ros.learning.replay_buffer import WindowChoice
from diffusion_planner_ros.planning.bundle import (
    Bundle,
    DYNAMICS_FILE,
    FORMAT_VERSION,
    NETWORK_FILES,
    write_facts,
)
from diffusion_planner_ros.planning.conditions import Condition
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.schedule import CLEAN
from diffusion_planner_ros.sim.perturbation import Perturbation, UNPERTURBED
from diffusion_planner_ros.sim.perturbation_ranges import DRAWN

H, S, A = 8, 17, 6
DISCOUNT, FALL_PENALTY = 0.99, 100.0  # of the tiny model
NETWORKS = ('diffusion', 'value', 'dynamics_model')
ALL_NETWORKS = (*NETWORKS, *(f'averaged_{name}' for name in NETWORKS))
# Everything of an alignment happens in it: offline data that fade, exploration, settling.
SHORT = AlignConfig(
    n_steps=450, settle_steps=180, round_steps=60, guard_every=2, guard_episodes=2,
    n_candidates=2, exploration=0.2, recovery_push=1.0, offline_share=0.5,
    offline_steps=300, updates_per_step=0.1, settle_updates_per_step=0.1, batch_size=16)
PLAIN = {'exploration': 0.0, 'offline_share': 0.0, 'recent_steps': 0, 'weighting': 'none',
         'value_times': 'even', 'settle_steps': 0}
TWO_CANDIDATES = PlannerConfig(n_candidates=2)


@pytest.fixture(scope='module')
def checkpoint(checkpoint_of):
    return checkpoint_of('mlp', 'x0')


@pytest.fixture
def make_aligner(checkpoint):
    def make(offline=(), **changes):
        return Aligner(checkpoint, AlignConfig(**{'batch_size': 16, **changes}), list(offline))
    return make


@pytest.fixture(scope='module')
def episodes(recorded):
    """Nine episodes, no two rows of which are alike."""
    return [e for e in recorded.episodes if len(e) >= 2 * H][:9]


@pytest.fixture(scope='module')
def too_short(episodes):
    return replace(episodes[0], observations=episodes[0].observations[:H], terminated=False,
                   actions=episodes[0].actions[:H - 1], rewards=episodes[0].rewards[:H - 1])


def n_steps_of(episodes):
    return sum(map(len, episodes))


def weights_of(aligner):
    learner = aligner.learner
    return {f'{prefix}{name}.{key}': tensor.clone()
            for prefix, networks in (('', learner.networks), ('averaged_', learner.averaged))
            for name, network in networks.items() for key, tensor in network.state_dict().items()}


def changed(before, after):
    """Return the names of the networks of which a weight is another one."""
    assert before.keys() == after.keys()
    return {name.split('.')[0] for name, tensor in after.items()
            if not torch.equal(tensor, before[name])}


def watch(aligner, monkeypatch):
    """Record the windows that the aligner imitates and those that it learns the value from."""
    imitated, judged = [], []
    learner = aligner.learner
    denoising_loss, dynamics_loss = learner.denoising_loss, learner.dynamics_losses

    def watch_denoising(x_0, t, eps, known):
        imitated.extend(x_0)
        return denoising_loss(x_0, t, eps, known)

    def watch_dynamics(x_0):
        judged.extend(x_0)
        return dynamics_loss(x_0)

    monkeypatch.setattr(learner, 'denoising_loss', watch_denoising)
    monkeypatch.setattr(learner, 'dynamics_losses', watch_dynamics)
    return imitated, judged


def sources_of(windows, aligner, episodes):
    """Return the numbers of the episodes that windows are from; each must be of one of them."""
    steps = np.arange(H)
    known = {}
    for number, episode in enumerate(episodes):
        cut = Windows.cut([episode], aligner.robot, H, discount=DISCOUNT, fall_penalty=0.0)
        rows = aligner.learner.normalizer.normalize(cut.rows).astype(np.float32)
        known.update((rows[start + steps].tobytes(), number) for start in cut.starts)
    return {known[window.numpy().tobytes()] for window in windows}


# What is learned from


def test_it_begins_with_the_averaged_weights(make_aligner, checkpoint):
    saved, aligner = load_checkpoint(checkpoint), make_aligner()
    expected = {key.removeprefix('module.'): tensor for key, tensor in saved['averages'].items()
                if key != 'n_averaged'}
    for name in NETWORKS:
        assert any(not torch.equal(tensor, saved['networks'][key])
                   for key, tensor in expected.items() if key.startswith(name))
    for found in (aligner.learner.networks, aligner.learner.averaged):
        assert found.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key])
                   for key, tensor in found.state_dict().items())
    assert aligner.n_updates == 0


def test_as_hu_writes_it_it_learns_from_executed_windows_alone(
        make_aligner, episodes, monkeypatch):
    aligner = make_aligner(episodes[4:], **PLAIN, updates_per_step=1.0)
    aligner.add(episodes[:2])
    aligner.add(episodes[2:4])
    windows = watch(aligner, monkeypatch)
    before = weights_of(aligner)
    losses = aligner.learn(100)
    assert [sources_of(part, aligner, episodes) for part in windows] == [{0, 1, 2, 3}] * 2
    assert aligner.n_updates == 100
    assert losses.keys() == {'denoising', 'value', 'dynamics'}
    assert changed(before, weights_of(aligner)) == set(ALL_NETWORKS)


def test_the_offline_share_falls_to_nothing(make_aligner, episodes, monkeypatch):
    n = n_steps_of(episodes[:2])
    aligner = make_aligner(episodes[4:], batch_size=100, offline_share=0.4, offline_steps=2 * n,
                           updates_per_step=0.5)
    assert aligner.n_offline == 40
    aligner.add(episodes[:2])
    assert aligner.n_offline == 20
    imitated, judged = watch(aligner, monkeypatch)
    aligner.learn(2)
    assert len(imitated) == len(judged) == 100
    for part in (imitated, judged):
        assert sources_of(part[20:], aligner, episodes) == {0, 1}
        assert sources_of(part[:20], aligner, episodes) <= {4, 5, 6, 7, 8}
    aligner.add(episodes[:2])
    assert aligner.n_offline == 0
    aligner.add(episodes[:2])
    assert aligner.n_offline == 0


def test_the_offline_share_may_be_kept_and_is_nothing_without_data(make_aligner, episodes):
    kept = make_aligner(episodes[4:], batch_size=100, offline_share=0.4, offline_steps=0)
    kept.add(episodes[:2])
    assert kept.n_offline == 40
    assert make_aligner(batch_size=100, offline_share=0.4).n_offline == 0


@pytest.mark.parametrize('weighting', ['none', 'advantage'])
def test_the_denoiser_imitates_recent_episodes_and_the_others_learn_from_all(
        make_aligner, episodes, monkeypatch, weighting):
    recent = n_steps_of(episodes[3:5])
    aligner = make_aligner(recent_steps=recent, weighting=weighting, updates_per_step=1.0)
    aligner.add(episodes[:5])
    imitated, judged = watch(aligner, monkeypatch)
    aligner.learn(50)
    assert sources_of(imitated, aligner, episodes) == {3, 4}
    assert sources_of(judged, aligner, episodes) == {0, 1, 2, 3, 4}


def test_at_first_only_value_and_dynamics_model_learn(make_aligner, episodes):
    aligner = make_aligner(value_first_steps=n_steps_of(episodes[:2]), updates_per_step=0.1)
    before = weights_of(aligner)
    aligner.add(episodes[:2])
    assert aligner.learn(30).keys() == {'value', 'dynamics'}
    learned = {'value', 'averaged_value', 'dynamics_model', 'averaged_dynamics_model'}
    assert changed(before, weights_of(aligner)) == learned
    aligner.add(episodes[2:3])
    assert 'denoising' in aligner.learn(30)
    assert changed(before, weights_of(aligner)) == set(ALL_NETWORKS)


@pytest.mark.parametrize('weighting', ['none', 'advantage'])
@pytest.mark.parametrize('has_offline', [False, True])
def test_without_an_executed_window_nothing_is_learned_yet(
        make_aligner, episodes, too_short, weighting, has_offline):
    aligner = make_aligner(episodes[4:] if has_offline else (), weighting=weighting,
                           updates_per_step=0.5)
    before = weights_of(aligner)
    for _ in range(2):
        aligner.add([too_short])
        assert aligner.learn(len(too_short)) == {}
    assert (aligner.n_updates, aligner.n_steps) == (0, 2 * len(too_short))
    assert changed(before, weights_of(aligner)) == set()
    aligner.add([too_short, episodes[0]])
    assert aligner.learn(10).keys() == {'denoising', 'value', 'dynamics'}


def test_a_single_window_is_learned_from(make_aligner, episodes):
    one = replace(episodes[0], observations=episodes[0].observations[:H + 1],
                  actions=episodes[0].actions[:H], rewards=episodes[0].rewards[:H])
    aligner = make_aligner(updates_per_step=1.0)
    aligner.add([one])
    assert all(np.isfinite(loss) for loss in aligner.learn(2).values())


# Settling


def test_it_settles_on_what_it_does_without_exploration(
        make_aligner, episodes, too_short, monkeypatch):
    explored, settled = [*episodes[:3], too_short], [too_short, episodes[3], episodes[4]]
    n_explored = n_steps_of(explored)
    aligner = make_aligner(
        episodes[5:], n_steps=n_explored + 1000, settle_steps=1000, offline_steps=0,
        offline_share=0.5, updates_per_step=1.0, settle_updates_per_step=0.5)
    aligner.add(explored)
    assert aligner.is_settling  # from the next round on
    assert aligner.n_offline == 8
    aligner.learn(10)
    assert aligner.n_updates == 10

    imitated, judged = watch(aligner, monkeypatch)
    aligner.add(settled)
    assert aligner.n_offline == 0
    aligner.learn(60)
    assert aligner.n_updates == 10 + 30
    assert sources_of(imitated, aligner, episodes) == {3, 4}
    assert sources_of(judged, aligner, episodes) == {0, 1, 2, 3, 4}
    choice = aligner.imitable(aligner.executed, 1, latest=True)
    assert choice.weights is None  # all alike
    assert len(choice.starts) == n_rows(episodes[4]) - H + 1


def test_settling_waits_for_a_window_too(make_aligner, episodes, too_short):
    aligner = make_aligner(n_steps=n_steps_of(episodes[:2]) + 100, settle_steps=100)
    aligner.add(episodes[:2])
    aligner.add([too_short])
    assert aligner.learn(100) == {}
    aligner.add(episodes[2:3])
    assert 'denoising' in aligner.learn(100)


def test_the_learning_rate_falls_while_it_settles(make_aligner, episodes):
    n = len(episodes[0])
    aligner = make_aligner(n_steps=6 * n, settle_steps=4 * n)
    rates = []
    for _ in range(7):
        aligner.add(episodes[:1])
        rates.append(aligner.rate(10_000))
    assert_allclose(rates, [1.0, 1.0, 0.75, 0.5, 0.25, 0.05, 0.05])
    assert_allclose([aligner.rate(0), aligner.rate(249)], [0.05 / 500, 0.05 / 2])


# Advantages


def naive_advantage(rewards, values, after, discount, gae_lambda):
    values = [*values, after]
    errors = [r + discount * values[k + 1] - values[k] for k, r in enumerate(rewards)]
    return [sum((discount * gae_lambda) ** (j - k) * errors[j] for j in range(k, len(errors)))
            for k in range(len(errors))]


@pytest.mark.parametrize('gae_lambda', [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize('discount', [0.9, 1.0])
def test_the_advantage_is_the_sum_of_its_definition(gae_lambda, discount):
    rng = np.random.default_rng(0)
    rewards, values, after = rng.standard_normal(20), rng.standard_normal(20), 3.0
    found = generalized_advantage(rewards, values, after, discount=discount,
                                  gae_lambda=gae_lambda)
    assert_allclose(found, naive_advantage(rewards, values, after, discount, gae_lambda))


def test_the_advantage_looks_one_step_ahead_or_to_the_end():
    rewards, values, after = np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 30.0]), 40.0
    one, whole = (generalized_advantage(rewards, values, after, discount=0.5, gae_lambda=end)
                  for end in (0.0, 1.0))
    assert_allclose(one, [1 + 10 - 10, 2 + 15 - 20, 4 + 20 - 30])
    assert_allclose(whole, [1 + 1 + 1 + 5 - 10, 2 + 2 + 10 - 20, 4 + 20 - 30])


@pytest.mark.parametrize('has_last_state', [False, True])
@pytest.mark.parametrize('terminated', [False, True])
def test_an_episode_is_followed_by_a_fall_or_by_its_last_state_that_is_known(
        make_aligner, episodes, terminated, has_last_state):
    aligner = make_aligner(gae_lambda=0.9)
    n = len(episodes[0])
    episode = replace(episodes[0], terminated=terminated,
                      observations=episodes[0].observations[:n + has_last_state])
    generator = aligner.learner.generator
    generator.manual_seed(1)
    values = aligner.expected_returns(episode.observations)
    assert values.std() > 0.1
    assert len(values) == n + has_last_state
    expected = naive_advantage(episode.rewards, values[:n],
                               -FALL_PENALTY if terminated else values[-1], DISCOUNT, 0.9)
    generator.manual_seed(1)
    (found,) = aligner.advantages([episode])
    assert_allclose(found, expected)


def test_advantages_are_those_of_each_episode(make_aligner, episodes):
    """Values of states alone are drawn with noise, which the order must not mix up."""
    aligner = make_aligner()
    values = {'n': 0}

    def expected_returns(states):
        values['n'] = len(states)
        return states[:, 0]

    aligner.expected_returns = expected_returns
    found = aligner.advantages(episodes)
    assert values['n'] == sum(len(e.observations) for e in episodes)
    for advantage, episode in zip(found, episodes, strict=True):
        alone, = aligner.advantages([episode])
        assert_array_equal(advantage, alone)
        assert advantage.shape == (len(episode),)


@pytest.mark.parametrize(('settings', 'low', 'high'), [
    ({'weighting': 'advantage'}, 0.75, 0.98), ({'weighting': 'none'}, 0.49, 0.51),
    ({'weighting': 'advantage', 'temperature': 100.0}, 0.5, 0.52)])
def test_windows_that_turned_out_better_are_picked_more_often(
        make_aligner, episodes, settings, low, high):
    aligner = make_aligner(**settings)
    good, bad = (replace(episodes[0], rewards=np.full(len(episodes[0]), reward))
                 for reward in (9.0, -9.0))
    aligner.add([good, bad])
    choice = aligner.imitable(aligner.executed, 10_000, latest=True)
    picked = choice.draw(50_000, aligner.learner.generator)
    assert low < float((picked < n_rows(good)).double().mean()) < high


def test_windows_are_drawn_as_often_as_their_weights_say():
    choice = WindowChoice(torch.tensor([4, 7, 9]), torch.tensor([1.0, 0.0, 3.0]).double())
    picked = choice.draw(50_000, torch.Generator().manual_seed(0))
    found = [float((picked == start).double().mean()) for start in choice.starts]
    assert_allclose(found, [0.25, 0.0, 0.75], atol=0.01)
    alike = WindowChoice(choice.starts).draw(50_000, torch.Generator().manual_seed(0))
    assert_allclose([float((alike == start).double().mean()) for start in choice.starts], 1 / 3,
                    atol=0.01)


def test_the_weights_are_those_of_advantage_weighted_regression():
    advantage = np.random.default_rng(0).normal(size=100)
    advantage[7] = 50.0
    found = imitation_weights(torch.as_tensor(advantage), 0.5)
    expected = np.exp(np.clip(advantage / (0.5 * advantage.std(ddof=1)), -5.0, 5.0))
    assert_allclose(found, expected)
    assert_array_equal(imitation_weights(torch.zeros(1), 1.0), 1.0)


def test_windows_are_weighted_by_the_advantage_of_their_first_action(make_aligner, episodes):
    aligner = make_aligner(temperature=0.5)
    aligner.add(episodes)
    latest_first = episodes[::-1]
    generator = aligner.learner.generator
    generator.manual_seed(2)
    advantages = [a[:n_rows(e) - H + 1] for a, e in zip(
        aligner.advantages(latest_first), latest_first, strict=True)]
    generator.manual_seed(2)
    choice = aligner.imitable(aligner.executed, 10_000, latest=True)
    expected = imitation_weights(torch.as_tensor(np.concatenate(advantages)), 0.5)
    assert_array_equal(choice.weights, expected)
    windows = aligner.executed.windows(choice.starts[:1]).numpy()[0]
    cut = Windows.cut(latest_first[:1], aligner.robot, H, discount=0.9, fall_penalty=0.0)
    assert_allclose(windows, aligner.learner.normalizer.normalize(cut.rows[:H]), atol=1e-5)


def judged_by_the_value(aligner, monkeypatch):
    """Let the aligner learn; return the windows and times that its value learned from."""
    seen, learner = [], aligner.learner
    value_loss = learner.value_loss

    def watch_value(x_0, t, eps, values):
        seen.extend(zip(x_0.numpy(), t.tolist(), values.tolist(), strict=True))
        return value_loss(x_0, t, eps, values)

    monkeypatch.setattr(learner, 'value_loss', watch_value)
    aligner.learn(30)
    return seen


def test_the_value_learns_from_the_state_of_a_fall_and_from_clean_windows(
        make_aligner, episodes, monkeypatch):
    fell = replace(episodes[0], terminated=True)
    aligner = make_aligner(updates_per_step=1.0, batch_size=32, weighting='none')
    aligner.add([fell])
    seen, learner = judged_by_the_value(aligner, monkeypatch), aligner.learner
    times = [t for _, t, _ in seen]
    assert times.count(CLEAN) == len(times) / 2
    assert min(times) == CLEAN
    assert times.count(aligner.config.n_diffusion_steps - 1) >= len(times) / 4
    last = learner.normalizer.normalize(np.concatenate([
        np.zeros(A), np.clip(fell.last_state, -aligner.robot.state_clip,
                             aligner.robot.state_clip)]))
    assert any(np.allclose(window[-1], last, atol=1e-5) for window, _, _ in seen)


def test_as_hu_writes_it_the_value_learns_from_noised_windows_of_all_times_alike(
        make_aligner, episodes, monkeypatch):
    aligner = make_aligner(**PLAIN, updates_per_step=1.0, batch_size=200)
    aligner.add(episodes)
    network, shown = aligner.learner.networks['value'], []
    network.register_forward_hook(lambda module, inputs, output: shown.append(inputs))
    seen = judged_by_the_value(aligner, monkeypatch)
    n_times = aligner.config.n_diffusion_steps
    counts = np.bincount([t for _, t, _ in seen], minlength=n_times)  # refuses CLEAN, which is -1
    assert_allclose(counts / len(seen), 1 / n_times, atol=0.02)
    clean = np.stack([window for window, _, _ in seen])
    noised = torch.cat([x_t for x_t, _ in shown]).numpy()
    assert_array_equal(noised[:, 0, A:], clean[:, 0, A:])  # the first state
    assert (noised[:, 1:] != clean[:, 1:]).any(axis=(1, 2)).all()
    assert_array_equal(torch.cat([t for _, t in shown]), [t for _, t, _ in seen])


def test_advantages_need_rewards(make_aligner, episodes):
    silent = [replace(e, rewards=np.full(len(e), np.nan)) for e in episodes[:2]]
    aligner = make_aligner()
    aligner.add(silent)
    with pytest.raises(ConfigError, match="weighting is 'advantage', expected 'none'"):
        aligner.learn(100)


# Files that are written between rounds


def random_model(denoiser, prediction, robot, config_of, seed):
    """Return a model of random weights."""
    torch.manual_seed(seed)
    config = config_of(denoiser, prediction)
    networks = build_networks(config, robot).eval().requires_grad_(False)
    for parameter in networks.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    n = A + S
    facts = {'format_version': FORMAT_VERSION, 'robot': robot.to_dict(), 'horizon': H,
             'window': 'joint',
             'schedule': {'name': config.schedule, 'n_steps': config.n_diffusion_steps},
             'normalizer': {'mean': [0.0] * n, 'std': [1.0] * n},
             'value_normalizer': {'mean': [0.0], 'std': [1.0]}, 'reward_scale': 1.0}
    return TrainedModel(networks, robot, config, facts)


@pytest.mark.parametrize('denoiser', [
    pytest.param(name, marks=pytest.mark.slow if name == 'transformer' else ())
    for name in DENOISERS])
def test_weights_are_written_without_a_new_export(robot, config_of, tmp_path, denoiser, writer):
    models = [random_model(denoiser, 'x0', robot, config_of, seed) for seed in (1, 2)]
    if denoiser != 'mlp':
        writer = WeightWriter(models[0], tmp_path, NETWORK_FILES)
    for model in (*models, models[0]):
        writer.write(model, tmp_path)
        write_facts(tmp_path, model.facts)
        bundle = Bundle.load(tmp_path)
        differences = compare(model, bundle)
        assert max(differences.values()) <= MAX_DIFFERENCE, differences
    assert max(compare(models[1], bundle).values()) > 0.01


# Alignments in simulators


class Harness:
    """An alignment that was run to its end, and what it takes to make others like it."""

    def __init__(self, folder, checkpoint, offline):
        self.folder = folder
        self._checkpoint = checkpoint
        self.offline = offline
        self.run, self.report = None, None

    def make(self, folder, pool=None, *, settings=SHORT, planner=TWO_CANDIDATES,
             perturbation=UNPERTURBED,
             offline=None):
        aligner = Aligner(self._checkpoint, settings,
                          self.offline if offline is None else offline)
        return AlignmentRun(aligner, folder, planner=planner, perturbation=perturbation, pool=pool)

    def align(self, folder, *, resume=False, n_simulators=1, **settings):
        """Run to the end without exporting; return the run and its report."""
        exported = []

        def note(model, out, episodes, *, source):
            exported.append((out, source, n_steps_of(episodes)))
            return {'bundle': str(out)}

        with (pytest.MonkeyPatch.context() as patch,
              ThreadPoolExecutor(n_simulators) as pool):  # threads start sooner than processes
            patch.setattr(bundle_export, 'export_model', note)
            run = self.make(folder, pool, **settings)
            if resume:
                run.resume()
            report = align_online(run, self.offline)
        return run, report | {'exported': exported}


@pytest.fixture(scope='module', autouse=True)
def traced(writer):
    """Trace the networks once for all alignments: it takes seconds, and would give the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment_run, 'WeightWriter', lambda model, folder, names: writer)
        yield


@pytest.fixture(scope='module')
def whole(checkpoint, episodes, tmp_path_factory):
    """Run an alignment to its end, and note how plans were executed."""
    harness = Harness(tmp_path_factory.mktemp('whole'), checkpoint, episodes)
    harness.explorations, harness.pushes = [], []
    run_episodes = alignment_run.run_episodes

    def watched(*args, execution, perturbation, **settings):
        harness.explorations.append(execution.exploration)
        harness.pushes.append(perturbation.push)
        return run_episodes(*args, execution=execution, perturbation=perturbation, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment_run, 'run_episodes', watched)
        harness.run, harness.report = harness.align(harness.folder)
    return harness


@pytest.fixture(scope='module')
def bundle(writer, checkpoint, tmp_path_factory):
    """The tiny residual MLP, written and not exported, which takes seconds."""
    folder, model = tmp_path_factory.mktemp('written'), TrainedModel.load(checkpoint)
    writer.write(model, folder)
    write_facts(folder, {'format_version': FORMAT_VERSION, **model.facts})
    return Bundle.load(folder)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole.folder, tmp_path / 'copy')


def assert_same(run, folder, expected, expected_folder):
    """Compare two runs: all that changes, and all that was noted."""
    assert changed(weights_of(expected.aligner), weights_of(run.aligner)) == set()
    found, reference = (load_checkpoint(*f.glob('checkpoint-*.pt'))
                        for f in (folder, expected_folder))
    assert torch.equal(found['generator'], reference['generator'])
    for k, state in reference['optimizer']['state'].items():
        for name, tensor in state.items():
            assert torch.equal(found['optimizer']['state'][k][name], tensor)
    progress, expected_progress = (json.loads((f / PROGRESS_FILE).read_text()) | {'minutes': 0}
                                   for f in (folder, expected_folder))
    assert progress == expected_progress


def test_an_alignment_explores_and_then_settles(whole):
    run, rounds = whole.run, whole.run.rounds
    assert len(rounds) >= 3
    begins = [0, *(figures['n_steps'] for figures in rounds)]
    n_explored = SHORT.n_steps - SHORT.settle_steps
    expected = [0.0 if begin >= n_explored else 0.2 for begin in begins[:-1]]
    assert {0.0, 0.2} == set(expected)
    assert [e for e, _ in zip(whole.explorations, rounds, strict=True)] == expected
    assert whole.pushes == [5.0 * exploration for exploration in expected]
    assert begins[-2] < SHORT.n_steps <= begins[-1] == run.aligner.n_steps == whole.report['steps']
    assert [guard.n_steps for guard in run.guards] == sorted({*begins[::2], begins[-1]})
    assert all((run.guarded_file(guard)).is_file() for guard in run.guards)
    assert changed(weights_of(whole.make(whole.folder).aligner),
                   weights_of(run.aligner)) == set(ALL_NETWORKS)


def test_executed_episodes_are_kept_and_are_those_of_their_seeds(whole, checkpoint):
    executed = list(whole.run.executed())
    assert [len(episodes) for episodes in executed] == [r['episodes'] for r in whole.run.rounds]
    walker = Walker2D()
    for seed, episode in enumerate(executed[0], start=FIRST_SEED):
        assert_array_equal(walker.reset(seed), episode.observations[0])


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(whole, tmp_path, monkeypatch):
    run_episodes, n_calls = alignment_run.run_episodes, []

    def interrupted(*args, **settings):
        n_calls.append(1)
        for episode in run_episodes(*args, **settings):
            yield episode
            if len(n_calls) == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(alignment_run, 'run_episodes', interrupted)
        whole.align(tmp_path)
    progress = json.loads((tmp_path / PROGRESS_FILE).read_text())
    assert len(progress['rounds']) == 1
    run, report = whole.align(tmp_path, resume=True)
    assert_same(run, tmp_path, whole.run, whole.folder)
    assert report['best'] == whole.report['best']


def test_two_simulators_give_the_same_as_one(whole, tmp_path):
    run, _ = whole.align(tmp_path, n_simulators=2)
    assert_same(run, tmp_path, whole.run, whole.folder)


@pytest.mark.parametrize(('other', 'words'), [
    ({'settings': replace(SHORT, round_steps=61)}, 'align round_steps 60, now 61'),
    ({'settings': replace(SHORT, weighting='none')}, "align weighting 'advantage', now 'none'"),
    ({'planner': PlannerConfig(n_candidates=3)}, 'planner n_candidates 2, now 3'),
    ({'perturbation': Perturbation(mass=1.1)}, 'perturbation mass 1.0, now 1.1'),
    ({'offline': []}, r'data offline_steps \d+, now 0')])
def test_other_settings_are_refused(whole, other, words):
    run = whole.make(whole.folder, **other)
    with pytest.raises(ModelError, match=f'was begun with {words}; resume with the same'):
        run.resume()


def test_a_run_with_drawn_robots_is_resumed_with_them_only(whole, tmp_path):
    whole.align(tmp_path, settings=replace(SHORT, n_steps=60), perturbation=DRAWN)
    whole.make(tmp_path, perturbation=DRAWN).resume()
    with pytest.raises(ModelError, match=r'perturbation mass \[.*\], now 1.0'):
        whole.make(tmp_path).resume()


def test_a_run_may_be_made_longer(whole, copy):
    run = whole.make(copy, settings=replace(SHORT, n_steps=10_000, n_threads=2))
    run.resume()
    assert not run.is_over
    assert run.aligner.n_updates == whole.run.aligner.n_updates


def test_without_an_alignment_there_is_nothing_to_resume(whole, tmp_path):
    run = whole.make(tmp_path)
    with pytest.raises(ModelError, match='no such file, expected that of an alignment'):
        run.resume()
    (tmp_path / PROGRESS_FILE).write_text('{"settings": ')
    with pytest.raises(ModelError, match='not the progress of an alignment'):
        run.resume()


def test_plans_must_outlast_their_execution(whole, tmp_path):
    with pytest.raises(ConfigError, match='n_execute is 9, expected 1 to 8'):
        whole.make(tmp_path / 'new', settings=replace(SHORT, n_execute=9))
    assert not (tmp_path / 'new').exists()


def test_a_model_of_another_robot_is_not_aligned_in_simulators(whole, tmp_path):
    run = whole.make(tmp_path)
    run.aligner.learner.robot = replace(run.aligner.robot, control_period=0.02)
    with pytest.raises(RobotError, match=r'control period is 0\.02 s'):
        run.guard()


def guard(n_steps, return_mean, misalignment):
    return GuardResult(n_steps, return_mean, return_stderr=10.0, falls=0,
                       misalignment=misalignment, misalignment_stderr=0.0)


@pytest.mark.parametrize(('guards', 'best'), [
    ([(100.0, 0.3), (100.0, 0.2), (100.0, 0.25)], 1),
    ([(100.0, 0.3), (90.0, 0.1), (89.9, 0.0)], 1),  # within a standard error of the highest
    ([(80.0, 0.1), (90.0, 0.3), (95.0, 0.2)], 2),
    ([(100.0, 0.1), (105.0, 0.2), (109.0, 0.3)], 0)])
def test_the_best_model_is_the_least_misaligned_of_those_that_walk_as_well(
        whole, tmp_path, guards, best):
    run = whole.make(tmp_path)
    run.guards = [guard(i, *figures) for i, figures in enumerate(guards)]
    assert run.best is run.guards[best]


@pytest.mark.parametrize('best', ['first', 'last'])
def test_only_a_better_model_is_exported(whole, copy, best):
    file = copy / PROGRESS_FILE
    progress = json.loads(file.read_text())
    n_guards = len(progress['guards'])
    for i, result in enumerate(progress['guards']):
        result['return_mean'] = float(-i if best == 'first' else i) * 1e4
    file.write_text(json.dumps(progress))
    run, report = whole.align(copy, resume=True)
    assert len(run.guards) == n_guards
    if best == 'first':
        assert report['exported'] == []
        assert report['bundle'].startswith('nothing exported: no model was better')
        assert report['best'] == report['before']
    else:
        n_calibrated = n_steps_of(whole.offline) + run.aligner.n_steps
        assert report['exported'] == [
            (copy / 'aligned', run.guarded_file(run.guards[-1]), n_calibrated)]
        assert report['best'] == asdict(run.guards[-1])


def test_executed_episodes_are_read_as_they_were_written(episodes, robot, tmp_path):
    written = [replace(e, terminated=i % 2 == 0) for i, e in enumerate(episodes)]
    write_d4rl(tmp_path / 'executed.hdf5', written)
    read = read_episodes(tmp_path / 'executed.hdf5', robot)
    for found, expected in zip(read, written, strict=True):
        assert_array_equal(found.observations, expected.observations)
        assert_array_equal(found.actions, expected.actions)
        assert_array_equal(found.rewards, expected.rewards)
        assert found.terminated == expected.terminated


# Logs of any robot


def record(file, bundle, seeds, *, has_rewards=True):
    """Write a log of episodes as the recorder does."""
    writer = LogWriter(file, bundle.robot, bundle_hash=bundle.hash)
    planner = Planner(bundle, TWO_CANDIDATES)
    for seed in seeds:
        watched = watch_episode(seed, planner=planner, every=1000)
        episode = watched.episode
        writer.write(replace(
            episode, plans=watched.plans[:, :, A:].astype(np.float32),
            rewards=episode.rewards if has_rewards else np.full(len(episode), np.nan)))
    return file


def command(monkeypatch, capsys, *words):
    """Run ``align``; return its report, or the line with which it ends."""
    monkeypatch.setattr(sys, 'argv', ['diffusion_planner', 'align', *map(str, words), '--json'])
    try:
        cli.main()
    except SystemExit as end:
        line = str(end.code)
        assert line.startswith('diffusion_planner: ')
        assert '\n' not in line
        return line
    return json.loads(capsys.readouterr().out)


FAST = ('--batch-size', 32, '--updates-per-step', 1, '--learning-rate', 0.01)


def test_a_log_is_learned_from_and_the_model_exported(
        bundle, checkpoint, writer, tmp_path, monkeypatch, capsys):
    log, out = record(tmp_path / 'log.hdf5', bundle, range(6)), tmp_path / 'out'
    words = ('--from-log', log, '--checkpoint', checkpoint, '--out', out, *FAST)
    # Tracing takes seconds; what is written is compared with torch all the same.
    monkeypatch.setattr(bundle_export, 'export_networks',
                        lambda model, *files: writer.write(model, files[0].parent))
    report = command(monkeypatch, capsys, *words)
    assert (report['episodes'], report['held_out']) == (5, 1)
    lengths = [len(episode) for episode in read_log(log, bundle.robot)]
    assert report['steps'] == report['updates'] == sum(lengths[:5])
    losses = report['losses_on_held_out']
    assert losses['after']['denoising'] < losses['before']['denoising']
    assert 0.0 < report['first_step_of_executed_plans'] < 5.0

    aligned = Bundle.load(out / 'aligned')
    assert aligned.hash != bundle.hash
    assert 'forecast' in aligned.calibrations
    model = TrainedModel.load(out / 'aligned.pt')
    assert max(compare(model, aligned).values()) <= MAX_DIFFERENCE
    assert 'holds an alignment already' in command(monkeypatch, capsys, *words)


def test_without_rewards_the_value_stays_as_it_is(
        bundle, checkpoint, tmp_path, monkeypatch, capsys):
    log = record(tmp_path / 'log.hdf5', bundle, range(3), has_rewards=False)
    words = ('--from-log', log, '--checkpoint', checkpoint, '--out', tmp_path / 'out', *FAST)
    line = command(monkeypatch, capsys, *words)
    assert "weighting is 'advantage', expected 'none': executed episodes have no rewards" in line
    assert not (tmp_path / 'out').exists()

    monkeypatch.setattr(bundle_export, 'export_model', lambda *args, **settings: {})
    report = command(monkeypatch, capsys, *words, '--weighting', 'none')
    before, after = load_checkpoint(checkpoint), load_checkpoint(tmp_path / 'out' / 'aligned.pt')
    assert report['updates'] == after['n_updates'] > 0
    averages = {key.removeprefix('module.'): tensor for key, tensor in before['averages'].items()}
    for key, tensor in averages.items():
        if key.startswith('value.'):
            assert torch.equal(after['networks'][key], tensor)
            assert torch.equal(after['averages'][f'module.{key}'], tensor)
    assert any(not torch.equal(after['networks'][key], tensor)
               for key, tensor in averages.items() if key.startswith('diffusion.'))


def test_a_model_that_has_not_learned_is_not_exported(
        bundle, checkpoint, tmp_path, monkeypatch, capsys):
    log = record(tmp_path / 'log.hdf5', bundle, range(2))
    with h5py.File(log, 'r+') as root:
        for group in root.values():
            group['plans'][...] = np.nan
    report = command(monkeypatch, capsys, '--from-log', log, '--checkpoint', checkpoint, '--out',
                     tmp_path / 'out', '--updates-per-step', 0)
    assert report['bundle'].startswith('nothing exported: ')
    assert report['first_step_of_executed_plans'] == 'the log has no plans'


def test_a_log_of_one_episode_leaves_none_to_compare_with(
        bundle, checkpoint, tmp_path, monkeypatch, capsys):
    log = record(tmp_path / 'log.hdf5', bundle, [0])
    line = command(monkeypatch, capsys, '--from-log', log, '--checkpoint', checkpoint, '--out',
                   tmp_path / 'out')
    assert f'{log}: 1 episodes of at least 8 steps, expected 2 or more' in line


def test_a_log_without_the_last_state_is_refused(bundle, tmp_path):
    log = record(tmp_path / 'log.hdf5', bundle, [0])
    with h5py.File(log, 'r+') as root:
        group = root['episode_0']
        observations = group['observations'][()]
        del group['observations']
        group['observations'] = observations[:-1]
    n = len(observations) - 1
    with pytest.raises(DatasetError, match=f"'/episode_0/observations' has {n} rows, expected"):
        read_log(log, bundle.robot)


@pytest.mark.parametrize(('words', 'message'), [
    ((), 'holds an alignment already; choose another --out, or add --resume'),
    (('--resume', '--round-steps', 61), 'was begun with align'),
    (('--from-log', 'x.hdf5', '--resume'), '--resume is for an alignment in simulators'),
    (('--checkpoint', 'none.pt', '--resume'), 'none.pt: no such checkpoint'),
    (('--from-log', 'none.hdf5', '--out', 'elsewhere'), 'none.hdf5: no such file')])
def test_a_wrong_option_ends_with_one_clear_line(
        copy, checkpoint, monkeypatch, capsys, words, message):
    before = {path: path.read_bytes() for path in copy.rglob('*.pt')}
    line = command(monkeypatch, capsys, '--checkpoint', checkpoint, '--out', copy,
                   '--processes', 1, *words)
    assert message in line
    assert {path: path.read_bytes() for path in copy.rglob('*.pt')} == before


# Plans whose states are forecast


@pytest.fixture
def state(recorded):
    return recorded.episodes[0].observations[1]


def test_planned_states_are_those_that_the_actions_are_forecast_to_lead_to(bundle, state):
    settings = {'n_candidates': 6, 'clip_denoised': 100.0}
    plan = Planner(bundle, PlannerConfig(**settings, states='forecast')).plan(state)
    for candidate in plan.candidates:
        assert_allclose(candidate[0, A:], state, rtol=1e-5, atol=1e-6)
        expected = bundle.forecast(state, candidate[:-1, :A])
        assert np.abs(expected).max() < 10.0  # where velocities of the robot are clipped
        assert_allclose(candidate[1:, A:], expected, rtol=1e-4, atol=1e-4)
    denoised = Planner(bundle, PlannerConfig(**settings)).plan(state)
    assert_allclose(plan.candidates[:, :, :A], denoised.candidates[:, :, :A], rtol=1e-5,
                    atol=1e-4)
    assert_array_equal(plan.clamped, denoised.clamped)
    assert np.abs(plan.candidates - denoised.candidates)[:, 1:, A:].max() > 1e-3


def test_the_value_ranks_the_forecast_states(bundle, state):
    plan = Planner(bundle, PlannerConfig(n_candidates=6, states='forecast')).plan(state)
    rows = bundle.normalizer.normalize(plan.candidates).astype(np.float32)
    values = bundle.value_normalizer.unnormalize(bundle.clean_value(rows).astype(np.float64))
    assert_allclose(plan.values, values, rtol=1e-4)
    assert plan.best == np.argmax(values)
    denoised = Planner(bundle, PlannerConfig(n_candidates=6)).plan(state)
    assert np.abs(plan.values - denoised.values).max() > 1e-3


@pytest.mark.parametrize('torque', [150.0, -150.0])
def test_what_is_beyond_a_torque_limit_is_known_though_states_are_forecast(
        bundle, state, torque):
    joints = np.arange(A)
    condition = Condition(np.zeros((H, A + S)), np.zeros((H, A + S), dtype=bool))
    condition.mask[:A, :A] = True
    condition.known[joints, joints] = torque  # one joint in every row
    plan = Planner(bundle, PlannerConfig(states='forecast')).plan(state, condition=condition)
    assert plan.clamped[:, :A].all()
    assert_allclose(plan.candidates[:, joints, joints], np.clip(torque, -100.0, 100.0))


def test_fixed_entries_stay_and_the_forecast_goes_on_from_them(bundle, state):
    condition = Condition(np.zeros((H, A + S)), np.zeros((H, A + S), dtype=bool))
    condition.known[4, A:], condition.mask[4, A:] = 0.5, True
    condition.known[6, 0], condition.mask[6, 0] = 33.0, True
    planner = Planner(bundle, PlannerConfig(states='forecast', clip_denoised=100.0))
    for candidate in planner.plan(state, condition=condition).candidates:
        assert_allclose(candidate[4, A:], 0.5, rtol=1e-5)
        assert_allclose(candidate[6, 0], 33.0, rtol=1e-5)
        assert_allclose(candidate[1:4, A:], bundle.forecast(state, candidate[:3, :A]),
                        rtol=1e-4, atol=1e-4)
        assert_allclose(candidate[5:, A:], bundle.forecast(candidate[4, A:], candidate[4:7, :A]),
                        rtol=1e-4, atol=1e-4)


def test_without_a_dynamics_model_states_are_not_forecast(bundle, tmp_path):
    folder = shutil.copytree(bundle.path, tmp_path / 'without')
    (folder / DYNAMICS_FILE).unlink()
    write_facts(folder, dict(bundle.facts))
    without = Bundle.load(folder)
    with pytest.raises(ConfigError, match="states is 'forecast', expected 'denoised'"):
        Planner(without, PlannerConfig(states='forecast'))
    Planner(without, PlannerConfig())


# Exploration


def explore(bundle, seed, exploration):
    """Return the first actions that were planned and executed, both (n, A), and the episode."""
    planned = []
    _, trace = run_episode(
        seed, planner=Planner(bundle, TWO_CANDIDATES),
        execution=Execution(exploration=exploration),
        on_plan=lambda walker, plan: planned.append(plan.actions[0] / walker.torque_limit))
    return np.array(planned), trace.episode.actions, trace.episode


def test_exploration_has_its_deviation_and_stays_within_the_limits(bundle):
    noise = []
    for seed in range(12):
        planned, executed, _ = explore(bundle, seed, 0.1)
        assert np.abs(executed).max() <= 1.0
        noise.append((executed - planned)[np.abs(planned) < 0.6])  # 4 deviations from the limit
    noise = np.concatenate(noise)
    # Of n values the deviation is known to about 1 / sqrt(2 n).
    assert len(noise) > 400
    assert noise.std() == pytest.approx(0.1, rel=4.0 / np.sqrt(2 * len(noise)))
    assert abs(noise.mean()) < 4.0 * 0.1 / np.sqrt(len(noise))


def test_exploration_is_that_of_the_seed(bundle):
    planned, executed, _ = explore(bundle, 3, 0.1)
    again, other = explore(bundle, 3, 0.1)[1], explore(bundle, 4, 0.1)[1]
    assert_array_equal(again, executed)
    assert np.abs(other[0] - executed[0]).max() > 1e-3
    planned, executed, _ = explore(bundle, 3, 0.0)
    assert_allclose(executed, planned, rtol=1e-12)


def test_recorded_actions_are_the_executed_ones(bundle):
    _, _, episode = explore(bundle, 5, 0.3)
    walker = Walker2D()
    assert_array_equal(walker.reset(5), episode.observations[0])
    for k, action in enumerate(episode.actions):
        observation, reward, fell = walker.step(action * walker.torque_limit)
        assert_allclose(observation, episode.observations[k + 1], rtol=1e-9, atol=1e-9)
        assert reward == pytest.approx(episode.rewards[k])
    assert fell == episode.terminated
