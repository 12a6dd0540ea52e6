# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The moving picture: a cycle that closes, its plans, and a GIF of them."""

import re

import numpy as np
from numpy.testing import assert_allclose
from paths import SOURCE
from PIL import Image
import pytest

from diffusion_planner_ros.commands.inspect.animate import animate
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments import walk_cycle
from diffusion_planner_ros.experiments.plots.animation import animate_apart, N_GROWING, N_NOISY
from diffusion_planner_ros.experiments.walk_cycle import N_PAST, N_PLANS, record_cycle, WalkCycle
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.robots.robot_folder import urdf_file
from diffusion_planner_ros.urdf_tree import transformed, Urdf

N_CANDIDATES, N_DENOISE_STEPS = 2, 2  # so that it takes a second


@pytest.fixture(scope='module')
def cycle():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk_cycle, 'N_CANDIDATES', N_CANDIDATES)
        patch.setattr(walk_cycle, 'N_DENOISE_STEPS', N_DENOISE_STEPS)
        return record_cycle(Bundle.load(SOURCE / 'models' / 'walker2d'), seed=0)


def test_a_cycle_ends_nearly_as_it_begins_and_further_on(cycle):
    begin, end = cycle.qpos[N_PAST], cycle.qpos[-1]
    assert len(cycle.qpos) - N_PAST - 1 in walk_cycle.PERIODS
    assert end[0] - begin[0] > 1.0
    assert np.abs(end - begin)[1:].max() < 0.25


def test_paths_begin_at_torso_and_feet_in_the_control_period_of_their_plan(cycle):
    urdf = Urdf.load(urdf_file('walker2d'))
    joints = ['rootx', 'rootz', 'rooty', 'thigh_joint', 'leg_joint', 'foot_joint',
              'thigh_left_joint', 'leg_left_joint', 'foot_left_joint']
    assert cycle.begins[0] == 0
    assert cycle.futures.shape[:2] == (N_PLANS, N_CANDIDATES)
    assert cycle.denoising.shape[:3] == (N_PLANS, N_DENOISE_STEPS + 1, N_CANDIDATES)
    for plan, begin in enumerate(cycle.begins):
        qpos = cycle.qpos[N_PAST + begin]
        poses = urdf.link_poses(dict(zip(joints, qpos, strict=True)))
        for i, (link, point) in enumerate(urdf.traced.items()):
            place = transformed(poses[link], point)
            assert_allclose(cycle.trace[i, N_PAST + begin], place, atol=1e-9)
            for n in range(N_CANDIDATES):
                assert_allclose(cycle.futures[plan, n, i, 0], place, atol=1e-5)
                assert_allclose(cycle.denoising[plan, -1, n, i, 0], place, atol=1e-5)
        assert_allclose(cycle.ghosts[plan, 0], qpos, atol=1e-5)


def test_a_robot_that_falls_at_once_shows_no_cycle(bundle):
    with pytest.raises(ConfigError, match=r'seed is 3, and the robot fell .* choose another'):
        record_cycle(bundle, seed=3)


def test_the_picture_has_a_frame_for_every_control_period_and_for_the_noise_before(
        cycle, tmp_path):
    short = WalkCycle(cycle.qpos[:N_PAST + 4], cycle.trace[:, :N_PAST + 4], cycle.begins[:1],
                      cycle.denoising[:1], cycle.futures[:1], cycle.values[:1], cycle.best[:1],
                      cycle.ghosts[:1])
    reason = animate_apart('walker2d', short, tmp_path / 'walk.gif')
    if reason is not None and re.search('EGL|OpenGL|gl_context', reason.split('install')[0]):
        pytest.skip(reason)
    assert reason is None
    with Image.open(tmp_path / 'walk.gif') as image:
        assert image.info['loop'] == 0  # without an end
        assert image.n_frames == N_NOISY + N_GROWING + 3
        first = np.asarray(image.convert('RGB'))
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 20


def test_the_picture_of_the_readme_is_small_and_as_long_as_it_should_be():
    file = SOURCE / 'docs' / 'pictures' / 'walk.gif'
    assert file.stat().st_size < 2e6
    with Image.open(file) as image:
        seconds = 0.001 * sum(image.seek(k) or image.info['duration']
                              for k in range(image.n_frames))
    assert 4.0 <= seconds <= 6.0


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'walk.mp4: expected the name of a GIF file, NAME.gif'):
        animate(out=tmp_path / 'walk.mp4')
