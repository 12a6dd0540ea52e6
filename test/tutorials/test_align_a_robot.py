# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The tutorial "Align a model on its robot": what it says is done here, in its order, in small."""

from pathlib import Path
import shutil

import pytest
from tutorial import beginning_in, QUICK, Tutorial

SMALL = {
    'align': '--n-steps 300 --settle-steps 100 --round-steps 100 --guard-every 2 '
             '--guard-episodes 2 --n-candidates 2 --batch-size 16 --processes 1',
    'diagnose': '--episodes 1 --processes 1 --no-video --planner.n-candidates 2',
    'evaluate': f'{QUICK["evaluate"]} --episodes 2'}
BEGINNING = ('collect', 'train', 'export')  # other tutorials do it; here other tests did


@pytest.fixture(scope='module')
def page(tmp_path_factory, dataset, checkpoint_of, bundle_of):
    page = Tutorial('align_a_robot.md', quick=SMALL)
    with beginning_in(tmp_path_factory.mktemp('tutorial')):
        for made, name in ((dataset, 'data/walker2d/poor-v0'),
                           (checkpoint_of('mlp', 'x0').parent, 'runs/poor'),
                           (bundle_of('mlp', 'x0'), 'models/poor')):
            shutil.copytree(made, name)
        assert [step.words[1] for step in page.steps[:len(BEGINNING)]] == [*BEGINNING]
        for step in page.steps[len(BEGINNING):]:
            # So little learning seldom makes a better model; the page says what happens then.
            if 'runs/poor-aligned/aligned' in step.words and not Path(step.words[3]).exists():
                assert page.reports['align'][0]['bundle'].startswith('nothing exported')
                continue
            page.do(step)
        yield page


def test_every_line_of_it_does_its_work(page):
    assert {step.program for step in page.steps} == {'diffusion_planner'}
    simulated, from_log = page.reports['align']
    assert simulated['run']['settings']['align']['n_steps'] == 300
    assert from_log['bundle']
    assert page.reports['diagnose'][0]['misalignment']
    assert Path('diagnosis/before/report.html').is_file()
