# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Health reports as ``diagnostic_msgs``.

A report has a message, which is for people alone, and facts by name, which programs read. To add
one, describe it in ``VALUES`` and compute it where its neighbours are: for the planner in
``ControlLoop.facts``, for the bridge in ``BridgeEpisode.facts``, for the recorder in its node.
"""

from collections.abc import Mapping
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

VALUES: dict[str, dict[tuple[str, ...], str]] = {
    'planner': {
        ('state',):
            '`unconfigured`, `loading`, `inactive`, `waiting` (for joint states), `planning`, '
            '`stopped`, `contested` (another node commands, too) or `failed`',
        ('bundle_hash', 'provider_in_use'):
            'SHA-256 of the bundle; where onnxruntime computes',
        ('control_period',):
            'of the robot, which the bundle names [s]',
        ('monitor_calibration',):
            '`as measured`; `none` where the bundle has no calibration; otherwise the '
            'settings in which the planner differs from the one that was measured',
        ('is_loading',):
            'whether a bundle is being loaded',
        ('plan_subscribers',):
            'who listens to `~/plan`',
        ('plans',):
            'plans since it was activated',
        ('states_without_plan',):
            'control periods that got no plan of their own',
        ('refused_states',):
            'states that were refused; the log says why',
        ('stops', 'stop_causes', 'stop_cause'):
            'stops since it was activated; how many of each cause; cause of the stop that goes '
            'on, empty while there is none',
        ('clamped_commands',):
            'commands with a torque beyond its limit',
        ('latency_p50_ms', 'latency_p99_ms', 'latency_last_minute_p50_ms',
         'latency_last_minute_p99_ms'):
            'time from sending a state to sending its torque',
        ('stage_receive_p50_ms', 'stage_receive_p99_ms', 'stage_read_p50_ms',
         'stage_read_p99_ms', 'stage_hand_over_p50_ms', 'stage_hand_over_p99_ms',
         'stage_monitor_p50_ms', 'stage_monitor_p99_ms', 'stage_plan_p50_ms',
         'stage_plan_p99_ms', 'stage_send_p50_ms', 'stage_send_p99_ms'):
            'where this time goes, in the last 1,000 control periods: until the state has come, '
            'is read, until planning begins, the monitor, the plan, until the torque is sent',
        ('action_delay_in_use',):
            'control periods between a state and the first action that its plan decides',
        ('torque_step_p50_nm', 'torque_step_p99_nm', 'torque_step_last_minute_p50_nm',
         'torque_step_last_minute_p99_nm'):
            'jump of the torque where a new plan takes over [N m]',
        ('commanded_speed',):
            'speed that is followed [m/s], 0 when the last command is too old; `nan` before the '
            'first one',
        ('plan_value',):
            'predicted return of the current plan',
        ('goals_left',):
            'goals that the robot is still to reach; 0 of a robot that knows none',
        ('prediction_error', 'prediction_percentile'):
            'how far the last state is from its prediction [standard deviations]; share of '
            'the training data with a smaller error [%]',
        ('ood_score', 'ood_score_only_warns'):
            'score of the monitor; whether it only warns, because a torque was late and the robot '
            'may stumble',
        ('state_jump',):
            'largest prediction error of an entry of the last state, over the largest error of '
            'that entry in the training data',
        ('state_deviation',):
            'how far the last state is outside the range of the training data [standard '
            'deviations]',
    },
    'mujoco_bridge': {
        ('mode',):
            '`lockstep` or `real time`',
        ('state', 'episode_end'):
            '`running`, `waiting` (for the first command), `paused`, `stopped` or `over`; how '
            'the episode ended: `fall`, `time limit` or nothing yet',
        ('seed', 'steps', 'time', 'return', 'distance', 'speed', 'fell'):
            'of the episode: control periods, [s], sum of rewards, [m], [m/s], whether it '
            'ended in a fall',
        ('latency_p50_ms', 'latency_p99_ms', 'latency_last_minute_p50_ms',
         'latency_last_minute_p99_ms'):
            'time from publishing a state first to receiving its torque',
        ('total_steps', 'missed_deadlines'):
            'control periods since the start; those whose state had no answer when they ended',
        ('deadline_ms',):
            'time that the planner has for an answer: a control period, longer or shorter where '
            'simulated time is not that of the wall; `nan` in lockstep, which waits',
        ('refused_commands', 'clipped_commands'):
            "commands of wrong length or not finite; commands beyond the motors' limits",
        ('stops', 'stop_cause', 'stopped_steps'):
            'stops, the cause of the last one, control periods under the stop behaviour',
        ('falls', 'pushes'):
            'since the start',
        ('command_publishers',):
            'publishers of commands that DDS lists',
        ('conflicts',):
            'commands or clock, where more than one node sends them; empty where all is well',
    },
    'recorder': {
        ('state',):
            '`recording`, or `waiting` for joint states',
        ('file', 'episodes', 'steps', 'plans'):
            'the HDF5 file and what is in it',
        ('refused',):
            'messages that were not recorded; the log says why',
        ('plan_publishers', 'reward_publishers'):
            'who publishes plans and rewards',
    },
    'mcap_recorder': {
        ('state',):
            '`recording`, or `waiting` for joint states and, with `use_sim_time`, the clock',
        ('file', 'topics', 'messages'):
            'the MCAP file and what is in it',
        ('lost',):
            'messages that did not reach it, as gaps in their numbers tell',
        ('plan_publishers', 'reward_publishers'):
            'who publishes plans and rewards',
    },
}
"""What each node reports, its parameters left out; the documentation's tables are made of it."""


