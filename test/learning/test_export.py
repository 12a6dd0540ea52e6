# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From checkpoint to bundle: the same numbers, and no damaged bundle is ever loaded."""

import os
from pathlib import Path
import re
import shutil

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import onnx
import pytest
import torch
import yaml

from diffusion_planner_ros.commands.learn.calibrate import calibrate as calibrate_bundle
from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.errors import ConfigError, DatasetError, ModelError, StateError
from diffusion_planner_ros.experiments import bundle_export, monitor_calibration
from diffusion_planner_ros.experiments.bundle_export import compare
from diffusion_planner_ros.experiments.monitor_calibration import calibrate
from diffusion_planner_ros.learning.learner import load_checkpoint
from diffusion_planner_ros.learning.networks.denoiser_registry import DENOISERS
from diffusion_planner_ros.learning.onnx_export import TrainedModel
from diffusion_planner_ros.learning.random_conditions import first_states
from diffusion_planner_ros.planning.bundle import Bundle, read_facts, write_facts, write_score
from diffusion_planner_ros.planning.conditions import Condition
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.schedule import CLEAN

H, D, A, S = 8, 23, 6, 17
T = 10
TOLERANCE = 1e-4
# The graph of a denoiser that predicts x_0 is a part of that of one that predicts eps, and the
# export of a large one takes ten seconds.
MODELS = [('mlp', 'x0'), ('mlp', 'v'), *((denoiser, 'eps') for denoiser in DENOISERS)]
NETWORKS = ('denoiser.onnx', 'value.onnx', 'dynamics.onnx', 'plan.onnx')
FILES = (*NETWORKS, 'model.yaml')


@pytest.fixture(params=MODELS, ids='-'.join, scope='module')
def pair(request, checkpoint_of, bundle_of):
    """The same model in torch and in onnxruntime."""
    return TrainedModel.load(checkpoint_of(*request.param)), Bundle.load(bundle_of(*request.param))


@pytest.fixture
def copy(bundle_of, tmp_path):
    """Folder of a bundle that a test may damage."""
    return shutil.copytree(bundle_of('mlp', 'x0'), tmp_path / 'copy')


@pytest.fixture(scope='module')
def no_tracing(bundle_of):
    """Give a function that exports the tiny MLP by copying what was exported before."""
    def copy(model, *files):
        for file in files:
            if (bundle_of('mlp', 'x0') / file.name).exists():
                shutil.copy(bundle_of('mlp', 'x0') / file.name, file)
    return copy


def random_rows(batch_size, seed=0):
    return np.random.default_rng(seed).standard_normal((batch_size, H, D), dtype=np.float32)


def assert_agree(found, expected):
    """Compare relative to the largest entry where it is above 1."""
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    assert_allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, np.abs(expected).max()))


def edit_facts(folder, change):
    """Perturbation ``model.yaml`` without touching its hashes."""
    file = folder / 'model.yaml'
    facts = yaml.safe_load(file.read_text())
    change(facts)
    file.write_text(yaml.safe_dump(facts, sort_keys=False))


def expect_error(folder, *words):
    """Loading must fail and say all words, in this order."""
    with pytest.raises(ModelError, match='.*'.join(map(re.escape, map(str, words)))):
        Bundle.load(folder)


@pytest.mark.parametrize('batch_size', [1, 2, 7, 64])
@pytest.mark.parametrize('t', [0, 4, T - 1])
def test_onnxruntime_computes_what_torch_computes(pair, batch_size, t):
    model, bundle = pair
    rows = random_rows(batch_size, seed=t)
    x_t, times = torch.from_numpy(rows), torch.full((batch_size,), t)
    value, gradient = model.value_and_gradient(x_t, times)
    for known in (first_states(x_t, A), torch.rand(1, H, D).expand(x_t.shape) < 0.3):
        assert_agree(bundle.denoise(rows, t, known[0].numpy()), model.denoiser(x_t, times, known))
    assert_agree(bundle.value(rows, t), value)
    assert_agree(bundle.value_gradient(rows, t), gradient)
    assert_agree(bundle.next_state(rows[:, 0]), model.dynamics_model(x_t[:, 0]))


