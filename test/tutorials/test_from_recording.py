# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The tutorial "From your recording to your bundle": done here, in its order, in small."""

from pathlib import Path
import re

import pytest
from tutorial import QUICK, Tutorial

from diffusion_planner_ros.planning.bundle import Bundle

WALK = f'{QUICK["walk"]} --episodes 1 --planner.n-denoise-steps 1 --planner.temperature 5'


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    page = Tutorial('from_recording.md', quick={'walk': WALK})
    with page.done_in(tmp_path_factory.mktemp('tutorial')):
        yield page


def test_the_recording_becomes_a_bundle_that_moves_the_robot(page):
    assert {step.program for step in page.steps} == {'diffusion_planner'}
    assert list(page.reports) == ['walk', 'import', 'train', 'export', 'info', 'evaluate',
                                  'calibrate']
    recorded, walked, calm = page.reports['walk']
    (imported,) = page.reports['import']
    steps = recorded['episode_steps'][0]
    assert steps - 5 <= imported['steps'] <= steps
    assert walked['bundle'] == 'models/walks'
    assert walked['episode_steps'][0] > 0
    assert calm['bundle_hash'] != walked['bundle_hash']
    assert page.reports['evaluate'][0]['episodes'] == 1
    (calibrated,) = page.reports['calibrate']
    assert Bundle.load(Path('models/walks')).hash == calibrated['hash'] == calm['bundle_hash']


def test_the_report_that_it_shows_is_like_this_one(page):
    (shown,) = re.findall(r'^```text\n(.*?)^```', page.text, re.DOTALL | re.M)
    (report,) = page.reports['import']
    (recording,) = report['recordings'].values()
    assert {*re.findall(r'^(\w+)', shown, re.M)} <= {*recording}
