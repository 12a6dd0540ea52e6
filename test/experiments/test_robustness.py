"""The verb ``robustness``: rows of the table are the episodes that they say they are."""

from dataclasses import replace
import json
from pathlib import Path

from paths import SOURCE
import pytest

from diffusion_planner_ros.commands.measure.robustness import robustness
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.execution import REPLANNED
from diffusion_planner_ros.experiments.robustness.robustness_conditions import CONDITIONS, select
from diffusion_planner_ros.experiments.robustness.robustness_run import robustness_table
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.sim.perturbation import UNPERTURBED

SHIPPED = SOURCE / 'models' / 'walker2d'
# The robot falls soon under these.
ROWS = {'mass +20 %', 'delay 1, not compensated'}
ONLY = ('mass +20', 'not compensated')
ONE_CANDIDATE = PlannerConfig(n_candidates=1)


def summary(**changes):
    return {'return_mean': 1234.5, 'return_stderr': 67.8, 'falls': 3, 'episodes': 20,
            'fall_rate': 0.15, **changes}


def test_all_conditions_differ_and_the_first_is_nominal():
    assert next(iter(CONDITIONS.items())) == ('nominal', (UNPERTURBED, REPLANNED))
    assert len(set(CONDITIONS.values())) == len(CONDITIONS)


def test_conditions_are_chosen_by_a_part_of_their_name():
    assert set(select(ONLY)) == ROWS
    assert select(None) == CONDITIONS


def test_every_row_reports_the_episodes_of_its_condition_and_bundle(tmp_path, capsys):
    picture = tmp_path / 'robustness.png'
    robustness(ONE_CANDIDATE, bundles=(f'a={SHIPPED}', str(SHIPPED)), only=ONLY, episodes=1,
               first_seed=8, processes=1, out=picture, json=True)
    report = json.loads(capsys.readouterr().out)
    assert set(report['conditions']) == ROWS
    bundle = Bundle.load(SHIPPED)
    for name, by_label in report['conditions'].items():
        perturbation, execution = CONDITIONS[name]
        expected, _ = run_episode(8, planner=Planner(bundle, replace(ONE_CANDIDATE, seed=8)),
                                  execution=execution, perturbation=perturbation)
        assert set(by_label) == {'a', str(SHIPPED)}
        assert all(facts['returns'] == [expected.episode_return] for facts in by_label.values())
    assert report['bundles']['a'] == {'path': str(SHIPPED), 'hash': bundle.hash}
    assert picture.read_bytes().startswith(b'\x89PNG')
    assert [p.name for p in tmp_path.iterdir()] == ['robustness.png']


def test_without_json_a_table_in_markdown_is_printed(tmp_path, capsys):
    robustness(ONE_CANDIDATE, only=('mass +20',), episodes=1, processes=1, out=tmp_path / 'r.png')
    head, rule, row = capsys.readouterr().out.splitlines()
    assert (head, rule) == ('| condition | shipped: return | falls |', '| --- | --- | --- |')
    assert row.startswith('| mass +20 % | ')
    assert row.endswith(' | 1 of 1 |')


def test_the_table_has_two_columns_per_bundle():
    text = robustness_table(
        {'nominal': {'before': summary(), 'after': summary(return_stderr=None)}})
    assert text.splitlines() == [
        '| condition | before: return | falls | after: return | falls |',
        '| --- | --- | --- | --- | --- |',
        '| nominal | 1,234 +- 68 | 3 of 20 | 1,234 | 3 of 20 |']


@pytest.mark.parametrize(('options', 'message'), [
    ({'only': ('wind',)}, "no condition is called 'wind', expected a part of one of: nominal; "),
    ({'bundles': ('=x',)}, "bundles has '=x', expected PATH or LABEL=PATH"),
    ({'bundles': ('x=',)}, "bundles has 'x=', expected PATH or LABEL=PATH"),
    ({'bundles': ('a=x', 'a=y')}, "bundles has 'a' twice"),
    ({'episodes': 0}, 'episodes is 0, expected at least 1'),
    ({'out': Path('nowhere/r.png')}, 'nowhere/r.png: expected the name of a PNG file'),
    ({'out': Path('r.pdf')}, 'r.pdf: expected the name of a PNG file')])
def test_a_wrong_option_is_refused_before_anything_runs(options, message):
    with pytest.raises(ConfigError, match=message):
        robustness(PlannerConfig(), **options)


def test_a_bundle_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match='no such file'):
        robustness(PlannerConfig(), bundles=(f'{SHIPPED}', f'after={tmp_path / "none"}'))
