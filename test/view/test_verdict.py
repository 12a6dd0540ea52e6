# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the page says of a robot, from what was heard and when."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np
import pytest

from diffusion_planner_ros.nodes.view.timeliness import timeliness
from diffusion_planner_ros.nodes.view.verdict import Heard, Report, report_in, verdict

NOW = 1000.0  # [s]
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def report(state, *, ago=0.5, level=OK, message='', **facts):
    return Report({'state': state, **facts}, message, level, 'walker2d', NOW - ago)


def heard(**changes):
    """Return what is heard of a robot that walks."""
    return Heard(**{'since': NOW - 60, 'planner': report('planning'),
                    'bridge': report('running'), 'state_came': NOW - 0.03,
                    'time_moved': NOW - 0.03, 'plan_came': NOW - 0.1, 'has_plans': True,
                    **changes})


def test_all_is_well():
    assert verdict(heard(), NOW).level == 'good'
    assert verdict(heard(bridge=Report()), NOW).level == 'good'  # hardware


@pytest.mark.parametrize(('changes', 'text'), [
    ({'bridge': report('stopped', level=ERROR, message='stopped: no command', ago=0.1)},
     'Robot stopped: no command'),
    ({'planner': report('planning', ago=4.0)}, 'The planner is silent for 4 s'),
    ({'planner': report('stopped', level=ERROR, message='stopped: stale state')},
     'Planner stopped: stale state'),
    ({'plan_came': NOW - 0.8}, 'No plan for 0.8 s, though the robot goes on'),
    ({'bridge': report('running', ago=0.2), 'time_moved': NOW - 1.5, 'plan_came': NOW - 1.5},
     'The simulator has waited for a torque for 1.3 s'),
    ({'bridge': report('running', ago=5.0), 'time_moved': NOW - 5.2, 'plan_came': NOW - 5.2,
      'state_came': NOW - 5.2}, 'The simulator is silent for 5 s'),
    ({'bridge': Report(), 'time_moved': NOW - 1.0, 'state_came': NOW - 1.0},
     'No joint states'),
    ({'planner': Report()}, 'A robot, but no planner')])
def test_what_is_wrong_is_red_and_named(changes, text):
    found = verdict(heard(**changes), NOW)
    assert found.level == 'bad'
    assert found.text.startswith(text)


@pytest.mark.parametrize(('changes', 'level', 'text'), [
    ({'bridge': report('paused'), 'time_moved': NOW - 9, 'plan_came': NOW - 9}, 'idle', 'Paused'),
    ({'bridge': report('over', episode_end='fall')}, 'idle', 'Episode over: fall'),
    ({'planner': report('planning', level=WARN, message='out of distribution: score 2.1')},
     'warning', 'Planner: out of distribution: score 2.1')])
def test_what_is_not_wrong_is_not_red(changes, level, text):
    found = verdict(heard(**changes), NOW)
    assert (found.level, found.text) == (level, text)


def test_a_planner_that_draws_nothing_is_not_blamed_for_plans_that_do_not_come():
    assert verdict(heard(has_plans=False, plan_came=float('-inf')), NOW).level == 'good'


@pytest.mark.parametrize(('stood', 'has_jumped'), [(9.0, False), (0.1, True)])
def test_after_a_pause_or_a_reset_a_plan_is_late_only_after_some_time(stood, has_jumped):
    told = heard(time_moved=NOW - stood, plan_came=NOW - 9.0)
    told.move_time(NOW, has_jumped=has_jumped)
    assert verdict(told, NOW + 0.1).level == 'good'
    for ago in np.arange(0.0, 0.9, 0.1):
        told.move_time(NOW + ago, has_jumped=False)
    assert verdict(told, NOW + 0.9).text == 'No plan for 0.9 s, though the robot goes on'


def test_at_first_it_listens_and_then_says_that_there_is_nobody():
    assert verdict(Heard(NOW), NOW + 0.5).text == 'Listening ...'
    assert verdict(Heard(NOW), NOW + 5).text.startswith('Nothing heard')


def test_time_in_which_it_could_not_listen_does_not_count():
    """The lid of a laptop was closed for a minute."""
    told = heard()
    later = NOW + 60
    assert verdict(told, later).level == 'bad'
    told.excuse(60)
    assert verdict(told, later).level == 'good'


def test_the_report_of_a_node_is_found_by_its_name():
    status = DiagnosticStatus(name='robot1/planner', level=WARN, message='waiting',
                              hardware_id='robot1/walker2d',
                              values=[KeyValue(key='state', value='waiting')])
    msg = DiagnosticArray(status=[DiagnosticStatus(name='planner'), status])
    found = report_in(msg, 'robot1/planner', NOW)
    assert (found.state, found.level, found.came) == ('waiting', WARN, NOW)
    assert report_in(msg, 'robot2/planner', NOW) is None


@pytest.mark.parametrize(('missed', 'deadline', 'level', 'text'), [
    (0, '8.0', 'good', 'In time: 100.0 % of 8,000 periods of 8 ms; late: 0. Good'),
    (1, '8.0', 'good', 'In time: 99.9 % of 8,000 periods of 8 ms; late: 1. Good'),
    (200, '32.0', 'warning', 'In time: 97.5 % of 8,000 periods of 32 ms; late: 200. Not good'),
    (1392, '8.0', 'bad', 'In time: 82.6 % of 8,000 periods of 8 ms; late: 1,392. Bad'),
    (0, 'nan', 'idle', 'In time: all, as the simulator waits for each torque')])
def test_torques_that_come_in_time_are_counted_and_judged(missed, deadline, level, text):
    found = timeliness({'total_steps': '8000', 'missed_deadlines': str(missed),
                        'deadline_ms': deadline})
    assert found.level == level
    assert found.text.startswith(text)


def test_what_is_not_counted_is_not_judged():
    assert timeliness({}).text.startswith('In time: not reported')  # hardware
    facts = {'total_steps': '0', 'missed_deadlines': '0', 'deadline_ms': '8.0'}
    assert timeliness(facts).level == 'idle'
