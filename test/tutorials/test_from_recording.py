"""The tutorial "From your recording to your bundle": done here, in its order, in small."""

from pathlib import Path
import re

import pytest
from tutorial import beginning_in, QUICK, Tutorial

from diffusion_planner_ros.planning.bundle import Bundle

WALK = f'{QUICK["walk"]} --episodes 1 --planner.n-denoise-steps 1 --planner.temperature 5'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    page = Tutorial('from_recording.md', quick={'walk': WALK})
    with beginning_in(tmp_path_factory.mktemp('tutorial')):
        for step in page.steps:
            page.do(step)
        yield page


def test_the_recording_becomes_a_bundle_that_moves_the_robot(page):
    assert {step.program for step in page.steps} == {'diffusion_planner'}
    assert list(page.reports) == ['walk', 'import', 'train', 'export', 'info', 'evaluate',
                                  'calibrate']
    recorded, walked = page.reports['walk']
    (imported,) = page.reports['import']
    steps = recorded['episode_steps'][0]
    assert steps - 5 <= imported['steps'] <= steps
    assert walked['bundle'] == 'models/walks'
    assert walked['episode_steps'][0] > 0
    assert page.reports['evaluate'][0]['episodes'] == 1
    (calibrated,) = page.reports['calibrate']
    assert Bundle.load('models/walks').hash == calibrated['hash']


def test_the_report_that_it_shows_has_these_lines(page):
    (shown,) = re.findall(r'^```\n(.*?)^```', page.text, re.DOTALL | re.M)
    names = re.findall(r'^(\w+(?: \w+)*?)(?::|  )', shown, re.M)
    assert names
    (report,) = page.reports['import']
    assert {name for name in names if '_' in name or name == 'steps'} <= {
        *report, *report['recordings'][0]} if 'recordings' in report else True
    assert Path('walks.mcap').is_file()
