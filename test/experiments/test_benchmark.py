# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The verb ``benchmark``: all contenders make the same plans, and their times are told."""

from dataclasses import replace
import json

import numpy as np
from numpy.testing import assert_allclose
import pytest
import torch

from diffusion_planner_ros.commands.measure.benchmark import benchmark
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments.benchmark.diffuser import diffuser_planner
from diffusion_planner_ros.experiments.benchmark.planning_benchmark import (
    benchmark_table,
    measure_planning,
    torch_planner,
)
from diffusion_planner_ros.experiments.benchmark.robots_times import (
    batch_table,
    measure_batches,
    measure_robots,
    robots_table,
)
from diffusion_planner_ros.experiments.benchmark.stage_times import measure_stages, stage_table
from diffusion_planner_ros.learning.onnx_export import TrainedModel
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file

A = 6
ROBOTS = ('walker2d', 'hopper', 'half_cheetah', 'point_maze', 'reacher')
FEW = {'candidates': (1, 3), 'steps': (2,), 'rounds': 1, 'diffuser_plans': 0, 'ros_seconds': 0,
       'robots': (1, 2)}


@pytest.mark.parametrize('settings', [
    {'guidance_strength': 0.0},
    {'sampler': 'ddpm', 'n_candidates': 1, 'guidance_strength': 3.0, 'n_denoise_steps': 4},
    {'sampler': 'ddpm', 'guidance': 'diffuser', 'guidance_strength': 3.0, 'n_guide_steps': 2,
     'n_denoise_steps': 4, 'n_unguided_steps': 2}],
    ids=['not guided', 'hu', 'diffuser'])
def test_the_plan_in_torch_is_that_of_the_planner(checkpoint_of, bundle, recorded, settings):
    model, config = TrainedModel.load(checkpoint_of('mlp', 'x0')), PlannerConfig(**settings)
    planner = torch_planner(bundle, config)
    planner.denoiser.load_state_dict(model.denoiser.state_dict())
    planner.value.load_state_dict(model.value.state_dict())
    state = recorded.episodes[0].observations[5]
    candidates, values = planner.plan(state, step=3)
    expected = Planner(bundle, config).plan(state, step=3)
    scale = bundle.normalizer.std
    assert_allclose(candidates / scale, expected.candidates / scale, rtol=0, atol=1e-4)
    assert_allclose(values, expected.values, rtol=1e-4)


def test_times_and_ratios_of_all_plans_are_reported_and_drawn(bundle, tmp_path, capsys):
    n_threads = torch.get_num_threads()
    out = tmp_path / 'new' / 'benchmark'
    benchmark(bundle=bundle.path, out=out, json=True, **FEW)
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / 'summary.json').read_text())
    assert (out / 'benchmark.png').read_bytes().startswith(b'\x89PNG')
    assert {p.name for p in out.iterdir()} == {'summary.json', 'benchmark.png', 'report.html'}
    assert torch.get_num_threads() == n_threads
    assert (report['bundle_hash'], report['n_threads']) == (bundle.hash, 1)
    assert report['diffuser_p50_s'] is None
    cells = report['cells']
    assert [(c['candidates'], c['steps'], c['guided']) for c in cells] == [
        (1, 2, False), (3, 2, False), (1, 2, True), (3, 2, True)]
    for cell in cells:
        for name in ('compiled', 'general', 'torch'):
            assert 0.0 < cell[name]['p50_ms'] <= cell[name]['p99_ms']
        assert cell['ratios'] == {
            name: pytest.approx(cell[name]['p50_ms'] / cell['compiled']['p50_ms'])
            for name in ('general', 'torch')}
    assert [row['robots'] for row in report['robots']] == [1, 2]
    for row in report['robots']:
        for name in ('batch', 'one_by_one'):
            assert 0.0 < row[name]['p50_ms'] <= row[name]['p99_ms']
    stages = report['stages_p50_ms']
    assert stages['plan'] == pytest.approx(sum(stages[k] for k in (
        'state', 'noise', 'graph', 'rest')))


def test_without_json_a_table_in_markdown_is_printed(bundle, tmp_path, capsys):
    benchmark(bundle=bundle.path, out=tmp_path, **FEW)
    head, _, *rows = capsys.readouterr().out.partition('\n\n')[0].splitlines()
    assert head == ('| candidates | steps | guided | compiled: p50 / p99 [ms] '
                    '| general: p50 / p99 [ms] | torch: p50 / p99 [ms] '
                    '| general / compiled | torch / compiled |')
    assert len(rows) == 4
    assert rows[3].startswith('| 3 | 2 | yes | ')


