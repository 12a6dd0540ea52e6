# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Facts of health reports travel unchanged."""

from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus
import pytest
from rclpy.time import Time
from ros_processes import observer

from diffusion_planner_ros.nodes.common.diagnostics import (
    bool_from_fact,
    counts_from_fact,
    fact_from_counts,
    facts_from_msg,
    msg_from_facts,
    number_from_fact,
)
from diffusion_planner_ros.nodes.control.model import Model
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.monitor import MonitorConfig
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file


def test_facts_travel_unchanged_and_the_message_is_not_one_of_them():
    with observer() as node:
        msg = msg_from_facts(node, 'walker2d', 'in words', {'return': 0.1 + 0.2, 'fell': True},
                             level=DiagnosticStatus.OK, stamp=Time().to_msg())
    facts = facts_from_msg(msg, 'observer')
    assert facts == {'return': '0.30000000000000004', 'fell': 'True'}
    assert float(facts['return']) == 0.1 + 0.2
    assert bool_from_fact(facts['fell'])
    assert facts_from_msg(msg, 'planner') is None


def test_settings_other_than_measured_matter_only_where_plans_predict():
    shipped = Bundle.load(share_file('models/walker2d'))
    settings = PlannerConfig(n_candidates=3)
    without = Model.build(replace(shipped, _dynamics=None), settings, MonitorConfig())
    assert 'n_candidates is 3, measured with' in without.calibration
    assert without.calibration.endswith('run diffusion_planner calibrate')
    assert Model.build(shipped, settings, MonitorConfig()).calibration == 'as measured'


@pytest.mark.parametrize('value', [True, False])
def test_a_boolean_is_read_as_it_was_written(value):
    assert bool_from_fact(str(value)) is value


@pytest.mark.parametrize('counts', [{}, {'late plan': 2}, {'late plan': 2, 'stale state': 10}])
def test_counts_are_read_as_they_were_written(counts):
    assert counts_from_fact(fact_from_counts(counts)) == counts


def test_a_number_that_was_not_measured_is_none():
    assert number_from_fact(str(0.1 + 0.2)) == 0.1 + 0.2
    assert number_from_fact(str(float('nan'))) is None


@pytest.mark.parametrize('fact', ['', 'true', 'yes', '1', 'episode over'])
def test_what_is_no_boolean_is_not_taken_for_one(fact):
    with pytest.raises(ValueError, match=f"fact is '{fact}', expected 'True' or 'False'"):
        bool_from_fact(fact)
