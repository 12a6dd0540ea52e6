# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot's driver that lies, stutters or lags: a real planner, fed at 125 Hz by the test."""

from copy import deepcopy
import re
import threading
import time
from types import SimpleNamespace

from driver import JOINTS, PERIOD
from fault_recorder import milliseconds, recording, row
from lifecycle import ACTIVATE, change, DEACTIVATE
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_processes import running, spin_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from walker import Walker2D

from diffusion_planner_ros.nodes.common.conversions import (
    msg_from_joints,
    NANOSECONDS,
    stamp_from_nanoseconds,
    torque_from_msg,
)
from diffusion_planner_ros.nodes.common.topics import CLOCK, JOINT_STATES
from diffusion_planner_ros.nodes.control.command_publisher import (
    CommandPublisher,
    LATCHED,
    REPORT_PERIOD,
)
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.stop import StopBehaviour, StopConfig
from diffusion_planner_ros.share import share_file

N_STEPS = 400  # of the walk that is replayed, again and again
MAX_STATE_AGE = 0.1  # [s], the planner's default
NOISE = 1.0  # [s] that a busy machine may add to any time
MARGIN = 0.1  # [s]
SHORT = 0.4  # [s] of a fault that the planner should bear


@pytest.fixture(scope='module')
def walk():
    """Joint states of a walk, one per control period."""
    walker = Walker2D()
    state = walker.reset(seed=0)
    planner = Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())
    states = []
    for step in range(N_STEPS):
        states.append((walker.qpos.copy(), walker.qvel.copy()))
        state, _, _ = walker.step(planner.plan(state, step=step).actions[0])
    return states


class Stream:
    """Replays a walk at 125 Hz on simulated time, as a driver would; ``fault`` spoils it."""

    def __init__(self, node, walk):
        self._walk = walk
        self._states = node.create_publisher(
            JointState, JOINT_STATES.path, QoSProfile(depth=10,
                                                      reliability=ReliabilityPolicy.RELIABLE))
        self._clock = node.create_publisher(Clock, CLOCK.path, 1)
        self.fault = None
        self.begun = None
        self._is_reset = False
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def message(self, step):
        """Return the joint states of a control period; before the first one, of that."""
        position, velocity = self._walk[max(step, 0) % N_STEPS]
        return msg_from_joints(JOINTS, position, velocity, np.zeros(len(JOINTS)),
                               max(step, 0) * PERIOD)

    def spoil(self, fault):
        """Let a fault begin; return when its first message was sent [s]."""
        self.begun, self.fault = None, fault
        while self.begun is None:
            time.sleep(0.001)
        return self.begun

    def mend(self):
        self.fault = None
        return time.time()

    def reset(self):
        """Begin anew, with time: a planner forgets all that was."""
        self.fault, self._is_reset = None, True

    def close(self):
        self._is_closed.set()
        self._thread.join()

    def _run(self):
        step, due = 0, time.monotonic()
        while not self._is_closed.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - PERIOD / NANOSECONDS) + PERIOD / NANOSECONDS
            fault = self.fault
            messages = [self.message(step)] if fault is None else fault(self, step)
            if fault is not None and self.begun is None:
                self.begun = time.time()
            for message in messages:
                self._states.publish(message)
            self._clock.publish(Clock(clock=stamp_from_nanoseconds(step * PERIOD)))
            # The walk begins again after its end, time does not: that would be another run.
            step = 0 if self._is_reset else step + 1
            self._is_reset = False


@pytest.fixture(scope='module')
def planner(tmp_path_factory):
    """
    One planner has to survive all of it.

    The states are replayed and do not follow from its torques: they may surprise it.
    """
    with running('planner', tmp_path_factory.mktemp('states'), use_sim_time=True,
                 ramp_time=0.0, ood_warn=0.0, ood_stop=0.0, max_jump=0.0) as process:
        yield process


@pytest.fixture(scope='module')
def world(planner, walk):
    with recording() as recorder:
        stream = Stream(recorder.node, walk)
        try:
            yield recorder, stream
        finally:
            stream.close()


@pytest.fixture(autouse=True)
def recorder(world, planner):
    """Record one test, from a good walk on; none of its commands may be a bad one."""
    recorder, stream = world
    stream.reset()
    recorder.clear()
    begin = time.time()
    recorder.wait(lambda: len({c.answered for c in recorder.commands_since(begin)
                               if c.torque.any()}) > 10, 'plans', planner)
    yield recorder
    recorder.check()


