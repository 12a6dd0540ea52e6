# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Join the topics of a recording: states, the torques that acted before them, and rewards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from ...messages.odometry import BaseReader, OdometryHistory
from ...messages.stamps import NO_STATE
from ...robot import Robot
from ..recordings.samples import Samples
from ..recordings.tally import Tally
from ..recordings.timeline import NOWHERE, Timeline
from .bag_config import BagConfig
from .bag_streams import BagStreams, Stream

LATE = 10  # control periods that joint states may come late and are still put in order
MAX_DISORDER = 0.25  # share of joint states whose stamps go far back; more are of two clocks
MAX_BACKWARDS = 0.6  # share that comes before its neighbour; more is time that runs backwards


@dataclass(frozen=True)
class Joined:
    """Samples, and what was found about their clock."""

    samples: Samples
    stamps: str
    """First and last stamps in words."""
    n_put_in_order: int
    """Joint states that came late."""


def join(streams: BagStreams, robot: Robot, config: BagConfig, tally: Tally) -> Joined:
    """
    Join the messages of a recording by their stamps.

    :param tally: counts what is dropped.
    :raises DatasetError: if topics have different clocks, or nothing is left; its text begins
        with what is wrong, not with the name of the recording.
    """
    joints = _stamped(streams.joint_states, config, tally)
    if not joints.stamps:
        raise DatasetError(f'no joint states can be used, {tally.explained()}')
    period = round(robot.control_period * 1e9)  # [ns]
    line = Timeline(np.array(joints.orders), np.array(joints.stamps), LATE * period)
    n_jumps = len(line.jumps) + line.n_too_late
    n_back = int((np.diff(joints.stamps) < 0).sum())
    if (n_jumps > max(2, MAX_DISORDER * len(joints.stamps))
            or n_back > max(2, MAX_BACKWARDS * len(joints.stamps))):
        raise DatasetError(
            f'the stamps of the joint states go back {max(n_jumps, n_back)} times in '
            f'{len(joints.stamps)} messages ({line.described}), expected those of one clock; does '
            'only one node publish them? --time received takes the time at which a message was '
            'recorded')
    tally.drop('repeated', 'the stamp is that of another message, expected the time of the '
               'measurement', line.n_repeated)
    tally.drop('out of order', f'stamps are more than {LATE} control periods late',
               line.n_too_late)
    orders = np.array(joints.orders, dtype=float)[line.chosen]
    # Where messages that came late would have been.
    orders[line.is_late] = np.interp(line.times[line.is_late], line.times[~line.is_late],
                                     orders[~line.is_late])
    states = np.array([joints.values[i][0] for i in line.chosen])
    torques = (_commands(streams.commands, line, orders, robot, tally)
               if config.torque_source == 'commands' else
               _efforts([joints.values[i][1] for i in line.chosen], robot, tally))
    rewards, fell = _rewards(streams.rewards, line, period, tally)
    has_base = np.ones(len(line.times), dtype=bool)
    if config.base_joints:
        reader = BaseReader(robot, config.base_joints)
        max_gap = round(config.max_odometry_gap * period)
        has_base = _add_base(states, streams.odometry, line, reader, max_gap, tally)
    places = np.cumsum(has_base) - has_base  # of every sample among those that have their base
    cuts = dict.fromkeys(places[np.array(line.jumps, dtype=int)].tolist(), 'clock jump')
    begins = np.searchsorted(orders, streams.marks)
    cuts |= dict.fromkeys(places[begins[begins < len(orders)]].tolist(), 'episode topic')
    cuts = {place: reason for place, reason in cuts.items() if place < has_base.sum()}
    samples = Samples(line.times[has_base], states[has_base], torques[has_base],
                      rewards[has_base], fell[has_base], cuts)
    return Joined(samples, line.described, int(line.is_late.sum()))


def _stamped(stream: Stream, config: BagConfig, tally: Tally) -> Stream:
    """Return a stream without messages that nobody stamped: 0, though no clock begins there."""
    stamps = np.array(stream.stamps, dtype=np.int64)
    others = stamps[stamps != 0]
    begins_at_zero = len(others) and others.min() < 1_000_000_000
    if config.time != 'header' or begins_at_zero or len(others) == len(stamps):
        return stream
    tally.drop('unstamped', 'the stamp is 0, expected the time of the measurement',
               len(stamps) - len(others))
    kept = np.flatnonzero(stamps).tolist()
    return Stream(*([column[i] for i in kept] for column in (
        stream.orders, stream.stamps, stream.values)))


