"""Tables in Markdown."""

import pytest

from diffusion_planner_ros.experiments.markdown import table


def test_a_table_has_a_rule_under_its_head_and_escapes_bars():
    assert table(['a', 'b | c'], [['1', 'x|y'], ['2', '']]).splitlines() == [
        r'| a | b \| c |', '| --- | --- |', r'| 1 | x\|y |', '| 2 |  |']


def test_a_row_with_another_number_of_cells_is_refused():
    with pytest.raises(ValueError, match=r"a row has 1 cells, expected 2, .* a, b: \['1'\]"):
        table(['a', 'b'], [['1']])
