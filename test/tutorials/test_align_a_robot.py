"""The tutorial "Align a model on its robot": what it says is done here, in its order, in small."""

from pathlib import Path

import pytest
from tutorial import beginning_in, Tutorial

ALIGN = ('--n-steps 300 --settle-steps 100 --round-steps 100 --guard-every 2 --guard-episodes 2 '
         '--n-candidates 2 --batch-size 16 --processes 1')
DIAGNOSE = '--episodes 1 --processes 1 --no-video --planner.n-candidates 2'
pytestmark = pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    page = Tutorial('align_a_robot.md', quick={'align': ALIGN, 'diagnose': DIAGNOSE})
    with beginning_in(tmp_path_factory.mktemp('tutorial')):
        for step in page.steps:
            missing = [word for word in step.words
                       if word.endswith('aligned') and not Path(word).exists()]
            # So little learning seldom makes a better model; the page says what happens then.
            if '--bundle' in step.words and missing:
                assert 'nothing exported' in page.reports['align'][0]['bundle']
                continue
            page.do(step)
        yield page


def test_every_line_of_it_does_its_work(page):
    assert {step.program for step in page.steps} == {'diffusion_planner'}
    simulated, logged = page.reports['align']
    assert simulated['run']['align']['n_steps'] == 300
    assert logged['bundle']
    assert page.reports['diagnose'][0]['misalignment']
    assert Path('diagnosis/before/report.html').is_file()
    assert Path('log.hdf5').is_file()
