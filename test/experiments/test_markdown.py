# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown."""

from diffusion_planner_ros.experiments.markdown import table


def test_a_table_has_a_rule_under_its_head_and_escapes_bars():
    assert table(['a', 'b | c'], [['1', 'x|y'], [2, '']]).splitlines() == [
        r'| a | b \| c |', '| --- | --- |', r'| 1 | x\|y |', '| 2 |  |']
