# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the page says of a robot, before any browser shows it."""

from unittest.mock import MagicMock

import numpy as np
import pytest

from diffusion_planner_ros.nodes.view.page import health_panel
from diffusion_planner_ros.nodes.view.page.health_panel import progress_of
from diffusion_planner_ros.nodes.view.page.number_rows import number_rows
from diffusion_planner_ros.nodes.view.page.words import impulse_words, legend, push_words
from diffusion_planner_ros.nodes.view.verdict import Report

LATENCY = {'latency_last_minute_p50_ms': '3.0', 'latency_last_minute_p99_ms': '5.0'}


class Chart:
    """Keeps what a chart is given."""

    def __init__(self, title, *names):
        self.title, self.names, self.samples = title, names, []

    def add(self, now, *numbers):
        self.samples.append(dict(zip(self.names, numbers, strict=True)))


@pytest.mark.parametrize(('planner', 'bridge', 'expected'), [
    ({'control_period': '0.008'}, {}, 8.0),  # hardware
    ({'control_period': '0.008'}, {'deadline_ms': '32.0'}, 32.0),  # simulated at a quarter
    ({'control_period': '0.008'}, {'deadline_ms': 'nan'}, np.nan),  # lockstep waits
    ({}, {}, np.nan)])
def test_the_chart_of_the_latency_shows_the_deadline(monkeypatch, planner, bridge, expected):
    charts = []
    monkeypatch.setattr(health_panel, 'TimeChart',
                        lambda gui, *words: charts.append(Chart(*words)) or charts[-1])
    panel = health_panel.HealthPanel(MagicMock())
    panel.take_planner(Report(facts=LATENCY | planner), Report(facts=bridge))
    assert charts[0].title == 'Latency: state to torque [ms]'
    assert charts[0].samples == [
        {'median': 3.0, '99 %': 5.0, 'deadline': pytest.approx(expected, nan_ok=True)}]


def test_a_push_is_said_as_force_time_and_speed():
    assert push_words(3.0, 24.0, 0.008) == (
        '3 N s is an impulse, force times time: 375 N for 8 ms. It makes the whole robot, 24 kg, '
        '0.12 m/s faster.')
    assert push_words(3.0, 0.0, np.nan) == '3 N s is an impulse, force times time.'  # nobody knows


def test_large_numbers_have_no_exponent():
    assert push_words(20.0, 0.0, 0.008).endswith('2,500 N for 8 ms.')


@pytest.mark.parametrize(('x', 'z', 'text'), [
    (3.0, 0.0, '3 N s forward'), (-3.0, 0.0, '3 N s backward'), (0.0, 3.0, '3 N s up'),
    (-1.8, -2.4, '1.8 N s backward, 2.4 N s down'), (0.0, 0.0, 'nothing')])
def test_where_a_push_leads_is_said_in_words(x, z, text):
    assert impulse_words(x, z) == text


def test_a_distance_of_nothing_has_no_sign():
    assert progress_of({'distance': '-0.04', 'return': '1234.5'}) == {
        'distance': '0.0 m', 'return': '1,234'}


def test_numbers_say_of_how_many_and_what_is_good():
    rows = number_rows({'control_period': '0.008', 'latency_p99_ms': '4.32'},
                       {'deadline_ms': '32.0', 'total_steps': '8000', 'missed_deadlines': '392'})
    assert rows['missed deadlines'][0] == '392 of 8,000'
    assert 'less than 1 %' in rows['missed deadlines'][1]
    assert rows['99 % of latencies'][0] == 'up to 4.3 ms of 32 ms'
    assert number_rows({}, {}) == {}


def test_charts_have_a_gap_while_the_robot_is_paused(monkeypatch):
    charts = []
    monkeypatch.setattr(health_panel, 'TimeChart',
                        lambda gui, *words: charts.append(Chart(*words)) or charts[-1])
    panel = health_panel.HealthPanel(MagicMock())
    for state in ('running', 'paused', 'over'):
        panel.take_planner(Report(facts=LATENCY), Report(facts={'state': state}))
    assert len(charts[0].samples) == 1


def test_the_legend_names_the_links_of_each_colour_of_the_robot():
    text = legend({(0.8, 0.6, 0.4): ['torso', 'leg'],
                   (0.6, 0.4, 0.2): [f'<{letter}>' for letter in 'abcdefgh']})
    assert '#cc9966"></span>torso, leg</div>' in text
    assert '#996633"></span>&lt;a&gt;, &lt;b&gt;' in text
    assert text.count('&lt;') == 6
    assert ' and 2 more' in text
