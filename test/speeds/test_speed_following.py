# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How near a planner keeps to commanded speeds: what counts, and that the shipped model does."""

import json

import numpy as np
import pytest

from diffusion_planner_ros.commands.measure.speeds import speeds
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.speeds.speed_following import (
    follow,
    FollowedSpeed,
    summarize,
)
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file

SHIPPED = share_file('models/walker2d_speeds')
COMMANDED = PlannerConfig(**Preset.load('commanded').planner)


def test_the_shipped_model_walks_as_fast_as_commanded_and_stands():
    for commanded, tolerance in ((1.0, 0.25), (0.0, 0.1)):
        found = follow(0, commanded, path=SHIPPED, config=COMMANDED)
        assert not found.fell
        assert found.mean == pytest.approx(commanded, abs=tolerance)


def test_the_report_has_a_row_for_every_speed(no_processes, bundle_of, capsys):
    planner = PlannerConfig(n_candidates=1, guides=('speed',))
    options = {'bundle': bundle_of('mlp', 'x0'), 'commanded': (0.0, 1.0), 'episodes': 2,
               'processes': 1}
    capsys.readouterr()  # of the export
    speeds(planner, json=True, **options)
    rows = json.loads(capsys.readouterr().out)['speeds']
    assert [row['commanded'] for row in rows] == [0.0, 1.0]
    for row in rows:  # a model that was trained for seconds falls
        assert row['falls'] == row['episodes'] == 2
        assert row['speed'] is None
    speeds(planner, **options)
    assert '| 1 | all fell | all fell | 2 | 2 |' in capsys.readouterr().out


def test_the_mean_and_the_largest_error_leave_falls_out():
    found = [FollowedSpeed(1.0, mean, fell=np.isnan(mean))
             for mean in (0.9, 1.2, float('nan'))]
    row = summarize(1.0, found)
    assert row['speed'] == pytest.approx(1.05)
    assert row['largest_error'] == pytest.approx(0.2)
    assert (row['falls'], row['episodes']) == (1, 3)


def test_without_the_guide_no_speed_is_followed(no_processes, bundle_of):
    with pytest.raises(ConfigError, match='guides is learned_value and return_weight'):
        speeds(PlannerConfig(), bundle=bundle_of('mlp', 'x0'), episodes=1, processes=1)