def test_the_gradient_is_that_of_finite_differences(bundle):
    rows, t, step = random_rows(1), 3, 1e-2
    gradient = bundle.value_gradient(rows, t)[0]
    assert np.abs(gradient).max() > 1e-2
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((50, H, D)).astype(np.float32)
    slopes = (bundle.value(rows + step * directions, t)
              - bundle.value(rows - step * directions, t)) / (2 * step)
    expected = np.einsum('nhd,hd->n', directions, gradient)
    assert_allclose(slopes, expected, rtol=0.02, atol=2e-3 * np.abs(expected).max())


def test_the_gradient_of_a_window_does_not_depend_on_the_others_of_its_batch(bundle):
    rows = random_rows(5)
    together = bundle.value_gradient(rows, 2)
    alone = np.concatenate([bundle.value_gradient(rows[i:i + 1], 2) for i in range(5)])
    assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_averaged_weights_are_exported(checkpoint_of, bundle):
    saved = load_checkpoint(checkpoint_of('mlp', 'x0'))
    model = TrainedModel.load(checkpoint_of('mlp', 'x0'))
    rows = random_rows(4)
    x_t, times = torch.from_numpy(rows), torch.full((4,), 5)
    known = first_states(x_t, A)
    averaged = model.denoiser(x_t, times, known)
    prefix = 'diffusion.'
    model.denoiser.load_state_dict({key.removeprefix(prefix): tensor for key, tensor
                                    in saved['networks'].items() if key.startswith(prefix)})
    latest = model.denoiser(x_t, times, known)
    found = torch.from_numpy(bundle.denoise(rows, 5, known[0].numpy()))
    assert (found - averaged).abs().max() < 1e-5 < (found - latest).abs().max()


def test_facts_are_those_of_robot_training_and_data(bundle, robot, config_of, windows):
    assert bundle.robot == robot
    assert bundle.horizon == H
    assert (bundle.schedule.name, bundle.schedule.n_steps) == ('cosine', T)
    assert_allclose(bundle.normalizer.mean, windows.rows.mean(axis=0))
    assert_allclose(bundle.normalizer.std, windows.rows.std(axis=0))
    assert_allclose(bundle.value_normalizer.mean, [windows.values.mean()])
    assert_allclose(bundle.value_normalizer.std, [windows.values.std()])
    assert bundle.facts['training']['width'] == config_of().width
    assert bundle.facts['training']['n_updates_done'] == config_of().n_updates
    assert bundle.facts['data']['data'][0]['name'] == 'tiny-v0'
    assert bundle.facts['value_clean_time'] == bundle.value_clean_time == CLEAN


def test_the_reported_difference_is_small_and_is_measured(pair):
    model, bundle = pair
    differences = compare(model, bundle)
    assert set(differences) == {'x_0', 'value', 'gradient', 'dynamics', 'plan'}
    assert all(0.0 < d <= TOLERANCE for d in differences.values())


def operators_in(graph):
    """Return the operators of a graph, and of the bodies of its loops."""
    bodies = [a.g for node in graph.node for a in node.attribute if a.HasField('g')]
    return {node.op_type for node in graph.node}.union(*map(operators_in, bodies))


def test_a_whole_plan_looks_up_what_follows_from_the_diffusion_time_alone(pair):
    _, bundle = pair
    embedding = {'Sin', 'Cos'}
    assert embedding <= operators_in(onnx.load(bundle.path / 'denoiser.onnx').graph)
    assert not embedding & operators_in(onnx.load(bundle.path / 'plan.onnx').graph)


def test_another_model_is_told_by_the_difference(checkpoint_of, bundle_of):
    model = TrainedModel.load(checkpoint_of('mlp', 'x0'))
    with torch.no_grad():
        model.value.trunk.exit[1].bias += 1e-3
        model.dynamics_model.change_std *= 1.1
    differences = compare(model, Bundle.load(bundle_of('mlp', 'x0')))
    assert differences['x_0'] < TOLERANCE < differences['dynamics']
    assert_allclose(differences['value'], 1e-3, rtol=0.01)


def test_an_export_that_differs_is_refused_and_leaves_the_bundle_alone(
        copy, checkpoint_of, no_tracing, monkeypatch):
    before = {name: (copy / name).read_bytes() for name in FILES}
    monkeypatch.setattr(bundle_export, 'export_networks', no_tracing)
    monkeypatch.setattr(bundle_export, 'MAX_DIFFERENCE', 0.0)
    with pytest.raises(ModelError, match=r'checkpoint\.pt: x_0 of onnxruntime and torch differ by '
                                         rf'.*, expected at most 0e\+00; nothing was written to '
                                         f'{re.escape(str(copy))}'):
        export(checkpoint_of('mlp', 'x0'), copy)
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before
    assert [p.name for p in copy.parent.iterdir()] == ['copy']


