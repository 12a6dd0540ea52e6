# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How the robot is, in one sentence and a colour, from what was heard and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Literal

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

SILENT = 2.5  # [s] without a report, of which there is one in a second
STALE = 0.6  # [s] without a plan, of which 10 in a second are drawn, while the robot goes on
STILL = 0.3  # [s] without a newer state after which time stands still
NEVER = float('-inf')

Level = Literal['good', 'warning', 'bad', 'idle']


@dataclass
class Report:
    """The last diagnostics of a node."""

    facts: dict[str, str] = field(default_factory=dict)
    message: str = ''
    level: bytes = DiagnosticStatus.STALE
    hardware: str = ''
    came: float = NEVER
    """When, on the steady clock [s]."""

    @property
    def state(self) -> str:
        """What the node does, a word of its own; '' before its first report."""
        return self.facts.get('state', '')


def number_in(facts: Mapping[str, str], key: str) -> float:
    """Return a number of a report, NaN where it is missing or is none."""
    try:
        return float(facts.get(key, 'nan'))
    except ValueError:
        return math.nan


def report_in(msg: DiagnosticArray, name: str, now: float) -> Report | None:
    """Return the report of the node of this name, ``None`` if the message has none."""
    for status in msg.status:
        if status.name == name:
            return Report({v.key: v.value for v in status.values}, status.message, status.level,
                          status.hardware_id, now)
    return None


@dataclass
class Heard:
    """What was heard of a robot, and when on the steady clock [s]."""

    since: float
    """When listening began."""
    planner: Report = field(default_factory=Report)
    bridge: Report = field(default_factory=Report)
    state_came: float = NEVER
    """Last joint states."""
    time_moved: float = NEVER
    """Last joint states with a later stamp than those before: the robot's time goes on."""
    went_on: float = NEVER
    """When the robot's time went on last after it had stood still, or had jumped."""
    plan_came: float = NEVER
    """Last plan, from its markers."""
    has_plans: bool = False
    """Whether plans came since the planner, as it runs now, was heard first."""

    def move_time(self, now: float, *, has_jumped: bool) -> None:
        """Note that the robot's time goes on."""
        if has_jumped or now - self.time_moved > STILL:
            self.went_on = now
        self.time_moved = now

    def excuse(self, time: float) -> None:
        """Do not count a time [s] in which we could not listen ourselves."""
        self.since += time
        self.planner.came += time
        self.bridge.came += time
        self.state_came += time
        self.time_moved += time
        self.went_on += time
        self.plan_came += time


@dataclass(frozen=True)
class Verdict:
    """The sentence and how bad it is."""

    level: Level
    text: str


def verdict(heard: Heard, now: float) -> Verdict:
    """
    Judge what was heard.

    The first of these that holds is told: nothing was heard; a node is silent; the robot was
    stopped, or has no torques; plans do not come though the robot's time goes on; a warning; all
    is well.

    :param now: on the steady clock [s].
    """
    planner, bridge = heard.planner, heard.bridge
    if planner.came == NEVER:
        return _without_planner(heard, now)
    if bridge.state == 'stopped' and now - bridge.came < SILENT:
        return Verdict('bad', f'Robot {bridge.message}')
    if (age := now - planner.came) > SILENT:
        return Verdict('bad', f'The planner is silent for {age:.0f} s: it has ended, or hangs. '
                       'Its terminal or log says why')
    if planner.level == DiagnosticStatus.ERROR:
        return Verdict('bad', f'Planner {planner.message}')
    moves = now - heard.time_moved < STILL
    late = now - max(heard.plan_came, heard.went_on)
    if heard.has_plans and planner.state == 'planning' and moves and late > STALE:
        return Verdict('bad', f'No plan for {late:.1f} s, though the robot goes on')
    waited = bridge.came - heard.time_moved
    if bridge.state == 'running' and heard.time_moved > NEVER and waited > STALE:
        return Verdict('bad', f'The simulator has waited for a torque for {waited:.1f} s')
    if bridge.came > NEVER and now - bridge.came > SILENT:
        return Verdict('bad', f'The simulator is silent for {now - bridge.came:.0f} s: it has '
                       'ended, or hangs. Its terminal or log says why')
    if bridge.state == 'paused':
        return Verdict('idle', 'Paused')
    if bridge.state == 'over':
        return Verdict('idle', f'Episode over: {bridge.facts.get("episode_end", "")}')
    if now - heard.state_came > STALE:
        return Verdict('bad', 'No joint states: the robot, its driver or the simulator is silent')
    if planner.level == DiagnosticStatus.WARN:
        return Verdict('warning', f'Planner: {planner.message}')
    return Verdict('good', 'Planning')


def _without_planner(heard: Heard, now: float) -> Verdict:
    if now - heard.since < SILENT:
        return Verdict('idle', 'Listening ...')
    if heard.bridge.came > NEVER or heard.state_came > NEVER:
        return Verdict('bad', 'A robot, but no planner in this ROS domain and namespace')
    return Verdict('idle', 'Nothing heard: does a robot run in this ROS domain and namespace?')
