# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Training: it learns, it goes on where it stopped, and it refuses what it cannot go on with."""

from dataclasses import replace
import resource
import sys

import numpy as np
from numpy.testing import assert_allclose
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import torch
from torch import nn

from diffusion_planner_ros.commands import __main__ as cli
from diffusion_planner_ros.data.windows import n_rows, Windows
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import ConfigError, DatasetError, ModelError, OutputError
from diffusion_planner_ros.learning.learner import averages_of, CHECKPOINT_FILE, load_checkpoint
from diffusion_planner_ros.learning.networks.denoiser_registry import DENOISERS
from diffusion_planner_ros.learning.trainer import train, Trainer
from diffusion_planner_ros.schedule import CLEAN

N_STEPS = 24
N_ACTION = 6
NETWORKS = ('diffusion', 'value', 'dynamics_model')
FACTS = {'data': []}


@pytest.fixture
def make_trainer(config_of, robot, windows):
    def make(denoiser='mlp', **changes):
        return Trainer(config_of(denoiser, **{'n_updates': N_STEPS, **changes}), robot, windows)
    return make


def ignore(n_done, losses):
    del n_done, losses


def weights(trainer):
    learner = trainer.learner
    return {f'{part}.{key}': tensor for part in ('networks', 'averages')
            for key, tensor in getattr(learner, part).state_dict().items()}


def assert_same_weights(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize(('denoiser', 'prediction', 'scaling'), [
    ('mlp', 'eps', 'std'), ('mlp', 'v', 'std'), ('mlp', 'x0', 'limits'),
    *((denoiser, 'x0', 'std') for denoiser in DENOISERS)])
def test_all_losses_fall(make_trainer, denoiser, prediction, scaling):
    trainer = make_trainer(
        denoiser, prediction=prediction, scaling=scaling, n_updates=120, learning_rate=0.02,
        value_learning_rate=0.02, dynamics_learning_rate=0.02)
    losses = [trainer.update() for _ in range(120)]
    for name in ('denoising', 'value', 'dynamics'):
        series = [float(step[name]) for step in losses]
        assert np.mean(series[-20:]) < 0.9 * np.mean(series[:10]), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_trainer):
    first, again, other = make_trainer(seed=3), make_trainer(seed=3), make_trainer(seed=4)
    for trainer in (first, again, other):
        for _ in range(3):
            trainer.update()
    assert_same_weights(weights(again), weights(first))
    name = 'networks.value.trunk.entry.weight'
    assert not torch.equal(weights(first)[name], weights(other)[name])