def test_an_export_from_no_checkpoint_leaves_the_bundle_alone(copy, tmp_path):
    before = {name: (copy / name).read_bytes() for name in FILES}
    with pytest.raises(ModelError, match='no such checkpoint'):
        export(tmp_path / 'none.pt', copy)
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('place', [0.0, 0.1, 0.5, 0.9, 1.0])
def test_one_flipped_bit_in_a_network_is_found(copy, name, place):
    file = copy / name
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    expected = yaml.safe_load((copy / 'model.yaml').read_text())['sha256'][name]
    file.write_bytes(content)
    expect_error(copy, file, 'SHA-256 is ', f'expected {expected}', 'damaged')


@pytest.mark.parametrize('bit', [0, 2, 5, 7])
def test_a_flipped_bit_in_the_facts_is_an_error_or_changes_no_fact(copy, bit):
    file = copy / 'model.yaml'
    content = file.read_bytes()
    expected = yaml.safe_load(content)
    n_found = 0
    places = range(bit, len(content), 97)
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        file.write_bytes(flipped)
        try:
            facts = read_facts(copy)
        except ModelError as error:
            assert str(file) in str(error)
            n_found += 1
            continue
        # The hashes of the other files are checked against these files; a last digit may be one
        # that a double does not hold.
        del facts['sha256']
        assert facts == {k: v for k, v in expected.items() if k != 'sha256'}
    assert n_found > 0.8 * len(places)


@pytest.mark.parametrize('name', NETWORKS)
def test_a_flipped_bit_in_a_hash_is_found(copy, name):
    def change(facts):
        wrong = facts['sha256'][name]
        facts['sha256'][name] = ('0' if wrong[0] != '0' else '1') + wrong[1:]
    edit_facts(copy, change)
    expect_error(copy, copy / name, 'SHA-256 is ', 'expected ')


@pytest.mark.parametrize('name', FILES)
@pytest.mark.parametrize('share', [0.0, 0.5, 0.9])
def test_a_truncated_file_is_found(copy, name, share):
    file = copy / name
    content = file.read_bytes()
    file.write_bytes(content[:int(share * len(content))])
    expect_error(copy, file)


@pytest.mark.parametrize('name', FILES)
def test_a_missing_file_is_found(copy, name):
    (copy / name).unlink()
    expect_error(copy, copy / name, 'no such file', 'expected')


def test_a_folder_that_is_not_there_is_named(tmp_path):
    expect_error(tmp_path / 'none', tmp_path / 'none' / 'model.yaml', 'no such file')


def test_another_major_version_is_refused(copy):
    edit_facts(copy, lambda facts: facts.update(format_version='6.0'))
    expect_error(copy, copy / 'model.yaml', 'format version is 6.0', 'expected 5.x')


def test_another_minor_version_is_accepted(copy):
    facts = yaml.safe_load((copy / 'model.yaml').read_text())
    write_facts(copy, facts | {'format_version': '5.7'})
    assert Bundle.load(copy).facts['format_version'] == '5.7'


@pytest.mark.parametrize('change', [
    lambda facts: facts['robot']['action'][0].update(limit=200.0),
    lambda facts: facts['robot']['state'].reverse(),
    lambda facts: facts['normalizer']['mean'].__setitem__(0, 0.5),
    lambda facts: facts.update(horizon=4),
    lambda facts: facts['schedule'].update(name='linear'),
    lambda facts: facts.pop('training'),
    lambda facts: facts.update(new='fact')])
def test_a_changed_fact_is_found(copy, change):
    edit_facts(copy, change)
    expected = yaml.safe_load((copy / 'model.yaml').read_text())['sha256']['model.yaml']
    expect_error(copy, copy / 'model.yaml', 'SHA-256 of the facts is ', f'expected {expected}',
                 'changed after the export')


@pytest.mark.parametrize('text', ['', '[1, 2]', 'horizon: 8', 'a: b: c', '\x00', 'sha256: text'])
def test_a_file_that_is_no_facts_is_refused(copy, text):
    (copy / 'model.yaml').write_text(text)
    expect_error(copy, copy / 'model.yaml', 'not the facts of a model bundle')


