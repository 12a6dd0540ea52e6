# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The tutorial "Walk in five minutes": every line of it lets a robot walk, until it falls."""

import re

from paths import SOURCE
import pytest
from tutorial import Tutorial

# A poor planner, so that an episode is short; the numbers of the page are of a good one.
WALK = ('--lockstep --no-video --no-view --episodes 1 --planner.n-candidates 1 '
        '--planner.n-denoise-steps 1 --planner.temperature 10')


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    page = Tutorial('first_walk.md', quick={'walk': WALK})
    folder = tmp_path_factory.mktemp('tutorial')
    (folder / 'models').symlink_to(SOURCE / 'models')  # as in a clone
    with page.done_in(folder):
        yield page


def test_every_line_of_it_makes_the_robot_walk(page):
    assert {step.program for step in page.steps} == {'make'}
    robots = [report['run']['robot'] for report in page.reports['walk']]
    assert robots == ['hopper' if 'hopper' in step.text else 'walker2d' for step in page.steps]
    assert all(report['episode_steps'][0] > 0 for report in page.reports['walk'])


def test_the_numbers_that_it_explains_are_reported(page):
    explained = re.findall(r'`(\w+)`', ''.join(re.findall(r'^\| (`.*?) \|', page.text, re.M)))
    assert len(explained) == 8
    assert set(explained) <= set(page.reports['walk'][0])
