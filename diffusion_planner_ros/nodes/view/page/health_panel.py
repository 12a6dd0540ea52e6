"""How the robot is: charts over time, torques, and numbers."""

from collections.abc import Mapping
import math
from typing import Any

import numpy as np
import viser

from ..history import History
from ..verdict import Report
from .words import note, table, torque_bars

SPAN = 60.0  # [s] that charts show
HEIGHT = 120  # [pixels] of a chart
WIDTH = 330  # [pixels] of the panel
COLORS = ('#4c6ef5', '#e8590c', '#c92a2a')
VALUE_SAMPLES = 20  # plans whose values a chart takes in a second, at most


class Chart:
    """Some numbers over the last ``SPAN`` seconds."""

    def __init__(self, gui: viser.GuiApi, title: str, *names: str) -> None:
        self._history = History(len(names), SPAN, largest=round(SPAN * VALUE_SAMPLES))
        look = {'width': 1.5, 'spanGaps': False, 'points': {'show': False}}
        series: tuple[Any, ...] = ({'label': 's'}, *(
            {'label': name, 'stroke': color, **look}
            for name, color in zip(names, COLORS, strict=False)))
        nothing = tuple(np.zeros(0) for _ in series)
        self._plot = gui.add_uplot(
            nothing, series, title=title, height=HEIGHT,
            scales={'x': {'time': False, 'range': (-SPAN, 0.0)}, 'y': {'auto': True}},
            axes=({'show': True, 'size': 28}, {'show': True, 'size': 44}),
            legend={'show': len(names) > 1, 'live': False})

    def add(self, now: float, *numbers: float) -> None:
        """Add a sample."""
        self._history.add(now, *numbers)

    def clear(self) -> None:
        """Forget all."""
        self._history.clear()

    def refresh(self, now: float) -> None:
        """Draw what is new."""
        if (data := self._history.take(now)) is not None:
            self._plot.data = data


class HealthPanel:
    """The panel at the left."""

    def __init__(self, server: viser.ViserServer) -> None:
        gui = server.gui
        panel = gui.add_panel()
        panel.dock_left()
        panel.set_width(WIDTH)
        with panel.add_tab('Health', viser.Icon.HEARTBEAT):
            self._latency = Chart(gui, 'Latency: state to torque [ms]', 'median', '99 %')
            self._missed = Chart(gui, 'Missed deadlines [% of control periods]', 'missed')
            self._value = Chart(gui, 'Value of the plan: predicted return', 'value')
            self._ood = Chart(gui, 'Out of distribution: score of the monitor', 'score',
                              'warns above', 'stops above')
        with panel.add_tab('Joints', viser.Icon.ENGINE):
            gui.add_html(note('Torque of each joint, and its limit [N m]'))
            self._torques = gui.add_html('')
        with panel.add_tab('Numbers', viser.Icon.LIST_NUMBERS):
            self._numbers = gui.add_html('')
        self._steps_before: tuple[int, int] | None = None

    def take_planner(self, report: Report) -> None:
        """Add a report of the planner to the charts."""
        facts, now = report.facts, report.came
        self._latency.add(now, _number(facts, 'latency_last_minute_p50_ms'),
                          _number(facts, 'latency_last_minute_p99_ms'))
        self._ood.add(now, _number(facts, 'ood_score'), _threshold(facts, 'ood_warn'),
                      _threshold(facts, 'ood_stop'))

    def take_bridge(self, report: Report) -> None:
        """Add a report of the simulator to the charts."""
        steps, missed = (_number(report.facts, key) for key in ('total_steps', 'missed_deadlines'))
        if math.isnan(steps + missed):
            return
        before, self._steps_before = self._steps_before, (int(steps), int(missed))
        if before is not None and (n := steps - before[0]) > 0:
            self._missed.add(report.came, 100 * max(0.0, missed - before[1]) / n)

    def take_value(self, now: float, value: float) -> None:
        """Add the value of a plan to the charts."""
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
        for chart in (self._latency, self._missed, self._value, self._ood):
            chart.refresh(now)
        self._torques.content = torque_bars(torques)
        self._numbers.content = table(_numbers(planner.facts, bridge.facts))


def progress_of(bridge: Mapping[str, str]) -> dict[str, str]:
    """Return how far a simulated robot has come, in words."""
    forms = {'distance': '{:.1f} m', 'speed': '{:.2f} m/s', 'time': '{:.1f} s', 'return': '{:.0f}'}
    return {key: form.format(number) for key, form in forms.items()
            if not math.isnan(number := _number(bridge, key))}


def _numbers(planner: Mapping[str, str], bridge: Mapping[str, str]) -> dict[str, str]:
    """Return what is worth reading, in words."""
    rows = {}
    for name, key, form in (
            ('prediction error', 'prediction_percentile',
             'larger than {:.0f} % of the training data'),
            ('state outside of the data', 'state_deviation', '{:.2f} standard deviations'),
            ('median latency', 'latency_p50_ms', '{:.1f} ms'),
            ('99 % of latency', 'latency_p99_ms', '{:.1f} ms')):
        if not math.isnan(number := _number(planner, key)):
            rows[name] = form.format(number)
    for facts, keys in ((planner, ('stops', 'stop_causes', 'states_without_plan',
                                   'clamped_commands', 'monitor_calibration', 'provider_in_use',
                                   'bundle_hash')),
                        (bridge, ('mode', 'seed', 'steps', 'missed_deadlines', 'falls',
                                  'pushes'))):
        rows |= {key.replace('_', ' '): facts[key] for key in keys if facts.get(key)}
    return rows


def _number(facts: Mapping[str, str], key: str) -> float:
    try:
        return float(facts.get(key, 'nan'))
    except ValueError:
        return math.nan


def _threshold(facts: Mapping[str, str], key: str) -> float:
    """Return a threshold; 0 means that it is switched off."""
    return _number(facts, key) or math.nan