@pytest.fixture
def stream(world):
    return world[1]


def once(make):
    """Make a fault of a function that gives messages, whose first result is repeated."""
    kept = []

    def fault(stream, step):
        if not kept:
            kept.append(make(stream, step))
        return kept[0]
    return fault


def frozen():
    """The same values under new stamps."""
    kept = []

    def fault(stream, step):
        if not kept:
            kept.append(stream.message(step))
        message = deepcopy(kept[0])
        message.header.stamp = stamp_from_nanoseconds(step * PERIOD)
        return [message]
    return fault


def edited(change):
    """Every message, changed by a function."""
    def fault(stream, step):
        message = stream.message(step)
        change(message)
        return [message]
    return lambda: fault


def with_number(field, joint, number):
    def change(message):
        getattr(message, field)[JOINTS.index(joint)] = number
    return edited(change)


def with_names(message):
    message.name = [f'robot2_{name}' for name in message.name]


def too_short(message):
    message.velocity = message.velocity[:-1]


def without_numbers(message):
    message.position, message.velocity = [], []


NONE = 'zero torque'
# Of every fault: what makes it, the stop that follows and the time it may take [s], what the log
# says, and whether a person has to end the stop.
STOPS = {
    'frozen values, new stamps': (frozen, 'out of distribution', 0.1, '6 equal states', True),
    'the same message again and again': (
        lambda: once(lambda stream, step: [stream.message(step)]), 'stale state', MAX_STATE_AGE,
        's old, expected at most 0.1 s (max_state_age)', False),
    'no message': (lambda: lambda stream, step: [], 'stale state', MAX_STATE_AGE, 'none for 0.1',
                   False),
    'delayed by 300 ms': (
        lambda: lambda stream, step: [stream.message(step - 38)] if step > 38 else [],
        'stale state', MAX_STATE_AGE, 's old', False),
    'position NaN': (with_number('position', 'leg_joint', float('nan')), 'state not finite', 0.0,
                     "joint 'leg_joint' has position nan", False),
    'velocity infinite': (with_number('velocity', 'rootz', float('inf')), 'state not finite', 0.0,
                          "joint 'rootz' has velocity inf", False),
    'other joint names': (edited(with_names), 'stale state', MAX_STATE_AGE,
                          "joint 'rootz' is missing", False),
    'one number too few': (edited(too_short), 'stale state', MAX_STATE_AGE,
                           "joint 'foot_left_joint' has no velocity", False),
    'no numbers': (edited(without_numbers), 'stale state', MAX_STATE_AGE,
                   "joint 'rootz' has no position", False),
    'huge value (1e300)': (with_number('position', 'rootz', 1e300), 'state not finite', 0.0,
                           "joint 'rootz' has position 1e+300", False),
    'huge value (1e6 rad/s)': (with_number('velocity', 'thigh_joint', 1e6),
                               'out of distribution', 0.0,
                               'standard deviations outside the training data', True),
}


@pytest.mark.parametrize('name', STOPS)
def test_a_bad_state_stops_the_robot_until_good_ones_come(name, recorder, planner, stream,
                                                          record_property):
    make, cause, limit, text, needs_person = STOPS[name]
    # Not just any stop: a busy machine may have had a late plan before.
    reported = re.compile(rf'\[([\d.]+)\] \[planner\]: stop: {cause}')
    last = max((float(moment) for moment in reported.findall(planner.output)), default=0.0)
    recorder.wait(lambda: time.time() > last + REPORT_PERIOD + MARGIN, 'time of another report')
    before = len(planner.output)

    def log():
        return planner.output[before:]

    begun = stream.spoil(make())
    found = recorder.wait(lambda: reported.search(log()), f'stop: {cause}', planner)
    stop = recorder.wait(lambda: recorder.stop_at(float(found[1])), 'stop', planner)
    assert stop.sent - begun <= limit + NOISE, log()
    recorder.wait(lambda: text in log(), text, planner)
    spin_for(recorder.node, 0.1)
    assert not any(c.torque.any() for c in recorder.commands_since(float(found[1])))
    assert log().count(f'stop: {cause}') == 1, log()
    if needs_person:
        # After a late plan the robot might have stumbled: then a stop is latched a second later.
        recorder.wait(lambda: LATCHED in log(), 'a stop that lasts', planner)
    mended = stream.mend()
    if needs_person:
        spin_for(recorder.node, 0.1)
        assert recorder.plan_after(mended) is None
        mended = time.time()
        assert change(recorder.node, DEACTIVATE) and change(recorder.node, ACTIVATE)
    plan = recorder.wait(lambda: recorder.plan_after(mended), 'plan', planner)
    recovery = (f'{"deactivate and activate" if needs_person else "good states"}, '
                f'{milliseconds(plan.sent - mended)} ms')
    row(record_property, f'states: {name}', stop=milliseconds(stop.sent - begun), sent=NONE,
        reported=f'`stop: {cause}`, `{text}`', recovery=recovery)