def _efforts(efforts: list[NDArray], robot: Robot, tally: Tally) -> NDArray:
    """Return the efforts of joint states [N m], shape (n, A)."""
    torques = np.array(efforts)
    unknown = np.isnan(torques[1:])  # no step leads to the first
    if unknown.any():
        joint = robot.action[int(unknown.any(axis=0).argmax())].joint
        tally.drop('no torque', f"joint '{joint}' has no finite effort, expected one [N m] in all "
                   'joint states', int(unknown.any(axis=1).sum()))
    return torques


def _commands(commands: Stream, line: Timeline, orders: NDArray, robot: Robot, tally: Tally
              ) -> NDArray:
    """Return the last commands before joint states [N m], shape (n, A)."""
    placed = _placed(commands, line, orders)
    values = [commands.values[i] for i in np.argsort(placed, kind='stable')]
    last = np.searchsorted(np.sort(placed), orders) - 1
    tally.drop('late joiner', 'joint states came before the first command',
               int((last[1:] < 0).sum()))  # no step leads to the first
    torques = np.full((len(orders), robot.action_dim), np.nan)
    if values:
        torques[last >= 0] = np.array(values)[last[last >= 0]]
    return torques


def _placed(commands: Stream, line: Timeline, orders: NDArray) -> NDArray:
    """
    Return where commands would have been recorded without delay, shape (n,).

    That they came after the states that they answer and before commands that answer later ones is
    certain; that they were recorded so is not.

    :param orders: where joint states would have been, shape (len(line.times),).
    """
    placed = np.array(commands.orders, dtype=float)
    answered = line.times_of(np.array(commands.orders, dtype=int),
                             np.array(commands.stamps, dtype=np.int64))
    answers = np.flatnonzero((answered != NOWHERE) & (np.array(commands.stamps) != NO_STATE))
    if not len(answers):
        return placed
    times = answered[answers]
    earliest = np.interp(times, line.times, orders) + 0.5  # behind the state itself
    is_late = times < np.maximum.accumulate(times)
    placed[answers] = np.where(is_late, earliest, np.maximum(placed[answers], earliest))
    return placed


def _times(stream: Stream, line: Timeline, what: str) -> NDArray:
    """
    Return the times of another topic on the axis of the joint states.

    :raises DatasetError: if it has another clock.
    """
    stamps = np.array(stream.stamps, dtype=np.int64)
    times = line.times_of(np.array(stream.orders, dtype=int), stamps)
    if len(times) and (times == NOWHERE).all():
        raise DatasetError(
            f'the {what} has stamps from {stamps.min() / 1e9:.3f} to {stamps.max() / 1e9:.3f} s, '
            f'the joint states {line.described}, expected those of one clock; --time received '
            'takes the time at which a message was recorded')
    return times


def _rewards(stream: Stream, line: Timeline, period: int, tally: Tally
             ) -> tuple[NDArray, NDArray]:
    """Return the reward of the period before every sample, NaN for none, and whether it fell."""
    rewards, fell = np.full(len(line.times), np.nan), np.zeros(len(line.times), dtype=bool)
    if not stream.stamps:
        return rewards, fell
    times = _times(stream, line, 'reward')
    nearest = np.searchsorted((line.times[1:] + line.times[:-1]) / 2, times)
    is_near = np.abs(line.times[nearest] - times) <= period / 2
    tally.drop('reward without a state', n=int((~is_near).sum()))
    for place, (reward, has_fallen), is_used in zip(nearest, stream.values, is_near, strict=True):
        if is_used:
            rewards[place], fell[place] = reward, has_fallen
    return rewards, fell


def _add_base(states: NDArray, stream: Stream, line: Timeline, reader: BaseReader, max_gap: int,
              tally: Tally) -> NDArray:
    """Write the base joints into states (n, S); return which states have them, shape (n,)."""
    times = _times(stream, line, 'odometry')
    placed = np.flatnonzero(times != NOWHERE)
    placed = placed[np.argsort(times[placed], kind='stable')].tolist()
    history, n_added = OdometryHistory(max_gap), 0
    has_base = np.zeros(len(states), dtype=bool)
    for i, time in enumerate(line.times.tolist()):
        while n_added < len(placed) and (history.newest is None or history.newest < time):
            history.add(int(times[placed[n_added]]), stream.values[placed[n_added]])
            n_added += 1
        if (pose := history.at(time)) is not None:
            reader.fill(pose, states[i], {}, {})
            has_base[i] = True
    is_late = np.arange(len(states)) < (has_base.argmax() if has_base.any() else 0)
    tally.drop('late joiner', 'joint states came before the odometry', int(is_late.sum()))
    tally.drop('no odometry', f'the nearest odometry is farther away than {max_gap / 1e6:g} ms '
               '(max_odometry_gap)', int((~has_base & ~is_late).sum()))
    return has_base