@pytest.mark.parametrize('denoiser', list(DENOISERS))
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
        make_trainer, tmp_path, denoiser):
    whole = make_trainer(denoiser)
    train(whole, tmp_path, FACTS, on_update=ignore)

    stopped = make_trainer(denoiser, checkpoint_every=10)
    folder = tmp_path / 'stopped'
    folder.mkdir()

    def stop(n_done, losses):
        del losses
        if n_done == 15:  # between two checkpoints; one is saved now
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, folder, FACTS, on_update=stop)
    resumed = make_trainer(denoiser, checkpoint_every=10)
    resumed.resume(folder / CHECKPOINT_FILE)
    assert resumed.n_updates == 15
    train(resumed, folder, FACTS, on_update=ignore)

    assert_same_weights(weights(resumed), weights(whole))
    saved, expected = (load_checkpoint(f / CHECKPOINT_FILE) for f in (folder, tmp_path))
    for name in ('networks', 'averages'):
        assert_same_weights(saved[name], expected[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU that torch can use')
@pytest.mark.parametrize('denoiser', list(DENOISERS))
def test_a_gpu_learns_what_the_cpu_learns_and_either_goes_on_from_the_other(
        make_trainer, tmp_path, denoiser):
    trainers = {device: make_trainer(denoiser, device=device) for device in ('cpu', 'cuda')}
    for _ in range(2):
        for _ in range(3):
            losses = [trainer.update() for trainer in trainers.values()]
            for name, expected in losses[0].items():
                assert float(losses[1][name]) == pytest.approx(float(expected), rel=1e-3), name
        for device, trainer in trainers.items():
            trainer.learner.save(tmp_path / device, FACTS)
        trainers['cpu'].resume(tmp_path / 'cuda')
        trainers['cuda'].resume(tmp_path / 'cpu')


def test_a_checkpoint_is_written_at_every_interval_and_at_the_end(make_trainer, tmp_path):
    seen = []

    def look(n_done, losses):
        del losses
        file = tmp_path / CHECKPOINT_FILE
        seen.append((n_done, load_checkpoint(file)['n_updates'] if file.exists() else None))

    trainer = make_trainer(checkpoint_every=10)
    file = train(trainer, tmp_path, {'data': ['kept']}, on_update=look)
    assert [saved for n_done, saved in seen if n_done in (10, 11, 21)] == [None, 10, 20]
    assert load_checkpoint(file)['n_updates'] == N_STEPS
    assert load_checkpoint(file)['facts'] == {'data': ['kept']}
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT_FILE]


@pytest.mark.parametrize(('name', 'value'), [
    ('width', 64), ('horizon', 4), ('prediction', 'eps'), ('n_updates', 50), ('seed', 1),
    ('discount', 0.9), ('learning_rate', 0.1)])
def test_other_settings_are_refused(make_trainer, tmp_path, name, value):
    file = tmp_path / CHECKPOINT_FILE
    trainer = make_trainer()
    trainer.learner.save(file, FACTS)
    was = getattr(trainer.learner.config, name)
    other = make_trainer(**{name: value})
    with pytest.raises(ModelError, match=f'{file}: was trained with {name} {was!r}, now '
                                         f'{value!r}; resume with the same settings'):
        other.resume(file)


def test_a_setting_that_is_newer_than_the_checkpoint_had_its_default(make_trainer, tmp_path):
    file = tmp_path / CHECKPOINT_FILE
    trainer = make_trainer(value_target='expectile')
    trainer.learner.save(file, FACTS)
    saved = torch.load(file)
    del saved['config']['weighting']
    torch.save(saved, file)
    trainer.resume(file)
    with pytest.raises(ModelError, match="was trained with weighting 'none', now 'advantage'"):
        make_trainer(value_target='expectile', weighting='advantage').resume(file)


@pytest.mark.parametrize(('name', 'value'), [('checkpoint_every', 3), ('n_threads', 2)])
def test_settings_that_change_no_weight_are_free(make_trainer, tmp_path, name, value):
    file = tmp_path / CHECKPOINT_FILE
    make_trainer().learner.save(file, FACTS)
    make_trainer(**{name: value}).resume(file)


def test_another_robot_is_refused(make_trainer, config_of, robot, windows, tmp_path):
    file = tmp_path / CHECKPOINT_FILE
    make_trainer().learner.save(file, FACTS)
    other = Trainer(config_of(n_updates=N_STEPS), replace(robot, name='stranger'), windows)
    with pytest.raises(ModelError, match="robot 'walker2d', expected 'stranger'"):
        other.resume(file)


@pytest.mark.parametrize('change', ['states', 'deviation', 'rewards', 'order', 'length'])
def test_other_data_are_refused(make_trainer, config_of, robot, windows, tmp_path, change):
    file = tmp_path / CHECKPOINT_FILE
    make_trainer().learner.save(file, FACTS)
    n = len(windows.rows)
    mean = windows.rows.mean(axis=0)
    other = {
        'states': lambda: replace(windows, rows=windows.rows + 0.5),
        'deviation': lambda: replace(windows, rows=mean + 2.0 * (windows.rows - mean)),
        'rewards': lambda: replace(windows, values=windows.values + 1.0),
        'order': lambda: replace(windows, rows=windows.rows[::-1], values=windows.values[::-1]),
        'length': lambda: replace(windows, rows=np.tile(windows.rows, (2, 1)),
                                  values=np.tile(windows.values, 2),
                                  starts=np.concatenate([windows.starts, windows.starts + n])),
    }[change]()
    with pytest.raises(ModelError, match=f'{file}: was trained on other data'):
        Trainer(config_of(n_updates=N_STEPS), robot, other).resume(file)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(ModelError, match=r'none\.pt: no such checkpoint'):
        load_checkpoint(tmp_path / 'none.pt')


def write_damaged(file, how, whole):
    """Write a file that is not a checkpoint, from the file of one that is."""
    content = whole.read_bytes()
    if how == 'other contents':
        torch.save({'weights': torch.zeros(3)}, file)
    elif how == 'other object':
        torch.save([1, 2, 3], file)
    else:
        n = len(content)
        file.write_bytes({'empty': b'', 'text': b'not weights, but a letter\n',
                          'start': content[:100], 'a part': content[:n // 20],
                          'half': content[:n // 2], 'almost all': content[:-10]}[how])
    return file


@pytest.mark.parametrize('how', ['empty', 'text', 'start', 'a part', 'half', 'almost all',
                                 'other contents', 'other object'])
def test_a_damaged_checkpoint_is_refused(checkpoint_of, tmp_path, how):
    file = write_damaged(tmp_path / 'damaged.pt', how, checkpoint_of('mlp', 'x0'))
    with pytest.raises(ModelError, match=r'damaged\.pt: not a checkpoint'):
        load_checkpoint(file)


def test_the_average_moves_by_the_share_that_the_decay_leaves():
    model = nn.ModuleDict({'only': nn.Linear(3, 2)})
    before = [p.detach().clone() for p in model.parameters()]
    averages = averages_of(model, lambda: 0.9)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    averages.update_parameters(model)
    for old, new, target in zip(before, averages.module.parameters(), model.parameters(),
                                strict=True):
        assert_allclose(new.detach(), 0.9 * old + 0.1 * target.detach(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('name', NETWORKS)
def test_averaged_weights_are_the_recurrence_over_all_updates(make_trainer, name):
    trainer = make_trainer(ema_decay=0.5)
    parameter = next(trainer.learner.networks[name].parameters())
    expected = parameter.detach().double()
    for n_done in range(20):
        trainer.update()
        decay = min(0.5, (1 + n_done) / (10 + n_done))
        expected = decay * expected + (1 - decay) * parameter.detach().double()
    found = next(trainer.learner.averaged[name].parameters()).detach()
    assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not torch.equal(found, parameter)


def test_the_rate_warms_up_and_falls_to_zero(make_trainer):
    trainer = make_trainer(n_updates=1000, learning_rate=1e-3)
    rates = {}
    for n_done in range(1000):
        rates[n_done] = trainer.learner.scheduler.get_last_lr()[0]
        trainer.learner.optimizer.step()
        trainer.learner.scheduler.step()
    assert_allclose([rates[0], rates[249]], [1e-3 / 500, 0.5e-3 * (1 + np.cos(0.249 * np.pi)) / 2],
                    rtol=1e-6)
    assert_allclose([rates[500], rates[750]],
                    [0.5e-3, 0.5e-3 * (1 + np.cos(0.75 * np.pi))], rtol=1e-6)
    assert rates[999] < 1e-8


def test_statistics_are_those_of_the_data(make_trainer, windows):
    learner = make_trainer().learner
    assert_allclose(learner.normalizer.mean, windows.rows.mean(axis=0))
    assert_allclose(learner.normalizer.std, windows.rows.std(axis=0))
    assert_allclose(learner.value_normalizer.mean, [windows.values.mean()])


def test_the_dynamics_model_is_compared_in_standard_deviations_of_the_change(
        make_trainer, windows):
    model = make_trainer().learner.networks['dynamics_model']
    rows = torch.as_tensor((windows.rows - windows.rows.mean(axis=0)) / windows.rows.std(axis=0),
                           dtype=torch.float32)
    row, following = rows[windows.starts], rows[windows.starts + 1, N_ACTION:]
    change = (following - row[:, N_ACTION:]).numpy()
    assert_allclose(model.change_std, change.std(axis=0), rtol=1e-3)

    for parameter in model.net[-1].parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(model(row), row[:, N_ACTION:])
    share = np.abs(change / change.std(axis=0))
    expected = np.where(share < 0.1, 5.0 * share ** 2, share - 0.05).mean()
    assert_allclose(model.loss(row, following).detach(), expected, rtol=1e-3)


def test_the_dynamics_model_learns_what_follows_inside_an_episode(config_of, robot):
    rng = np.random.default_rng(0)
    gain = rng.standard_normal((N_ACTION, robot.state_dim))
    episodes = []
    for offset in (-50.0, 0.0, 50.0):  # a pair across two episodes would be far off
        actions = rng.uniform(-1.0, 1.0, (100, N_ACTION))
        states = np.cumsum(np.concatenate([np.full((1, robot.state_dim), offset), actions @ gain]),
                           axis=0)
        episodes.append(Episode(states, actions, np.zeros(100), False))
    free = replace(robot, state=tuple(replace(entry, clip=None) for entry in robot.state))
    windows = Windows.cut(episodes, free, 8, discount=0.99, fall_penalty=0.0)
    trainer = Trainer(config_of(n_updates=300, dynamics_learning_rate=0.01), free, windows)
    for _ in range(300):
        trainer.update()
    rows = trainer.learner.normalizer.normalize(windows.rows)
    for first in (0, 100, 200):
        row = torch.as_tensor(rows[first:first + 99], dtype=torch.float32)
        change = rows[first + 1:first + 100, N_ACTION:] - rows[first:first + 99, N_ACTION:]
        with torch.no_grad():
            found = (trainer.learner.averaged['dynamics_model'](row) - row[:, N_ACTION:]).numpy()
        assert np.square(found - change).mean() < 0.05 * np.square(change).mean()


def watched(loss, name, seen):
    """Wrap a loss of a learner: keep the windows that it is given."""
    def watch(x_0, *inputs, **options):
        seen[name] = x_0
        return loss(x_0, *inputs, **options)
    return watch


def test_the_denoiser_imitates_the_label_and_all_else_learns_from_what_was_executed(
        config_of, robot, monkeypatch):
    rng = np.random.default_rng(0)
    episodes = [Episode(
        rng.normal(size=(n, robot.state_dim)), rng.uniform(-1.0, 1.0, (n, N_ACTION)), np.zeros(n),
        terminated=False, policy_actions=rng.uniform(-1.0, 1.0, (n, N_ACTION))) for n in (9, 30)]
    windows = Windows.cut(episodes, robot, 8, discount=0.0, fall_penalty=0.0)
    for label in ('executed', 'policy'):
        trainer = Trainer(config_of(n_updates=50, label=label), robot, windows)
        learner, seen = trainer.learner, {}
        for name in ('denoising_loss', 'value_loss', 'dynamics_losses'):
            loss = getattr(learner, name)
            monkeypatch.setattr(learner, name, watched(loss, name, seen))
        trainer.update()
        found = {name: learner.normalizer.unnormalize(x_0.double().numpy()).reshape(-1, 23)
                 for name, x_0 in seen.items()}
        rows = np.concatenate([np.concatenate([e.actions * robot.torque_limit, e.observations], 1)
                               for e in episodes])
        assert_allclose(found['value_loss'], found['dynamics_losses'])
        nearest = np.abs(found['value_loss'][:, None] - rows).sum(2).argmin(1)
        assert_allclose(found['value_loss'], rows[nearest], atol=1e-3)
        if label == 'policy':
            rows[:, :N_ACTION] = 100.0 * np.concatenate([e.policy_actions for e in episodes])
        assert_allclose(found['denoising_loss'], rows[nearest], atol=1e-3)


def test_a_label_that_the_data_do_not_hold_is_refused(config_of, robot, windows):
    episode = Episode(np.zeros((9, robot.state_dim)), np.zeros((9, N_ACTION)), np.zeros(9), False)
    unlabelled = Windows.cut([episode], robot, 8, discount=0.0, fall_penalty=0.0)
    with pytest.raises(DatasetError, match=r"label is 'policy'.*expected 'executed'"):
        Trainer(config_of(label='policy'), robot, unlabelled)


def test_the_value_of_clean_windows_is_learned_at_a_time_of_their_own(config_of, robot):
    """At time 0 windows are noised: there the value cannot tell apart what the noise covers."""
    rng = np.random.default_rng(0)
    episodes = []
    for sign in (-1.0, 1.0):
        n = 200
        episodes.append(Episode(
            rng.normal(size=(n, robot.state_dim)), rng.uniform(-1.0, 1.0, (n, N_ACTION)),
            np.full(n, sign), terminated=False))
    windows = Windows.cut(episodes, robot, 8, discount=0.0, fall_penalty=0.0)
    trainer = Trainer(config_of(n_updates=50, value_learning_rate=0.01), robot, windows)
    seen, value = [], trainer.learner.networks['value']
    value.register_forward_hook(lambda module, inputs, output: seen.append(inputs))
    known = {row.tobytes() for row in
             trainer.learner.normalizer.normalize(windows.rows).astype(np.float32)}
    for _ in range(20):
        trainer.update()
    n_clean = 0
    for x_t, t in seen:
        assert t.min() == CLEAN
        for window, time in zip(x_t.numpy(), t.tolist(), strict=True):
            is_clean = all(row.tobytes() in known for row in window)
            assert is_clean == (time == CLEAN)
            n_clean += is_clean
    assert 0.2 < n_clean / sum(len(t) for _, t in seen) < 0.3


def test_a_disk_that_is_full_leaves_the_checkpoint_that_was_there(make_trainer, tmp_path):
    file, learner = tmp_path / CHECKPOINT_FILE, make_trainer().learner
    learner.save(file, FACTS)
    before = file.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limit[1]))
    try:
        with pytest.raises(OutputError, match=rf'{file}: cannot be written \(File too large\)'):
            learner.save(file, FACTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT_FILE]


@pytest.fixture(scope='module')
def trained_by_command(dataset, tmp_path_factory):
    """Run ``train`` twice on the command line: to the end, and again with --resume."""
    out = tmp_path_factory.mktemp('run')
    line = ['diffusion_planner', 'train', '--data', str(dataset), '--out', str(out), '--width',
            '16', '--value-width', '16', '--n-updates', '120', '--batch-size', '16', '--json']
    with pytest.MonkeyPatch.context() as patch:
        for more in ([], ['--resume']):
            patch.setattr(sys, 'argv', line + more)
            cli.main()
    return out


def test_the_command_logs_all_losses_for_tensorboard(trained_by_command):
    events = EventAccumulator(str(trained_by_command))
    events.Reload()
    names = {'loss/denoising', 'loss/value', 'loss/dynamics'}
    assert set(events.Tags()['scalars']) == names
    for name in names:
        assert [e.step for e in events.Scalars(name)] == [50, 100, 120]
        assert all(np.isfinite(e.value) and e.value > 0 for e in events.Scalars(name))


def test_the_command_records_what_it_was_trained_on(trained_by_command, recorded):
    saved = load_checkpoint(trained_by_command / CHECKPOINT_FILE)
    data, = saved['facts']['data']
    assert data['name'] == 'tiny-v0'
    assert data['episodes'] == len(recorded.episodes)
    assert data['transitions'] == sum(map(len, recorded.episodes))
    assert_allclose(data['mean_return'], np.mean([e.total_return for e in recorded.episodes]))
    assert saved['facts']['best_policy_return'] == 12.5
    assert saved['facts']['n_windows'] == sum(max(0, n_rows(e) - 7) for e in recorded.episodes)


def test_the_command_does_not_overwrite_a_run(trained_by_command, dataset, monkeypatch):
    before = (trained_by_command / CHECKPOINT_FILE).read_bytes()
    monkeypatch.setattr(sys, 'argv', ['diffusion_planner', 'train', '--data', str(dataset),
                                      '--out', str(trained_by_command)])
    with pytest.raises(SystemExit, match='exists already; add --resume'):
        cli.main()
    assert (trained_by_command / CHECKPOINT_FILE).read_bytes() == before


def test_a_horizon_that_the_network_cannot_take_is_a_fault_that_a_caller_may_catch(
        config_of, robot, windows):
    with pytest.raises(ConfigError, match='horizon is 6, expected a multiple of 4'):
        Trainer(config_of('unet', horizon=6), robot, windows)