def reordered(stream, step):
    """Send every pair of states in the wrong order."""
    return [stream.message(step), stream.message(step - 1)] if step % 2 else []


# Faults that a planner should bear.
BORNE = {
    'duplicated': lambda stream, step: [stream.message(step)] * 2,
    'reordered in pairs': reordered,
    'delayed by 50 ms': lambda stream, step: [stream.message(step - 6)],
}
MIN_PLANS = 3  # a planner that stopped makes none; how many more depends on the machine


@pytest.mark.parametrize('name', BORNE)
def test_a_stream_that_stutters_is_borne(name, recorder, planner, stream, record_property):
    before = len(planner.output)
    begun = stream.spoil(BORNE[name])
    spin_for(recorder.node, SHORT)
    ended = stream.mend()
    commands = [c for c in recorder.commands_since(begun) if c.sent < ended]
    plans = {c.answered for c in commands if c.torque.any()}
    periods = (ended - begun) * NANOSECONDS / PERIOD
    assert len(plans) >= MIN_PLANS, (len(plans), periods, planner.output[before:])
    recorder.wait(lambda: recorder.plan_after(ended), 'plan', planner)
    row(record_property, f'states: {name}', stop='-',
        sent=f'plans for {len(plans)} of {periods:.0f} periods',
        reported=' '.join(sorted({f'`{line.split("]: ")[1].split(": ")[0]}`'
                                  for line in planner.output[before:].splitlines()})) or 'nothing',
        recovery='not needed')


def quiet(text, **settings):
    del text, settings


def command_publisher():
    """Return a command_publisher without ramp, and the list that its commands go to."""
    sent = []
    joints = Walker2D().actuated_joints
    limit = np.full(len(joints), 100.0)
    return CommandPublisher(
        SimpleNamespace(publish=lambda msg: sent.append(torque_from_msg(msg)[0])), limit=limit,
        stop=StopBehaviour(StopConfig(), joints, limit), ramp_time=0.0, scale=1.0, lockstep=False,
        max_age=0.1,
        logger=SimpleNamespace(info=quiet, error=quiet)), sent


def follow(command_publisher, at, came, measured=None):
    return command_publisher.follow(
        np.ones(6), at=at, came=came, measured=measured or time.time_ns(), answered=0,
        was_clamped=False)


def test_an_old_plan_does_not_outlive_a_stop():
    stopped, sent = command_publisher()
    before = time.monotonic()
    follow(stopped, 0, before)
    stopped.stop('test', 'as a test')
    follow(stopped, PERIOD, before)
    assert [torque.any() for torque in sent] == [True, False]
    follow(stopped, PERIOD, time.monotonic())
    assert sent[-1].all()


def test_a_plan_that_acts_before_the_ramp_began_is_no_fault():
    late, sent = command_publisher()
    follow(late, 5 * PERIOD, time.monotonic())
    follow(late, 4 * PERIOD, time.monotonic())
    assert np.array(sent).all()


def test_a_plan_from_a_state_of_long_ago_stops_the_robot_instead():
    woken, sent = command_publisher()  # as after SIGCONT
    assert follow(woken, 0, time.monotonic())
    assert not follow(woken, PERIOD, time.monotonic(), measured=time.time_ns() - 200_000_000)
    assert [torque.any() for torque in sent] == [True, False]
    assert woken.stop_cause == 'late plan'


def test_the_last_torque_is_repeated_for_a_fresh_state_only():
    woken, sent = command_publisher()
    follow(woken, 0, time.monotonic())
    assert woken.repeat(0, time.time_ns())
    assert not woken.repeat(0, time.time_ns() - 200_000_000)
    assert not woken.repeat(PERIOD, time.time_ns())
    assert len(sent) == 2


def test_time_that_jumps_does_not_bring_back_a_planner_that_was_deactivated():
    retired, sent = command_publisher()
    retired.retire('deactivated')
    retired.forget()
    follow(retired, 0, time.monotonic())
    assert not np.array(sent).any()
    assert retired.stop_cause == 'deactivated'
