# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Stamps that do not fit the clock or each other; time is that of the test."""

import pytest

from diffusion_planner_ros.errors import StateError
from diffusion_planner_ros.nodes.common.conversions import NANOSECONDS
from diffusion_planner_ros.nodes.state import stamp_check as stamps
from diffusion_planner_ros.nodes.state.stamp_check import StampCheck

MAX_AGE = 0.1  # [s]
BEGIN = 1000 * NANOSECONDS


class Time:
    """Plays the clock of a node and the steady clock."""

    def __init__(self, is_simulated):
        self.ros_time_is_active = is_simulated
        self.nanoseconds = BEGIN
        self.steady = 0.0

    def now(self):
        return self

    def pass_by(self, seconds):
        self.steady += seconds
        self.nanoseconds += round(seconds * NANOSECONDS)


@pytest.fixture(params=[False, True], ids=['wall', 'simulated'])
def clock(request, monkeypatch):
    clock = Time(request.param)
    monkeypatch.setattr(stamps.time, 'monotonic', lambda: clock.steady)
    return clock


@pytest.fixture
def check(clock):
    return StampCheck('joint states are', clock, MAX_AGE)


def milliseconds(n):
    return BEGIN + n * 1_000_000


def test_stamps_in_order_pass_and_so_does_one_that_is_repeated(check):
    for stamp in (milliseconds(0), milliseconds(8), milliseconds(8), milliseconds(16)):
        assert check.check(stamp)
        assert check.advance(stamp) == 0


def test_an_older_stamp_is_refused_while_newer_ones_come(check, clock):
    for k in range(20):
        check.advance(milliseconds(8 * k))
        clock.pass_by(0.008)
        with pytest.raises(StateError, match=r'joint states are 0\.020 s older'):
            check.advance(milliseconds(8 * k - 20))


def test_a_stream_that_sends_nothing_newer_has_started_over(check, clock):
    check.advance(milliseconds(90))  # once, ahead of time
    clock.pass_by(0.09)
    with pytest.raises(StateError, match='older'):
        check.advance(milliseconds(0))
    clock.pass_by(0.02)
    assert check.advance(milliseconds(0)) == pytest.approx(0.09)
    assert check.advance(milliseconds(8)) == 0


@pytest.mark.parametrize(('age', 'text'), [
    (200, '0.200 s old, expected at most 0.1 s'), (-200, '0.200 s in the future')])
def test_a_stamp_that_does_not_fit_the_clock_is_refused_with_advice_for_that_clock(
        check, clock, age, text):
    if clock.ros_time_is_active:
        assert not check.check(milliseconds(-age))  # time may have jumped: not a word yet
        clock.steady += 0.11
    with pytest.raises(StateError, match=text) as error:
        check.check(milliseconds(-age))
    assert ('chrony' in str(error.value)) == (not clock.ros_time_is_active)
    assert ("'/clock'" in str(error.value)) == clock.ros_time_is_active


def test_after_a_jump_of_simulated_time_the_old_ones_are_dropped_without_a_word(check, clock):
    clock.ros_time_is_active = True
    assert check.check(milliseconds(0))
    clock.nanoseconds += 2 * NANOSECONDS
    for _ in range(5):
        assert not check.check(milliseconds(0))
        clock.pass_by(0.01)
    assert check.check(clock.nanoseconds)
    clock.pass_by(10.0)
    clock.nanoseconds += 2 * NANOSECONDS
    assert not check.check(milliseconds(0))  # a second jump is one as well