def test_networks_that_are_exchanged_are_found(copy):
    for name, other in zip(FILES[:2], reversed(FILES[:2]), strict=True):
        (copy / name).replace(copy / f'{other}.new')
    for name in FILES[:2]:
        (copy / f'{name}.new').replace(copy / name)
    expect_error(copy, copy / 'denoiser.onnx', 'SHA-256 is ')


@pytest.mark.parametrize(('change', 'words'), [
    (lambda facts: facts.update(horizon=4), ('denoiser.onnx', '[8, 23]', 'expected [4, 23]')),
    (lambda facts: facts['robot']['action'].pop(), ('model.yaml', '(23,)', 'expected (22,)')),
    (lambda facts: facts['normalizer']['mean'].pop(), ('model.yaml', '(22,)', 'expected (23,)')),
    (lambda facts: facts['robot'].pop('state'), ('model.yaml', "'state' is missing")),
    (lambda facts: facts.pop('horizon'), ('model.yaml', 'horizon')),
    (lambda facts: facts['schedule'].update(name='wrong'), ('model.yaml', "'wrong'", 'cosine'))])
def test_facts_that_do_not_fit_the_networks_are_refused_even_with_the_right_hash(
        copy, change, words):
    facts = yaml.safe_load((copy / 'model.yaml').read_text())
    change(facts)
    write_facts(copy, facts)
    expect_error(copy, *words)


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('content', [b'', b'this is not a network'])
def test_a_file_that_is_no_network_is_refused_even_with_the_right_hash(copy, name, content):
    (copy / name).write_bytes(content)
    write_facts(copy, yaml.safe_load((copy / 'model.yaml').read_text()))
    expect_error(copy, copy / name)


def test_another_network_in_place_of_the_dynamics_model_is_refused(copy):
    shutil.copy(copy / 'denoiser.onnx', copy / 'dynamics.onnx')
    write_facts(copy, yaml.safe_load((copy / 'model.yaml').read_text()))
    expect_error(copy, copy / 'dynamics.onnx', '[8, 23]', 'expected [23]')


def test_a_bundle_without_dynamics_model_is_loaded_and_cannot_forecast(copy):
    (copy / 'dynamics.onnx').unlink()
    write_facts(copy, yaml.safe_load((copy / 'model.yaml').read_text()))
    bundle = Bundle.load(copy)
    assert not bundle.has_dynamics
    assert bundle.denoise(random_rows(1), 0, np.zeros((H, D), dtype=bool)).shape == (1, H, D)
    with pytest.raises(ModelError, match=r'dynamics\.onnx: no such file in this bundle'):
        bundle.forecast(np.zeros(S), np.zeros((1, A)))


def test_a_dynamics_model_whose_name_was_damaged_is_not_lost_in_silence(copy):
    edit_facts(copy, lambda facts: facts['sha256'].update(
        {'gorward.onnx': facts['sha256'].pop('dynamics.onnx')}))
    expect_error(copy, copy / 'gorward.onnx', 'no such file')


def test_a_forecast_rolls_the_dynamics_model_along_the_actions(checkpoint_of, bundle, windows):
    network = TrainedModel.load(checkpoint_of('mlp', 'x0')).dynamics_model
    mean, std = bundle.normalizer.mean, bundle.normalizer.std
    actions, state = windows.rows[:3, :A], windows.rows[0, A:]
    forecast = bundle.forecast(state, actions)
    assert forecast.shape == (3, S)
    for action, found in zip(actions, forecast, strict=True):
        row = torch.as_tensor((np.concatenate([action, state]) - mean) / std)[None].float()
        state = np.clip(network(row)[0].numpy() * std[A:] + mean[A:], -bundle.robot.state_clip,
                        bundle.robot.state_clip)
        assert_allclose(found, state, rtol=0, atol=1e-4)


def test_a_forecast_is_better_than_that_nothing_changes(bundle, windows):
    starts = windows.starts[::5]
    rows, after = windows.rows[starts], windows.rows[starts + 1, A:]
    found = np.concatenate([bundle.forecast(row[A:], row[None, :A]) for row in rows])
    error, change = ((x - after) / bundle.normalizer.std[A:] for x in (found, rows[:, A:]))
    assert np.median(np.abs(error)) < 0.7 * np.median(np.abs(change))


