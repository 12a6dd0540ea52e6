# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Reports: one page that needs nothing else, made of the files of a run."""

from html.parser import HTMLParser
import json
import re
import shutil

import numpy as np
from paths import SOURCE
import pytest

from diffusion_planner_ros.commands.inspect.report import report
from diffusion_planner_ros.commands.measure.evaluate import evaluate
from diffusion_planner_ros.errors import ConfigError, DatasetError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import REPLANNED
from diffusion_planner_ros.experiments.reports import report_page as pages
from diffusion_planner_ros.experiments.reports.recorded_episode import RecordedEpisode
from diffusion_planner_ros.experiments.reports.report_page import write_report
from diffusion_planner_ros.experiments.reports.run_facts import run_facts
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment
from diffusion_planner_ros.sim.perturbation import UNPERTURBED

SHIPPED = SOURCE / 'models' / 'walker2d'
PLANNER = PlannerConfig(n_candidates=2)
SEEDS = (5, 6, 7)
WITHOUT_END = {'meta', 'input', 'img', 'br'}
GUARDS = [{'n_steps': 1000 * k, 'return_mean': 100.0 * k, 'misalignment': 0.5 - 0.1 * k}
          for k in range(4)]
TIMES = {'p50_ms': 1.5, 'p99_ms': 2.5}
SUMMARY = {'return_mean': 5432.0, 'return_stderr': 67.0, 'falls': 1, 'episodes': 20}


