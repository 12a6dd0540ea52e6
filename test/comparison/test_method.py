# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How methods are written on the command line."""

import pytest
import yaml

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.comparison.cell import Cell
from diffusion_planner_ros.experiments.comparison.cell_model import DataSet
from diffusion_planner_ros.experiments.comparison.evaluation import Evaluation
from diffusion_planner_ros.experiments.comparison.method import (
    every_method,
    Method,
    parse_methods,
)
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets import preset
from diffusion_planner_ros.presets.preset import Preset, preset_names

EVALUATION = Evaluation(episodes=2, first_seed=2000, minutes=1.0)


def cell(word, tmp_path):
    return Cell(Method.parse(word), DataSet.at(tmp_path, 'walker2d'), 0, 1.0, EVALUATION)


@pytest.mark.parametrize('name', preset_names())
def test_a_preset_is_a_method_with_its_settings(name):
    method = Method.parse(name)
    assert method.train == TrainConfig(**Preset.load(name).train)
    assert method.planner == PlannerConfig(**Preset.load(name).planner)


def test_settings_behind_a_preset_win_over_it():
    method = Method.parse('diffuser:n_candidates=16,horizon=8,guides=speed+effort,'
                          'guide_weights=1+0.5,n_unguided_steps=0')
    expected = Preset.load('diffuser')
    assert method.train == TrainConfig(**{**expected.train, 'horizon': 8})
    assert method.planner == PlannerConfig(**{
        **expected.planner, 'n_candidates': 16, 'guides': ('speed', 'effort'),
        'guide_weights': (1.0, 0.5), 'n_unguided_steps': 0})


def test_a_setting_that_training_and_planning_have_says_whose_it_is():
    method = Method.parse('weighted:train.temperature=0.3,planner.temperature=0.5')
    assert (method.train.temperature, method.planner.temperature) == (0.3, 0.5)


def test_every_method_can_be_read():
    methods = parse_methods(every_method())
    assert len(methods) == len(set(methods)) == len(every_method())
    assert {'behaviour', 'bc', 'cql', 'awac', 'iql', 'td3-bc', 'walker'} <= set(every_method())


def test_presets_that_need_data_of_their_own_are_compared_only_when_named():
    assert not {'commanded', 'maze'} & set(every_method())
    parse_methods(['commanded', 'maze'])


@pytest.mark.parametrize(('word', 'reason'), [
    ('walkman', "methods has 'walkman', expected one of .*weighted, behaviour, bc"),
    ('bc:width=3', 'a baseline takes no settings'),
    ('walker:', 'expected SETTING=VALUE'),
    ('walker:wings=2', "with 'wings=2', expected SETTING=VALUE"),
    ('walker:horizon=long', "horizon is 'long', expected an integer from 2"),
    ('walker:horizon=1', 'horizon is 1, expected an integer from 2'),
    ('walker:seed=1', 'seed is not a method.s; give --seeds'),
    ('walker:n_updates=1', 'give --minutes'),
    ('weighted:temperature=0.3', 'expected train.temperature=0.3 or planner.temperature=0.3'),
    ('walker:planner.horizon=8', "with 'planner.horizon=8', expected SETTING=VALUE"),
    ('walker:n_denoise_steps=30', 'n_denoise_steps is 30, expected 1 to 20'),
])
def test_what_is_no_method_is_refused_with_the_reason(word, reason):
    with pytest.raises(ConfigError, match=reason):
        Method.parse(word)


def test_no_method_comes_twice():
    with pytest.raises(ConfigError, match='none twice'):
        parse_methods(['bc', 'bc'])


def test_cells_that_differ_in_planning_alone_share_a_model(tmp_path):
    walker, few = (cell(word, tmp_path).model for word in ('walker', 'walker:n_candidates=2'))
    assert walker == few
    assert walker.folder(tmp_path) == few.folder(tmp_path)
    others = [cell(word, tmp_path).model for word in ('walker:horizon=4', 'diffuser', 'bc')]
    folders = {model.folder(tmp_path) for model in (walker, *others)}
    assert len(folders) == 4


def test_a_distilled_method_needs_the_model_of_its_teacher(tmp_path, monkeypatch):
    for name, facts in {'wide': {'train': {'width': 64}},
                        'fast': {'distilled_from': 'wide', 'train': {'width': 32}}}.items():
        (tmp_path / f'{name}.yaml').write_text(yaml.safe_dump(
            {'about': '', 'source': '', 'planner': {}, **facts}))
    monkeypatch.setattr(preset, 'FOLDER', tmp_path)
    model = cell('fast', tmp_path).model
    assert model.config.width == 32
    assert model.teacher == cell('wide', tmp_path).model