def test_a_forecast_starts_from_and_stays_within_the_clipped_states(bundle, windows):
    state, actions = windows.rows[0, A:].copy(), np.zeros((4, A))
    velocities = np.isfinite(bundle.robot.state_clip)
    state[velocities] = 10.0
    faster = np.where(velocities, 1e6, state)
    assert_array_equal(bundle.forecast(faster, actions), bundle.forecast(state, actions))
    assert (np.abs(bundle.forecast(state, actions)) <= bundle.robot.state_clip).all()


@pytest.mark.parametrize(('change', 'words'), [
    (lambda s: s[:-1], r'state has shape \(16,\), expected \(17,\)'),
    (lambda s: np.where(np.arange(S) == 1, np.nan, s), "position of joint 'rooty' is nan"),
    (lambda s: np.where(np.arange(S) == 8, np.inf, s), "velocity of joint 'rootx' is inf"),
    (lambda s: np.where(np.arange(S) == 1, 1e300, s), 'forecast 1 control periods ahead is not')])
def test_a_state_that_cannot_be_forecast_from_is_refused(bundle, windows, change, words):
    with pytest.raises(StateError, match=words):
        bundle.forecast(change(windows.rows[0, A:]), np.zeros((2, A)))


@pytest.mark.parametrize('shape', [(A,), (2, A + 1), (1, 2, A)])
def test_actions_of_another_shape_are_not_forecast(bundle, shape):
    with pytest.raises(ConfigError, match=r'actions have shape .*, expected \(n, 6\)'):
        bundle.forecast(np.zeros(S), np.zeros(shape))


def test_a_score_is_recorded_without_changing_the_bundle(copy):
    before = Bundle.load(copy)
    write_score(copy, {'return_mean': 4000.0, 'episodes': 20})
    after = Bundle.load(copy)
    assert after.facts['score'] == {'return_mean': 4000.0, 'episodes': 20}
    assert after.hash == before.hash


def test_bundles_of_other_facts_have_another_hash(copy):
    before = Bundle.load(copy).hash
    facts = yaml.safe_load((copy / 'model.yaml').read_text())
    facts['robot']['action'][0]['limit'] = 50.0
    write_facts(copy, facts)
    assert Bundle.load(copy).hash != before


def test_inputs_are_not_changed(bundle):
    rows = random_rows(3)
    bundle.denoise(rows, 4, rows[0] > 0)
    for function in (bundle.value, bundle.value_gradient):
        function(rows, 4)
    bundle.next_state(rows[:, 0])
    assert_array_equal(rows, random_rows(3))


@pytest.fixture(scope='module')
def calibrated_once(checkpoint_of, dataset, no_tracing, tmp_path_factory):
    folder = tmp_path_factory.mktemp('calibrated') / 'bundle'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_export, 'export_networks', no_tracing)
        export(checkpoint_of('mlp', 'x0'), folder, data=(dataset,))
    return folder


@pytest.fixture
def calibrated(calibrated_once, tmp_path):
    """Folder of the tiny bundle, exported with its data, that a test may damage."""
    return shutil.copytree(calibrated_once, tmp_path / 'calibrated')


def test_an_export_with_data_says_how_well_the_model_predicts(calibrated, windows):
    bundle = Bundle.load(calibrated)
    assert bundle.calibrations.keys() == {'denoised', 'forecast'}
    calibration = bundle.calibrations['denoised']
    assert calibration.errors.shape == (101,)
    assert 0.0 < calibration.errors[0] < calibration.errors[50] < calibration.errors[100] < 5.0
    assert calibration.scale == calibration.errors[99]
    states = windows.rows[:, D - 17:]
    assert_array_equal(calibration.state_min, states.min(axis=0))
    assert_array_equal(calibration.state_max, states.max(axis=0))


def test_the_prediction_error_is_that_of_the_plans_with_the_recorded_action(bundle, windows):
    short = Windows(windows.rows[:2], np.array([0]), windows.values[:2], 2, 1.0,
                    np.zeros(2, dtype=bool))
    facts = calibrate(bundle, short)['prediction_error']['denoised']
    known, mask = np.zeros((H, D)), np.zeros((H, D), dtype=bool)
    known[0, :6], mask[0, :6] = windows.rows[0, :6], True
    plan = Planner(bundle, PlannerConfig()).plan(
        windows.rows[0, 6:], step=0, condition=Condition(known, mask))
    error = (plan.states[1] - windows.rows[1, 6:]) / bundle.normalizer.std[6:]
    assert facts['n_windows'] == 1
    assert_allclose(facts['percentiles'], np.sqrt(np.mean(error ** 2)), rtol=1e-6)
    assert_allclose(facts['largest'], np.abs(error), rtol=1e-6)


