# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How the robot is: charts over time, torques, and numbers."""

from collections.abc import Mapping
import math

import viser

from ..verdict import number_in, Report
from .prediction_panel import PredictionPanel
from .time_chart import TimeChart
from .words import note, table, torque_bars

WIDTH = 330  # [pixels] of the panel
CHART_PERIOD = 1.0  # [s] between two pictures of a chart
VALUE_PERIOD = 0.2  # [s] between two plans whose values a chart takes


class HealthPanel:
    """The panel at the left."""

    def __init__(self, server: viser.ViserServer) -> None:
        gui = server.gui
        panel = gui.add_panel()
        panel.dock_left()
        panel.set_width(WIDTH)
        with panel.add_tab('Health', viser.Icon.HEARTBEAT):
            self._latency = TimeChart(gui, 'Latency: state to torque [ms]', 'median', '99 %',
                                      'deadline')
            self._missed = TimeChart(gui, 'Missed deadlines [% of control periods]', 'missed')
            self._value = TimeChart(gui, 'Value of the plan: predicted return', 'value')
            self._ood = TimeChart(gui, 'Out of distribution: score of the monitor', 'score',
                                  'warns above', 'stops above')
        with panel.add_tab('Joints', viser.Icon.ENGINE):
            self.prediction = PredictionPanel(gui)
            gui.add_html(note('Torque of each joint, and its limit [N m]'))
            self._torques = gui.add_html('')
        with panel.add_tab('Numbers', viser.Icon.LIST_NUMBERS):
            self._numbers = gui.add_html('')
        self._steps_before: tuple[int, int] | None = None
        self._charts_due = self._value_due = 0.0

    def take_planner(self, report: Report, bridge: Report) -> None:
        """Add a report of the planner to the charts; the simulator says what its deadline is."""
        facts, now = report.facts, report.came
        self._latency.add(now, number_in(facts, 'latency_last_minute_p50_ms'),
                          number_in(facts, 'latency_last_minute_p99_ms'),
                          _deadline(facts, bridge.facts))
        self._ood.add(now, number_in(facts, 'ood_score'), _threshold(facts, 'ood_warn'),
                      _threshold(facts, 'ood_stop'))

    def take_bridge(self, report: Report) -> None:
        """Add a report of the simulator to the charts."""
        steps, missed = (number_in(report.facts, key)
                         for key in ('total_steps', 'missed_deadlines'))
        if math.isnan(steps + missed):
            return
        before, self._steps_before = self._steps_before, (int(steps), int(missed))
        if before is not None and (n := steps - before[0]) > 0:
            self._missed.add(report.came, 100 * max(0.0, missed - before[1]) / n)

    def take_value(self, now: float, value: float) -> None:
        """Add the value of a plan to the charts."""
        if now >= self._value_due:
            self._value_due = now + VALUE_PERIOD
            self._value.add(now, value)

    def clear(self) -> None:
        """Forget all."""
        for chart in (self._latency, self._missed, self._value, self._ood):
            chart.clear()
        self._steps_before = None

    def refresh(self, now: float, planner: Report, bridge: Report,
                torques: Mapping[str, tuple[float, float]]) -> None:
        """
        Draw what is new.

        :param torques: by joint the torque and its limit [N m].
        """
        if now >= self._charts_due:
            self._charts_due = now + CHART_PERIOD
            for chart in (self._latency, self._missed, self._value, self._ood):
                chart.refresh(now)
        self._torques.content = torque_bars(torques)
        self._numbers.content = table(_numbers(planner.facts, bridge.facts))


def progress_of(bridge: Mapping[str, str]) -> dict[str, str]:
    """Return how far a simulated robot has come, in words."""
    forms = {'distance': '{:.1f} m', 'speed': '{:.2f} m/s', 'time': '{:.1f} s', 'return': '{:.0f}'}
    return {key: form.format(number) for key, form in forms.items()
            if not math.isnan(number := number_in(bridge, key))}


def _numbers(planner: Mapping[str, str], bridge: Mapping[str, str]) -> dict[str, str]:
    """Return what is worth reading, in words."""
    rows = {}
    for name, key, form in (
            ('prediction error', 'prediction_percentile',
             'larger than {:.0f} % of the training data'),
            ('state outside of the data', 'state_deviation', '{:.2f} standard deviations'),
            ('median latency', 'latency_p50_ms', '{:.1f} ms'),
            ('99 % of latency', 'latency_p99_ms', '{:.1f} ms')):
        if not math.isnan(number := number_in(planner, key)):
            rows[name] = form.format(number)
    for facts, keys in ((planner, ('stops', 'stop_causes', 'states_without_plan',
                                   'clamped_commands', 'monitor_calibration', 'provider_in_use',
                                   'bundle_hash')),
                        (bridge, ('mode', 'seed', 'steps', 'missed_deadlines', 'falls',
                                  'pushes'))):
        rows |= {key.replace('_', ' '): facts[key] for key in keys if facts.get(key)}
    return rows


def _deadline(planner: Mapping[str, str], bridge: Mapping[str, str]) -> float:
    """Return how long a torque may take [ms]: on hardware, a control period."""
    if 'deadline_ms' in bridge:
        return number_in(bridge, 'deadline_ms')
    return 1e3 * number_in(planner, 'control_period')


def _threshold(facts: Mapping[str, str], key: str) -> float:
    """Return a threshold; 0 means that it is switched off."""
    return number_in(facts, key) or math.nan