def test_a_bundle_without_compiled_plan_is_compared_in_the_general_loop(bundle):
    facts = measure_planning(bundle.without_plan(), candidates=(1,), steps=(1,), n_rounds=1,
                             n_diffuser_plans=0, n_threads=1)
    assert set(facts['cells'][0]['ratios']) == {'torch'}
    assert 'graph' not in facts['stages_p50_ms']
    assert '| torch / general |' in benchmark_table(facts)


def test_the_setting_of_diffuser_is_its_released_one(bundle):
    planner = diffuser_planner(torch_planner(bundle, PlannerConfig()))
    assert sum(p.numel() for p in planner.denoiser.parameters()) == pytest.approx(4e6, rel=0.03)
    assert planner.config.n_candidates == 64
    planner = replace(planner, config=replace(planner.config, n_candidates=2))
    gradients = []
    planner.value.register_forward_hook(lambda *_: gradients.append(torch.is_grad_enabled()))
    candidates, values = planner.plan(bundle.normalizer.mean[A:], step=0)
    assert candidates.shape == (2, 32, bundle.row_dim)
    assert values.shape == (2,)
    assert np.isfinite(candidates).all()
    # 2 guide steps in all steps but the last, which has no noise, and the ranking.
    assert gradients == [True] * 38 + [False]


@pytest.mark.parametrize(('change', 'message'), [
    ({'rounds': 0}, 'rounds is 0 and diffuser-plans 0, expected at least 1 round'),
    ({'diffuser_plans': 2}, 'rounds is 1 and diffuser-plans 2, expected at least 1 round, and '),
    ({'candidates': ()}, 'candidates or steps are none'),
    ({'candidates': (0,)}, 'n_candidates is 0, expected '),
    ({'steps': (1000,)}, 'n_denoise_steps is 1000, expected at most 10'),
    ({'threads': 0}, 'n_threads is 0, expected '),
    ({'robots': (2, 0)}, r'robots is \(2, 0\), expected integers above 0')])
def test_numbers_that_make_no_sense_are_refused(bundle, tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        benchmark(bundle=bundle.path, out=tmp_path, **{**FEW, **change})
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(bundle, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigError, match='is a file, expected a folder or a new name'):
        benchmark(bundle=bundle.path, out=tmp_path / 'file', **FEW)


def test_a_bundle_that_does_not_say_how_it_was_trained_is_refused(bundle, monkeypatch):
    monkeypatch.delitem(bundle.facts, 'training')
    with pytest.raises(ModelError, match=r'model\.yaml: does not say how the model was trained'):
        torch_planner(bundle, PlannerConfig())


@pytest.mark.parametrize('robot', ROBOTS)
def test_networks_of_a_shipped_model_are_built_also_where_settings_are_newer_than_it(robot):
    torch_planner(Bundle.load(share_file(f'models/{robot}')), PlannerConfig())


def test_where_the_time_from_a_state_to_its_torque_goes():
    facts = measure_stages(share_file('models/walker2d'), 2.0)
    stages = ['receive', 'read', 'hand_over', 'monitor', 'plan', 'send']
    assert [name for name in facts if name.startswith('stage_')] == [
        f'stage_{name}_p{p}_ms' for name in stages for p in (50, 99)]
    medians = sum(facts[f'stage_{name}_p50_ms'] for name in stages)
    assert 0.2 * facts['latency_p50_ms'] < medians < 2.0 * facts['latency_p50_ms']
    assert 0.0 <= facts['missed_deadline_rate'] <= 1.0
    lines = stage_table(facts).splitlines()
    assert [line.split(' | ')[0].removeprefix('| ') for line in lines[2:8]] == [
        name.replace('_', ' ') for name in stages]
    assert 'Deadlines missed' in lines[-1]


@pytest.mark.slow
def test_two_robots_walk_with_one_planner_and_their_times_are_told():
    facts = measure_robots(share_file('models/walker2d'), 2, 1.0)
    for where in ('', 'bridge_'):
        assert 0.0 < facts[f'{where}latency_p50_ms'] <= facts[f'{where}latency_p99_ms']
    assert 0.0 <= facts['missed_deadline_rate'] <= 1.0
    assert robots_table([facts]).splitlines()[-1].startswith('| 2 | ')


def test_the_table_of_batches_compares_them_with_plans_one_after_the_other(bundle):
    rows = measure_batches(bundle, (1, 3), n_rounds=1)
    head, _, *lines = batch_table(rows).splitlines()
    assert head.startswith('| robots | in one batch: p50 / p99 [ms] |')
    assert [line.split(' | ')[0] for line in lines] == ['| 1', '| 3']