class Page(HTMLParser):
    """Parses a page and keeps what a test asks for; tags must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.figures, self.titles, self.words = [], [], [], [], []
        self.charts = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.sources += [values[name] for name in ('src', 'href') if name in values]
        if 'data-chart' in values:
            self.charts.append(json.loads(values['data-chart']))
        if tag not in WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        kind = self.open[-1] if self.open else ''
        {'figcaption': self.figures, 'title': self.titles}.get(kind, self.words).append(data)

    @property
    def text(self):
        return ' '.join(self.words)


def page_of(folder, name='report.html'):
    return Page((folder / name).read_text())


@pytest.fixture
def short(no_processes, monkeypatch):
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 60)


@pytest.fixture
def evaluated(short, tmp_path, capsys):
    """Folder of an evaluation, and what was reported."""
    out = tmp_path / 'evaluated'
    evaluate(PLANNER, REPLANNED, UNPERTURBED, episodes=len(SEEDS), first_seed=SEEDS[0],
             processes=1, out=out, json=True)
    return out, json.loads(capsys.readouterr().out)


def test_an_evaluation_writes_a_page_with_its_figures_and_numbers(evaluated):
    out, facts = evaluated
    assert facts == json.loads((out / 'summary.json').read_text())
    page = page_of(out)
    assert {'Return of every episode', 'How long plans took', 'Torques'} <= set(page.figures)
    for value in (f'{facts["distance_mean_m"]:.4g}', f'0 of {len(SEEDS)}',
                  facts['bundle_hash'][:12], facts['run']['version'],
                  facts['run']['machine']['cpu'], str(facts['run']['machine']['onnxruntime'])):
        assert value in page.text
    points = [title for title in page.titles if ', seed ' in title]
    for seed, ret, point in zip(SEEDS, facts['returns'], points, strict=True):
        assert f'seed {seed}: return {ret:.4g}, 60 periods' in point
    shares = [int(re.search(r': ([\d,]+) of', t)[1].replace(',', ''))
              for t in page.titles if t.endswith('%)')]
    assert sum(shares) == 60 * len(SEEDS)
    rows = facts['course']['episodes']
    assert [row['return'] for row in rows] == facts['returns']
    assert all(0 < row['plan_p50_ms'] <= row['plan_p99_ms'] for row in rows)


def test_the_page_needs_nothing_else(evaluated):
    out, _ = evaluated
    (out / 'picture.png').write_bytes(b'\x89PNG')
    facts = json.loads((out / 'summary.json').read_text())
    facts['files'].append('elsewhere/picture.png')  # as it was called where it was written
    (out / 'summary.json').write_text(json.dumps(facts))
    report((out,))
    text = (out / 'report.html').read_text()
    assert '://' not in text
    source, = Page(text).sources
    assert source.startswith('data:image/png;base64,')


def test_a_video_is_in_the_page_unless_it_is_large(evaluated, monkeypatch):
    out, facts = evaluated
    (out / 'walk.mp4').write_bytes(b'video')
    (out / 'summary.json').write_text(json.dumps({**facts, 'files': ['walk.mp4']}))
    report((out,))
    assert page_of(out).sources == ['data:video/mp4;base64,dmlkZW8=']
    monkeypatch.setattr(pages, 'MAX_VIDEO', 4)
    report((out,))
    assert page_of(out).sources == ['walk.mp4']


def test_the_worst_episode_is_played_back_as_it_was(evaluated, short):
    out, facts = evaluated
    worst = SEEDS[int(np.argmin(facts['returns']))]
    episode = RecordedEpisode.load(out)
    assert episode.seed == worst
    positions, plans = [], []

    def keep(environment, plan):
        geoms = range(1, environment.model.ngeom)
        positions.append(environment.data.geom_xpos[list(geoms)].copy())
        plans.append(plan)

    planner = Planner(Bundle.load(SHIPPED), PlannerConfig(n_candidates=2, seed=worst))
    result, trace = run_episode(worst, planner=planner, on_plan=keep)
    np.testing.assert_allclose(episode.states, trace.episode.observations, rtol=1e-6)
    np.testing.assert_allclose(episode.torques[1:], 100 * trace.episode.actions, rtol=1e-5)
    is_long = np.ptp(episode.shapes, axis=2).max(axis=(0, 2)) > 0.01  # no spheres
    middles = episode.shapes[:, is_long].mean(axis=2)
    # rootx is the integral of a velocity that is measured every 8 ms
    np.testing.assert_allclose(middles[:-1], np.stack(positions), atol=0.01)
    assert episode.plans.shape[1] == 2
    assert len(episode.plan_rows) == result.steps
    np.testing.assert_allclose(episode.plans[:, 0, 0, 0], episode.paths[:-1, 0], atol=0.01)


def test_the_page_is_made_again_from_the_files(evaluated, capsys):
    out, _ = evaluated
    before = (out / 'report.html').read_bytes()
    (out / 'report.html').unlink()
    report((out,), json=True)
    assert json.loads(capsys.readouterr().out)['page'] == str(out / 'report.html')
    assert (out / 'report.html').read_bytes() == before


def test_two_runs_stand_side_by_side_with_what_differs(evaluated, tmp_path):
    out, facts = evaluated
    other = shutil.copytree(out, tmp_path / 'other')
    changed = {**facts, 'return_mean': facts['return_mean'] + 25.0}
    changed['run'] = {**facts['run'], 'settings': {
        **facts['run']['settings'], 'planner': {**facts['run']['settings']['planner'],
                                                'n_candidates': 31}}}
    (other / 'summary.json').write_text(json.dumps(changed))
    report((out, other), out=tmp_path / 'both.html')
    page = page_of(tmp_path, 'both.html')
    words = page.text
    assert f'return_mean {facts["return_mean"]:.4g} {changed["return_mean"]:.4g} 25' in words
    assert 'planner.n_candidates 2 31' in words
    assert page.figures.count('Torques') == 2
    points = [title for title in page.titles if ', seed ' in title]
    assert {title[0] for title in points if title[0] in 'AB'} == {'A', 'B'}


@pytest.mark.parametrize(('verb', 'facts', 'figures', 'words'), [
    ('robustness', {'conditions': {'nominal': {'a': SUMMARY}, 'push': {'a': SUMMARY}}},
     ['Mean return and standard error'], ['5,432 ± 67', '1 of 20']),
    ('align', {'course': {'guards': GUARDS}, 'best': {
        'return_mean': 2500.0, 'return_stderr': 30.0, 'falls': 2, 'misalignment': 0.125,
        'misalignment_stderr': 0.01, 'n_steps': 77}},
     ["Return of the guard's episodes", 'Misalignment [standard deviations]'],
     ['best 2,500 ± 30 2 0.125 ± 0.01 77']),
    ('align', {'losses_on_held_out': {'before': {'denoising': 0.25}, 'after': {'denoising': 0.2}}},
     [], ['denoising 0.25 0.2']),
    ('study', {'variants': {'plain': {
        'before': SUMMARY | {'misalignment': {'mean': 0.4, 'stderr': 0.02}},
        'return': {'mean': 2000.0, 'stderr': 50.0}, 'change_percent': 12.5, 'falls': 3,
        'episodes': 60, 'misalignment': {'mean': 0.2, 'stderr': None}, 'minutes': 30.0,
        'runs': {'0': {'guards': GUARDS}, '1': {'guards': GUARDS}}}}},
     ["Return of the guard's episodes", 'Misalignment [standard deviations]'],
     ['2,000 ± 50 12.5 3 of 60 0.4 ± 0.02 0.2']),
    ('diagnose', {'misalignment': {'plans, visited states': {
        'plans': 40, 'mean': 0.125, 'stderr': 0.01, 'per_step': [0.1, None, 0.2]}}},
     ['Misalignment by the row of the plan'], ['0.125 ± 0.01']),
    ('compare', {'cells': [
        {'method': 'walker', 'data': 'poor', 'seed': 0, 'training_minutes': 20.5, 'conditions': {
            'nominal': {**SUMMARY, 'fall_rate': 0.05, 'normalized_score': 118.25,
                        'plan_p50_ms': 2.5, 'plan_p99_ms': 5.0}}},
        {'method': 'bc', 'data': 'poor', 'seed': 0, 'failed': 'no <memory>'}]},
     ['Mean return and standard error, poor'],
     ['walker 5,432 +- 67 118.2 5', 'bc failed', 'bc 0 no <memory>']),
    ('benchmark', {
        'cells': [{'candidates': n, 'steps': 2, 'guided': guided, 'compiled': TIMES,
                   'torch': TIMES, 'ratios': {'torch': 6.25}}
                  for guided in (False, True) for n in (1, 8)],
        'robots': [{'robots': 4, 'batch': TIMES, 'one_by_one': TIMES}],
        'stages_p50_ms': {'denoising': 0.75}, 'state_to_torque': {'latency_p50_ms': 3.25},
        'robots_through_ros': [{'robots': 2, 'latency_p50_ms': 4.75}]},
     ['How long a plan takes: median'],
     ['8 2 yes 1.50 / 2.50 1.50 / 2.50 6.25', '4 1.50 / 2.50', 'denoising 0.75',
      'latency p50 ms 3.25', '2 4.75']),
    ('endure', {'seconds': 60.0, 'real_time': {'2': {
        **SUMMARY, 'latency_p50_ms': 3.5, 'latency_p99_ms': 9.5, 'missed_deadline_rate': 0.0125,
        'stop_causes': {'late': 3}}}, 'bench': [{
            'seed': 7, 'seconds': 12.5, 'fell': True, 'distance': 20.5, 'latency_p50_ms': None,
            'latency_p99_ms': None, 'stop_causes': {}}]},
     [], ['2 5,432 ± 67 1 of 20 3.5 9.5 1.25 3 late', '7 12.5 yes 20.5 - - -']),
    ('soak', {'pushes': 4, 'resets': 3, 'pauses': 2, 'falls': 1, 'stops': 0,
              'failures': ['it leaks'], 'course': {
                  'memory_mb': {'planner': [[0.0, 150.0], [60.0, 151.0]]},
                  'latency_ms': [[60.0, 3.0, 9.0], [120.0, 3.5, 9.5]]}},
     ['Memory', 'Latency of the last minute'], ['resets 3', 'it leaks'])])
def test_every_verb_has_its_own_part(verb, facts, figures, words, tmp_path):
    write_report(tmp_path, {**facts, 'run': run_facts(verb, 'walker2d')})
    page = page_of(tmp_path)
    assert page.figures == figures
    assert all(word in page.text for word in words)
    if 'guards' in facts.get('course', {}):
        assert page.charts[0]['series'][0]['y'] == [0.0, 100.0, 200.0, 300.0]


@pytest.mark.parametrize(('files', 'message'), [
    (None, 'no folder of that name, expected summary.json of a run; name the folder --out of'),
    ({}, 'found an empty folder, expected summary.json'),
    ({'walk.mp4': ''}, 'found walk.mp4, expected summary.json'),
    ({'summary.json': '{'}, 'summary.json: not readable JSON'),
    ({'summary.json': '[]'}, "summary.json: found list, expected key 'run'"),
    ({'summary.json': '{"returns": [1]}'}, "summary.json: found returns, expected key 'run'"),
    ({'summary.json': json.dumps({'run': {'verb': 'walk'}}), 'episode.npz': 'x'},
     'episode.npz: not a recorded episode')])
def test_a_folder_without_a_run_is_refused(files, message, tmp_path):
    folder = tmp_path / 'folder'
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(DatasetError, match=re.escape(message)):
        report((folder,))


@pytest.mark.parametrize('n', [0, 3])
def test_one_or_two_folders_are_expected(n, tmp_path):
    with pytest.raises(ConfigError, match='expected one folder of a run, or two to compare'):
        report((tmp_path,) * n)
