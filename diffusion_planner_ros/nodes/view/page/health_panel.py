# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How the robot is: charts over time, torques, and numbers."""

from collections.abc import Mapping
import math

import viser

from ..timeliness import timeliness
from ..verdict import number_in, Report
from .number_rows import deadline, number_rows
from .prediction_panel import PredictionPanel
from .time_chart import TimeChart
from .words import judged, note, table, torque_bars

WIDTH = 330  # [pixels] of the panel
CHART_PERIOD = 1.0  # [s] between two pictures of a chart
VALUE_PERIOD = 0.2  # [s] between two plans whose values a chart takes
STANDING = ('paused', 'over')  # states of the simulator in which the charts have a gap


class HealthPanel:
    """The panel at the left."""

    def __init__(self, server: viser.ViserServer) -> None:
        gui = server.gui
        panel = gui.add_panel()
        panel.dock_left()
        panel.set_width(WIDTH)
        with panel.add_tab('Health', viser.Icon.HEARTBEAT):
            self._timeliness = gui.add_html('')
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
        if bridge.state in STANDING:
            return
        self._latency.add(now, number_in(facts, 'latency_last_minute_p50_ms'),
                          number_in(facts, 'latency_last_minute_p99_ms'),
                          deadline(facts, bridge.facts))
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
        self._timeliness.content = judged(timeliness(bridge.facts))
        self._torques.content = torque_bars(torques)
        self._numbers.content = table(number_rows(planner.facts, bridge.facts))


def progress_of(bridge: Mapping[str, str]) -> dict[str, str]:
    """Return how far a simulated robot has come, in words."""
    rows = {}
    for key, digits, unit in (('distance', 1, ' m'), ('speed', 2, ' m/s'), ('time', 1, ' s'),
                              ('return', 0, '')):
        if not math.isnan(number := number_in(bridge, key)):
            rows[key] = f'{round(number, digits) + 0.0:,.{digits}f}{unit}'  # + 0.0: no '-0'
    return rows


def _threshold(facts: Mapping[str, str], key: str) -> float:
    """Return a threshold; 0 means that it is switched off."""
    return number_in(facts, key) or math.nan
