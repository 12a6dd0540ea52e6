# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The robot is shown as late as its plans; numbers over time; the steps from noise to plan."""

from builtin_interfaces.msg import Time
import numpy as np
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from diffusion_planner_ros.nodes.display.markers import DENOISING_TIME
from diffusion_planner_ros.nodes.view.denoising_steps import DenoisingSteps
from diffusion_planner_ros.nodes.view.history import GAP, History
from diffusion_planner_ros.nodes.view.playback import N_KEPT, Playback

PERIOD = 33_000_000  # [ns] between two states that come


def shown_after(n, plan_delay):
    """Return the number of the state that is shown after n states, plans being so late [ns]."""
    playback = Playback()
    for k in range(n):
        playback.add(k * PERIOD, {'joint': float(k)})
        if k % 3 == 2:
            playback.note_plan(k * PERIOD - plan_delay)
    return playback.positions['joint']


def test_the_robot_is_shown_where_its_plan_begins():
    assert shown_after(30, 0) == 29
    assert shown_after(30, 3 * PERIOD) == 26
    assert shown_after(30, 3 * PERIOD + 1) == 25  # not before the plan's state


def test_without_plans_the_newest_state_is_shown():
    playback = Playback()
    assert playback.positions == {}
    for k in range(3 * N_KEPT):
        playback.add(k * PERIOD, {'joint': float(k)})
    assert playback.positions == {'joint': 3 * N_KEPT - 1}


def test_a_late_plan_is_forgotten_slowly_and_an_absurd_one_at_once():
    playback = Playback()
    playback.add(0, {'joint': 0.0})
    playback.add(PERIOD, {'joint': 1.0})
    playback.note_plan(10**15)  # of the future
    assert playback.positions == {'joint': 1.0}
    playback.note_plan(0)
    assert playback.positions == {'joint': 0.0}
    for _ in range(100):
        playback.note_plan(PERIOD)
    assert playback.positions == {'joint': 1.0}


def test_while_time_stands_still_the_robot_is_where_the_last_plan_begins():
    playback = Playback()
    for k in range(10):
        playback.add(k * PERIOD, {'joint': float(k)})
    playback.note_plan(0)
    playback.note_plan(7 * PERIOD)
    assert playback.positions['joint'] < 7  # as late as the plan before was, or nearly
    playback.add(9 * PERIOD, {'joint': 9.0})
    assert playback.positions['joint'] == 7


def test_after_a_jump_of_time_the_past_is_not_shown():
    for later in (20_000_000_000, -1_000_000_000):
        playback = Playback()
        playback.add(10 * PERIOD, {'joint': 0.0})
        playback.note_plan(9 * PERIOD)
        playback.add(10 * PERIOD + later, {'joint': 1.0})
        assert playback.positions == {'joint': 1.0}


def test_numbers_are_kept_for_a_while():
    history = History(2, span=10.0)
    assert [array.size for array in history.at(0.0)] == [0, 0, 0]
    for time in range(20):
        history.add(float(time), time * 1.0, float('nan') if time == 19 else 5.0)
    times, first, second = history.at(20.0)
    assert times.tolist() == list(range(-10, 0))
    assert first.tolist() == list(range(10, 20))
    assert second[:-1].tolist() == [5.0] * 9
    assert np.isnan(second[-1])
    history.clear()
    assert [array.size for array in history.at(22.0)] == [0, 0, 0]


def test_numbers_grow_older_while_none_comes_and_no_line_leads_over_that_time():
    history = History(1, span=10.0)
    history.add(0.0, 1.0)
    history.add(1.0, 2.0)
    history.add(1.0 + GAP, 3.0)
    assert [array.tolist() for array in history.at(4.0)] == [
        [-4.0, -3.0, GAP - 3.0], [1.0, 2.0, 3.0]]
    assert [array.tolist() for array in history.at(10.5)] == [[-9.5, GAP - 9.5], [2.0, 3.0]]
    history.add(10.0, 4.0)  # after a pause
    _, numbers = history.at(10.5)
    assert [None if np.isnan(n) else n for n in numbers] == [2.0, 3.0, None, 4.0]


def test_the_steps_of_one_plan_are_kept_until_those_of_another_are_complete():
    def message(t, plan):
        header = Header(stamp=Time(sec=plan))
        return MarkerArray(markers=[Marker(header=header, ns=DENOISING_TIME, text=f't = {t} of 20',
                                           type=Marker.TEXT_VIEW_FACING)])

    collected = DenoisingSteps()
    assert collected.at(0.5) is None
    for t in (10, 0):  # of a plan that began before somebody listened
        collected.add(message(t, 1))
    assert collected.at(0.5) is None
    for t in (20, 10, 0):
        collected.add(message(t, 2))
    first = collected.steps
    assert [collected.at(share) for share in (0.0, 0.5, 1.0)] == list(first)
    collected.add(message(20, 3))
    assert collected.steps is first
    for t in (10, 0):
        collected.add(message(t, 3))
    assert len(collected.steps) == 3
    assert collected.steps is not first
    collected.add(MarkerArray())
