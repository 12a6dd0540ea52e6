# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The verb ``study``: alignments that are done once, a table and a picture of what they gave."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
import json

from copying_threads import CopyingThreads
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.commands.learn.study import study
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments import bundle_export
from diffusion_planner_ros.experiments import closed_loop as evaluate
from diffusion_planner_ros.experiments.alignment import alignment_run
from diffusion_planner_ros.experiments.alignment.alignment_variants import scaled, variants
from diffusion_planner_ros.experiments.alignment.study_table import compare, study_table
from diffusion_planner_ros.experiments.closed_loop import run_episodes
from diffusion_planner_ros.experiments.plots.study_plot import average
from diffusion_planner_ros.learning.align_config import AlignConfig
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.settings import as_facts
from diffusion_planner_ros.sim.perturbation import UNPERTURBED

N_STEPS = 320
SMALL = {'planner': PlannerConfig(n_candidates=2), 'perturbation': UNPERTURBED,
         'variants': ('plain', 'no-weighting'), 'seeds': (3,), 'n_steps': N_STEPS, 'episodes': 2,
         'processes': 1}
BEFORE = {'return_mean': 1000.0, 'return_stderr': 50.0, 'falls': 15, 'episodes': 20,
          'misalignment': {'mean': 0.4, 'stderr': 0.02}}


def run_of(ret, misalignment, falls):
    return {'environment_steps': 200_000, 'updates': 7000, 'minutes': 30.0,
            'evaluation_denoised': {'misalignment': {'mean': 2 * misalignment}},
            'evaluation': {'return_mean': ret, 'falls': falls, 'episodes': 20,
                           'misalignment': {'mean': misalignment}}}


def files_in(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob('*') if p.is_file()}


@pytest.fixture(scope='module')
def small(checkpoint_of, dataset, writer, tmp_path_factory):
    """Options of a study that was run."""
    options = {**SMALL, 'checkpoint': checkpoint_of('mlp', 'x0'), 'data': (dataset,),
               'out': tmp_path_factory.mktemp('study') / 'of_two'}
    with pytest.MonkeyPatch.context() as patch:
        # Processes take seconds to start, networks to trace: their shapes are the same for all.
        patch.setattr(evaluate, 'open_pool', CopyingThreads)
        patch.setattr(alignment_run, 'WeightWriter', lambda *_: writer)
        patch.setattr(bundle_export, 'export_networks',
                      lambda model, *files: writer.write(model, files[0].parent))
        study(**options)
    return options


def test_a_second_call_only_reads_what_was_measured(small, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        for name in ('round', 'guard'):
            patch.delattr(alignment_run.AlignmentRun, name)
        before = files_in(small['out'])
        study(**small, json=True)
    report = json.loads(capsys.readouterr().out)
    after = files_in(small['out'])
    changed = {p.name for p in after if after[p] != before.get(p)}
    assert set(after) == set(before)
    assert changed == {'study.png', 'summary.json', 'report.html'}
    assert (small['out'] / 'study.png').read_bytes().startswith(b'\x89PNG')
    study(**small)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(' | ')[0] for line in lines] == [
        '| variant', '| ---', '| plain', '| no weighting']
    assert f'{report["variants"]["plain"]["misalignment_ratio"]:.2f}' in lines[2]


def test_the_report_is_of_the_runs_and_of_the_episodes_it_names(small, capsys):
    study(**small, json=True)
    report = json.loads(capsys.readouterr().out)
    with ThreadPoolExecutor(1) as pool:
        expected = {name: [result.episode_return for result, _ in run_episodes(
            small['out'] / 'before', variants(8)[name].before(small['planner']), range(2),
            pool=pool)] for name in report['variants']}
    assert expected['plain'] != expected['no-weighting']
    for name, facts in report['variants'].items():
        assert facts['before']['returns'] == expected[name]
        run = facts['runs']['3']
        progress = json.loads((small['out'] / f'{name}-3' / 'progress.json').read_text())
        last = progress['rounds'][-1]['n_steps']
        assert last >= N_STEPS
        assert run['environment_steps'] == last + progress['guard_steps']
        assert run['guards'] == progress['guards']
        assert progress['settings']['align'] == facts['settings'] == asdict(
            scaled(variants(8)[name].align, N_STEPS)) | {'seed': 3}
        planner = variants(8)[name].after(small['planner'])
        assert progress['settings']['planner'] == run['evaluation']['planner'] == as_facts(planner)
        assert run['minutes'] == progress['minutes'] > 0.0
        assert facts['return']['mean'] == run['evaluation']['return_mean']


