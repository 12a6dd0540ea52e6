# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A denoiser that is told the commanded speed: what it learns from, and what it plans."""

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.errors import ConfigError, DatasetError
from diffusion_planner_ros.learning.trainer import Trainer
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file

H = 8
COMMANDED = PlannerConfig(**Preset.load('commanded').planner)
TOLD = {'return_share': 1.0, 'told': 'speed', 'width': 8, 'depth': 1}


@pytest.fixture(scope='module')
def shipped():
    return Bundle.load(share_file('models/walker2d_speeds'))


@pytest.fixture
def commanded(recorded):
    """Return episodes in which every step has another command."""
    return [replace(episode, commands=0.01 * np.arange(len(episode)) + i)
            for i, episode in enumerate(recorded.episodes[:4])]


def cut(episodes, robot):
    return Windows.cut(episodes, robot, H, discount=0.99, fall_penalty=100.0)


def test_every_row_has_its_command_and_a_fall_the_last_one(commanded, robot):
    windows = cut(commanded, robot)
    assert len(windows.commands) == len(windows.rows)
    n = len(commanded[0])
    assert commanded[0].terminated
    assert_array_equal(windows.commands[:n], commanded[0].commands)
    assert windows.commands[n] == commanded[0].commands[-1]
    assert windows.commands[n + 1] == commanded[1].commands[0]


def test_the_denoiser_is_told_the_command_of_the_first_row(commanded, robot, config_of,
                                                           monkeypatch):
    trainer = Trainer(config_of(**TOLD), robot, cut(commanded, robot))
    told, windows = [], []
    learner, loss = trainer.learner, trainer.learner.denoising_loss

    def watch(x_0, t, eps, known, wanted, **options):
        told.append(wanted.numpy())
        windows.append(learner.normalizer.unnormalize(x_0.double().numpy()))
        return loss(x_0, t, eps, known, wanted, **options)
    monkeypatch.setattr(learner, 'denoising_loss', watch)
    trainer.update()
    rows = {row[6:].astype(np.float32).tobytes(): command for episode in commanded
            for row, command in zip(cut([episode], robot).rows, episode.commands, strict=False)}
    states = np.stack([np.frombuffer(key, dtype=np.float32) for key in rows])
    for wanted, first in zip(told[0], windows[0][:, 0, 6:], strict=True):
        nearest = np.abs(states - first).sum(axis=1).argmin()
        assert wanted == pytest.approx([*rows.values()][nearest])


def test_data_without_commands_are_refused(recorded, robot, config_of):
    with pytest.raises(DatasetError, match="told is 'speed', but there are episodes"):
        Trainer(config_of(**TOLD), robot, cut(recorded.episodes[:4], robot))


def test_a_planner_tells_the_target_speed_and_another_one_from_the_next_plan_on(shipped, walker):
    def planned(planner):
        return planner.plan(walker.state).actions
    planner = Planner(shipped, replace(COMMANDED, target_speed=0.5))
    slow = planned(planner)
    planner.aim_speed(2.0)
    fast = planned(planner)
    assert np.abs(fast - slow).max() > 1.0  # [N m]
    assert_allclose(fast, planned(Planner(shipped, replace(COMMANDED, target_speed=2.0))))


def test_a_planner_that_is_told_nothing_follows_no_speed(shipped):
    planner = Planner(shipped, PlannerConfig())
    assert not planner.follows_speed
    with pytest.raises(ConfigError, match='a return_weight above 0'):
        planner.aim_speed(1.0)
