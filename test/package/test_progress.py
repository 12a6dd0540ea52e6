# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Long work says how far it is, in clean lines where there is no terminal."""

import signal

import pytest

from diffusion_planner_ros.commands import output
from diffusion_planner_ros.commands.interrupted import deferred, Interrupted, leaving, NOTHING_KEPT
from diffusion_planner_ros.commands.output import progress
from diffusion_planner_ros.errors import ConfigError


@pytest.fixture
def every_line(monkeypatch):
    monkeypatch.setattr(output, 'FIRST_LINE', 0.0)
    monkeypatch.setattr(output, 'LOG_PERIOD', 0.0)


def test_a_pipe_gets_plain_lines_with_how_far_how_long_and_the_figure(every_line, capsys):
    with progress('walking', 2000, unit='episodes', done=500) as advance:
        advance(500, ret='4512')
        assert advance.n == 1000
        advance(1000)
    out, err = capsys.readouterr()
    assert out == ''
    assert '\r' not in err
    assert err.splitlines() == ['walking: 1,000 of 2,000 episodes, 00:00 left, ret 4512',
                                'walking: 2,000 of 2,000 episodes, took 00:00, ret 4512']


def test_what_is_expected_may_become_known_later(every_line, capsys):
    with progress('reading', None, unit='messages') as advance:
        advance(10)
        advance.expect(40)
        advance(10)
    first, second, _ = capsys.readouterr().err.splitlines()
    assert first == 'reading: 10 messages, took 00:00'
    assert second == 'reading: 20 of 40 messages, 00:00 left'


def test_between_lines_there_is_time(capsys):
    with progress('walking', 1000, unit='episodes') as advance:
        for _ in range(1000):
            advance(1)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_fault_stands_alone(capsys):
    with pytest.raises(ConfigError), progress('walking', 10, unit='episodes') as advance:
        advance(1)
        raise ConfigError('no')
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('is_terminal', [False, True])
def test_an_interrupt_says_what_is_kept_and_whoever_knows_better_says_more(
        monkeypatch, is_terminal):
    monkeypatch.setattr('sys.stderr.isatty', lambda: is_terminal, raising=False)
    with pytest.raises(Interrupted, match=NOTHING_KEPT), progress('a', 10, unit='steps'):
        raise KeyboardInterrupt
    with (pytest.raises(Interrupted, match=r'^go on$'), leaving('go on'),
          progress('a', 10, unit='steps')):
        raise KeyboardInterrupt
    with (pytest.raises(Interrupted, match=r'^inner$'), progress('a', 10, unit='steps'),
          leaving(lambda: 'inner')):
        raise KeyboardInterrupt


def test_a_deferred_interrupt_waits_until_all_is_whole_and_a_second_one_does_not():
    with deferred() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