def test_an_export_without_data_has_no_calibration(bundle):
    assert bundle.facts['format_version'] == '5.1'
    assert not bundle.calibrations


def test_a_calibration_with_other_settings_goes_into_the_bundle(calibrated, dataset, monkeypatch):
    monkeypatch.setattr(monitor_calibration, 'N_WINDOWS', 20)
    write_score(calibrated, {'return_mean': 1.0})
    before = Bundle.load(calibrated)
    settings = PlannerConfig(n_candidates=2, sampler='ddpm')
    calibrate_bundle(settings, (dataset,), calibrated)
    after = Bundle.load(calibrated)
    assert after.hash != before.hash
    assert after.facts['score'] == {'return_mean': 1.0}
    assert after.calibrations['denoised'].differences(settings.decisive) == []
    assert len(before.calibrations['denoised'].differences(settings.decisive)) == 2


def test_an_export_from_data_that_are_not_there_leaves_the_bundle_alone(copy, checkpoint_of):
    before = {name: (copy / name).read_bytes() for name in FILES}
    with pytest.raises(DatasetError, match='no such file'):
        export(checkpoint_of('mlp', 'x0'), copy, data=(copy / 'none.hdf5',))
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == before


@pytest.mark.parametrize(('change', 'words'), [
    (lambda f: f['prediction_error']['denoised']['percentiles'].pop(),
     ('prediction_error', '101 ascending')),
    (lambda f: f['prediction_error']['denoised']['percentiles'].reverse(),
     ('prediction_error', 'ascending')),
    (lambda f: f['prediction_error']['denoised'].pop('percentiles'), ("'percentiles'",)),
    (lambda f: f['prediction_error']['denoised']['largest'].pop(),
     ('prediction_error', '17 numbers above 0')),
    (lambda f: f['prediction_error']['denoised']['largest'].__setitem__(0, 0.0),
     ('prediction_error', '17 numbers above 0')),
    (lambda f: f['prediction_error']['denoised'].pop('largest'), ("'largest'",)),
    (lambda f: f.pop('state_range'), ("'state_range'",)),
    (lambda f: f['state_range']['min'].pop(), ('state_range', '(16,)', 'expected (17,)')),
    (lambda f: f['state_range']['min'].__setitem__(0, 1e9), ('state_range', 'at most max')),
    (lambda f: f['state_range']['std'].__setitem__(0, 0.0), ('state_range', 'std above 0'))])
def test_a_calibration_that_makes_no_sense_is_refused(calibrated, change, words):
    facts = yaml.safe_load((calibrated / 'model.yaml').read_text())
    change(facts)
    write_facts(calibrated, facts)
    expect_error(calibrated, calibrated / 'model.yaml', *words)


def test_a_folder_whose_name_no_file_system_takes_is_refused():
    with pytest.raises(ModelError, match=r'^9{100}\.\.\.: File name too long; expected the'):
        Bundle.load(Path('9' * 5000))


def test_weights_rounded_to_half_precision_take_half_the_space_and_plan_the_same(
        checkpoint_of, bundle_of, recorded, tmp_path):
    model = TrainedModel.load(checkpoint_of('mlp', 'x0'))
    facts = bundle_export.export_model(model.rounded(), tmp_path, [], source=tmp_path)
    assert max(facts['max_difference'].values()) < 1e-5
    bundles = [bundle_of('mlp', 'x0'), tmp_path]
    denoiser, plan = (np.subtract(*(os.path.getsize(bundle / file) for bundle in bundles))
                      for file in ('denoiser.onnx', 'plan.onnx'))
    weights = [weight.numel() for weight in model.denoiser.parameters()]
    assert denoiser > 0.9 * 2 * sum(n for n in weights if n >= 1024)
    assert plan > 0.5 * 2 * weights[0]  # it has tables in place of some
    state = recorded.episodes[0].observations[0]
    whole, half = (Planner(Bundle.load(bundle), PlannerConfig()).plan(state)
                   for bundle in bundles)
    assert_allclose(half.states, whole.states, atol=0.05)
    assert not np.array_equal(half.states, whole.states)