def test_a_study_of_another_model_is_refused(small, checkpoint_of, tmp_path):
    other = tmp_path / 'other.pt'
    other.write_bytes(checkpoint_of('mlp', 'x0').read_bytes() + b'\0')
    with pytest.raises((ConfigError, ModelError), match='another'):
        study(**{**small, 'checkpoint': other})


@pytest.mark.parametrize(('options', 'message'), [
    ({'variants': ('best',)}, "no variant is called 'best', expected one of improved, plain, den"),
    ({'variants': ('plain', 'plain')}, 'variants are plain, plain, expected at least one and'),
    ({'seeds': (1, 1)}, 'seeds are 1, 1, expected'),
    ({'seeds': (-1,)}, 'seed is -1, expected an integer from 0'),
    ({'n_steps': 0}, 'n_steps is 0, expected an integer from 1'),
    ({'episodes': 1}, 'episodes is 1, expected at least 2')])
def test_a_wrong_option_is_refused_before_anything_runs(options, message, checkpoint_of, tmp_path):
    with pytest.raises(ConfigError, match=message):
        study(**{**SMALL, 'checkpoint': checkpoint_of('mlp', 'x0'), 'out': tmp_path / 'out',
                 'data': (), **options})
    assert not list(tmp_path.iterdir())


def test_the_plain_variant_is_the_algorithm_as_written_and_the_rest_differ_in_one_setting():
    known = variants(horizon=16)
    improved = known.pop('improved')
    assert (improved.align, improved.states) == (AlignConfig(), 'forecast')
    plain = known.pop('plain')
    changed = {'n_execute': 16, 'n_candidates': 1, 'exploration': 0.0, 'offline_share': 0.0,
               'recent_steps': 0, 'weighting': 'none', 'value_times': 'even', 'settle_steps': 0}
    assert asdict(plain.align) == asdict(AlignConfig()) | changed
    planner = PlannerConfig(n_candidates=4, states='denoised', seed=5)
    assert plain.before(planner) == plain.after(planner) == replace(planner, n_candidates=1)
    assert improved.before(planner) == planner
    assert improved.after(planner) == replace(planner, states='forecast')
    for name, variant in known.items():
        differing = [k for k, v in asdict(variant.align).items() if v != asdict(improved.align)[k]]
        assert len(differing) + (variant.states != improved.states) == 1, name


def test_a_shorter_alignment_keeps_its_proportions():
    long = AlignConfig(n_steps=1000, settle_steps=500, round_steps=100, recent_steps=0)
    short = scaled(long, 20)
    assert (short.n_steps, short.settle_steps, short.round_steps) == (20, 10, 2)
    assert short.recent_steps == 0
    assert scaled(AlignConfig(), AlignConfig().n_steps) == AlignConfig()


def test_the_errors_in_the_table_are_those_over_the_alignments():
    runs = [run_of(1900.0, 0.1, 1), run_of(2000.0, 0.2, 2), run_of(2100.0, 0.3, 3)]
    assert study_table({'plain': compare(BEFORE, runs)}).splitlines()[2] == (
        '| plain | 1,000 +- 50 | 2,000 +- 58 | +100 | 15 of 20 | 6 of 60 | 0.400 +- 0.020 | '
        '0.200 +- 0.058 | 0.50 | 0.400 +- 0.115 | 200,000 | 30 |')
    assert '| 1,900 | +90 |' in study_table({'plain': compare(BEFORE, runs[:1])})


def test_lines_are_averaged_between_the_steps_of_the_guard():
    runs = [[{'n_steps': 0, 'x': 0.0}, {'n_steps': 50, 'x': 0.5}, {'n_steps': 100, 'x': 1.0}],
            [{'n_steps': 0, 'x': 0.0}, {'n_steps': 50, 'x': 1.0}, {'n_steps': 120, 'x': 1.0}]]
    steps, mean, stderr = average(runs, 'x')
    assert_allclose(steps, [0, 50, 100])
    assert_allclose(mean, [0.0, 0.75, 1.0])
    assert_allclose(stderr, [0.0, 0.25, 0.0])
    assert_allclose(average(runs[:1], 'x')[2], 0.0)