def msg_from_facts(node: Node, robot: str, message: str, facts: Mapping[str, Any], *,
                   level: bytes, stamp: Any) -> DiagnosticArray:
    """
    Build a report; a float is written so that reading it gives the same number.

    ``bool_from_fact`` reads a boolean.

    All robots share the topic. So the name of the report is that of the node with its namespace,
    ``planner`` or ``robot1/planner``, and likewise its hardware is ``walker2d`` or
    ``robot1/walker2d``.

    :param robot: name of the robot, '' where it is not known yet.
    :param message: the state in words, for people.
    :param level: of ``DiagnosticStatus``.
    """
    namespace = node.get_namespace().strip('/')
    status = DiagnosticStatus(
        level=level, name='/'.join(filter(None, (namespace, node.get_name()))),
        hardware_id='/'.join(filter(None, (namespace, robot))), message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in facts.items()])
    msg = DiagnosticArray(status=[status])
    msg.header.stamp = stamp
    return msg


def facts_from_msg(msg: DiagnosticArray, name: str) -> dict[str, str] | None:
    """Return the facts of the report of this name; ``None`` if the message has none."""
    for status in msg.status:
        if status.name == name:
            return {v.key: v.value for v in status.values}
    return None


def fact_from_counts(counts: Mapping[str, int]) -> str:
    """Return a fact that says how often each thing happened; empty if nothing did."""
    return '; '.join(f'{name}: {n}' for name, n in counts.items())


def counts_from_fact(fact: str) -> dict[str, int]:
    """Return what ``fact_from_counts`` was given."""
    entries = (entry.rpartition(': ') for entry in fact.split('; ') if entry)
    return {name: int(n) for name, _, n in entries}


def number_from_fact(fact: str) -> float | None:
    """Return a fact that is a number, or None for NaN, which JSON cannot hold."""
    return None if math.isnan(number := float(fact)) else number


def bool_from_fact(fact: str) -> bool:
    """
    Return a fact that is a boolean.

    :raises ValueError: if it is anything else.
    """
    if fact not in ('True', 'False'):
        raise ValueError(f"fact is '{fact}', expected 'True' or 'False'")
    return fact == 'True'
