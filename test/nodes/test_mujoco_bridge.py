# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot's topics, services, parameters and reports, with a real process.

What it does with them is tested in test_bridge_episode.
"""

from contextlib import contextmanager
import signal
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Vector3
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_processes import call, observer, parameter, running, spin_for, spin_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger
from walker import Walker2D

from diffusion_planner_ros.messages.rewards import reward_from_msg
from diffusion_planner_ros.messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from diffusion_planner_ros.nodes.common.conversions import msg_from_torque
from diffusion_planner_ros.nodes.common.diagnostics import bool_from_fact, facts_from_msg
from diffusion_planner_ros.nodes.control.control_loop import LEAP
from diffusion_planner_ros.sim.bridge_episode import EPISODE_GAP, REPEAT_PERIOD

PERIOD = 8_000_000  # [ns]
TORQUE = np.array([20.0, -10.0, 5.0, -20.0, 10.0, -5.0])  # [N m]


class Controller:
    """Plays the planner: collects states, sends torques."""

    def __init__(self, node):
        self.node = node
        self.start = 0  # of the episode [ns]; all other stamps here count from it
        self.states = {}  # by stamp [ns]
        self.clock = []
        self.rewards = {}  # and whether the robot fell, by stamp [ns]
        self.reports = []  # facts
        self.levels = []
        self.arrivals = []  # (when it was sent [s], stamp [ns]) of every state, repeated ones too
        self.answer = None  # torque that answers every state by itself
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._commands = node.create_publisher(
            Float64MultiArray, 'effort_controller/commands', qos)
        # Deep enough to miss nothing on a busy machine.
        node.create_subscription(JointState, 'joint_states', self._on_state, 1000)
        node.create_subscription(JointState, 'reward', self._on_reward, 1000)
        node.create_subscription(Clock, '/clock', lambda m: self.clock.append(
            nanoseconds_from_stamp(m.clock) - self.start), 1000)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_report, 10)
        self._pushes = node.create_publisher(Vector3, 'mujoco_bridge/push', 10)

    def _on_state(self, msg, info):
        stamp = nanoseconds_from_stamp(msg.header.stamp) - self.start
        if self.states and stamp - max(self.states) >= EPISODE_GAP:
            self.start, stamp = self.start + stamp, 0
            self.states.clear()
        self.states[stamp] = msg
        self.arrivals.append((info['source_timestamp'] / NANOSECONDS, stamp))
        if self.answer is not None:
            self.send(self.answer, stamp)

    def _on_reward(self, msg):
        self.rewards[nanoseconds_from_stamp(msg.header.stamp) - self.start] = reward_from_msg(msg)

    def _on_report(self, msg):
        if nanoseconds_from_stamp(msg.header.stamp) < self.start:
            return  # of the episode before
        if (facts := facts_from_msg(msg, 'mujoco_bridge')) is not None:
            self.reports.append(facts)
            self.levels.append(msg.status[0].level)

    def send(self, torque, stamp):
        self._commands.publish(msg_from_torque(np.asarray(torque), self.start + stamp))

    def is_heard(self):
        return self._commands.get_subscription_count() > 0

    def retire(self):
        """Leave the robot to somebody else."""
        self.node.destroy_publisher(self._commands)

    def send_raw(self, numbers):
        self._commands.publish(Float64MultiArray(data=numbers))

    def push(self, x, z):
        spin_until(self.node, self._pushes.get_subscription_count, 'the bridge listens to pushes')
        self._pushes.publish(Vector3(x=x, z=z))

    def pause(self, is_paused):
        assert call(self.node, SetBool, 'mujoco_bridge/pause',
                    SetBool.Request(data=is_paused)).success

    def next_report(self):
        self.reports.clear()
        return self.wait_for_report(lambda facts: True)

    def wait_for_state(self, step):
        spin_until(self.node, lambda: step * PERIOD in self.states, f'state of step {step}')
        return self.states[step * PERIOD]

    def wait_for_report(self, condition):
        spin_until(self.node, lambda: any(condition(r) for r in self.reports), 'report')
        return next(r for r in self.reports if condition(r))

    def reset(self, seed):
        call(self.node, SetParameters, 'mujoco_bridge/set_parameters',
             SetParameters.Request(parameters=[parameter('seed', seed)]))
        start = self.start
        assert call(self.node, Trigger, 'mujoco_bridge/reset', Trigger.Request()).success
        spin_until(self.node, lambda: self.start > start, 'a new episode')


@contextmanager
def controlling(kept, **parameters):
    """Give a controller of a bridge whose robot stands at the start of an episode of seed 3."""
    process = kept.start('mujoco_bridge', auto_reset=False, seed=3, **parameters)
    with kept.observer() as node:
        controller = Controller(node)
        controller.process = process
        spin_until(node, lambda: controller.states, 'a state', process)
        if process.n_uses:  # by tests that left it anyhow
            controller.pause(False)
            controller.reset(seed=3)
            process.drop_output()
            for old in (controller.reports, controller.levels, controller.arrivals):
                old.clear()
        spin_until(node, controller.is_heard, 'the bridge', process)
        controller.wait_for_state(0)
        yield controller


@pytest.fixture
def lockstep(kept):
    with controlling(kept, lockstep=True) as controller:
        yield controller


@pytest.fixture
def real_time(kept):
    with controlling(kept, stop_behaviour='damping', stop_damping=[20.0]) as controller:
        yield controller


# In lockstep


def test_lockstep_takes_one_step_for_every_answer(lockstep):
    walker = Walker2D()
    walker.reset(seed=3)
    for step in range(20):
        state = lockstep.wait_for_state(step)
        assert state.name == walker.joint_names
        np.testing.assert_array_equal(state.position, walker.qpos)
        np.testing.assert_array_equal(state.velocity, walker.qvel)
        lockstep.send(TORQUE, step * PERIOD)
        _, reward, fell = walker.step(TORQUE)
    state = lockstep.wait_for_state(20)
    np.testing.assert_array_equal(state.effort, [0.0, 0.0, 0.0, *TORQUE])
    spin_until(lockstep.node, lambda: lockstep.clock[-1] == 20 * PERIOD, 'clock')
    spin_until(lockstep.node, lambda: 20 * PERIOD in lockstep.rewards, 'reward')
    assert lockstep.rewards[20 * PERIOD] == (reward, fell)
    spin_for(lockstep.node, 0.3)
    assert max(lockstep.states) == 20 * PERIOD  # it waits


def test_the_episode_ends_with_a_report_when_the_robot_falls(lockstep):
    walker = Walker2D()
    walker.reset(seed=3)
    fell, episode_return, step = False, 0.0, 0
    while not fell:
        lockstep.wait_for_state(step)
        lockstep.send(TORQUE, step * PERIOD)
        _, reward, fell = walker.step(TORQUE)
        episode_return += reward
        step += 1
    facts = lockstep.wait_for_report(lambda facts: facts['state'] == 'over')
    assert facts['episode_end'] == 'fall'
    assert bool_from_fact(facts['fell'])
    assert lockstep.levels[-1] == DiagnosticStatus.WARN
    assert int(facts['steps']) == step
    assert float(facts['return']) == episode_return


def test_reset_starts_again_with_the_seed_that_was_set_and_time_goes_on(lockstep):
    lockstep.send(TORQUE, 0)
    lockstep.wait_for_state(1)
    start = lockstep.start
    lockstep.reset(seed=8)
    state = lockstep.wait_for_state(0)
    walker = Walker2D()
    walker.reset(seed=8)
    np.testing.assert_array_equal(state.position, walker.qpos)
    assert lockstep.start == start + PERIOD + EPISODE_GAP
    spin_until(lockstep.node, lambda: lockstep.clock[-1] == 0, 'clock of the new episode')


def test_an_episode_begins_so_far_ahead_that_a_planner_takes_it_for_one():
    assert EPISODE_GAP > 1.5 * LEAP * NANOSECONDS


def test_pause_holds_the_answer_until_it_ends(lockstep):
    lockstep.pause(True)
    lockstep.send(TORQUE, 0)
    spin_for(lockstep.node, 0.3)
    assert list(lockstep.states) == [0]
    lockstep.pause(False)
    lockstep.wait_for_state(1)


def test_refused_commands_are_logged_and_counted(lockstep):
    before = int(lockstep.next_report()['refused_commands'])
    for numbers in ([float('nan')] * 6, [1.0] * 5):
        lockstep.send_raw(numbers)
        spin_for(lockstep.node, 0.1)
    lockstep.wait_for_report(lambda facts: int(facts['refused_commands']) == before + 2)
    for found in ('[nan, nan, nan, nan, nan, nan]', '5 numbers'):
        text = f'command refused: {found}, expected 6 finite torques [N m]'
        assert lockstep.process.output.count(text) == 1
    assert list(lockstep.states) == [0]


def test_a_second_sender_of_commands_is_named_and_one_that_is_silent_is_not(lockstep):
    other = lockstep.node.create_publisher(Float64MultiArray, 'effort_controller/commands', 1)
    lockstep.wait_for_report(lambda facts: facts['command_publishers'] == '2')
    lockstep.send(TORQUE, -PERIOD)  # of both one message a second, meant for no state
    lockstep.next_report()
    assert lockstep.levels[-1] == DiagnosticStatus.OK

    n_sent = []

    def is_reported():
        n_sent.append(1)
        for publish in (lambda: lockstep.send(TORQUE, -PERIOD),
                        lambda: other.publish(msg_from_torque(TORQUE, -PERIOD))):
            publish()
            spin_for(lockstep.node, 0.5)
        # The silence of one that has sent a single message would say nothing for long.
        return lockstep.levels[-1] == DiagnosticStatus.ERROR and len(n_sent) > 1

    spin_until(lockstep.node, is_reported, 'report', lockstep.process)
    text = '2 publishers on /effort_controller/commands, expected one'
    assert lockstep.process.output.count(text) == 1
    assert lockstep.reports[-1]['conflicts'] == '/effort_controller/commands'
    # As a planner that crashed: silent, but still listed.
    spin_until(lockstep.node, lambda: lockstep.levels[-1] == DiagnosticStatus.OK, 'end')
    assert lockstep.reports[-1]['command_publishers'] == '2'
    assert lockstep.reports[-1]['conflicts'] == ''


def test_a_second_publisher_of_the_clock_is_named(lockstep):
    lockstep.node.create_publisher(Clock, '/clock', 1)
    text = '2 publishers on /clock, expected one; end all but one of /mujoco_bridge, /observer'
    spin_until(lockstep.node, lambda: text in lockstep.process.output, text, lockstep.process)
    lockstep.wait_for_report(lambda _: lockstep.levels[-1] == DiagnosticStatus.ERROR)


def test_a_push_acts_during_the_next_control_period(lockstep):
    walker = Walker2D()
    walker.reset(seed=3)
    pushes = int(lockstep.next_report()['pushes'])
    lockstep.push(4.0, -1.0)
    lockstep.wait_for_report(lambda facts: int(facts['pushes']) == pushes + 1)
    walker.push(np.array([4.0, 0.0, -1.0]))
    walker.step(TORQUE)
    lockstep.send(TORQUE, 0)
    state = lockstep.wait_for_state(1)
    np.testing.assert_array_equal(state.position, walker.qpos)
    np.testing.assert_array_equal(state.velocity, walker.qvel)


# In real time


def test_clock_and_state_are_repeated_until_the_first_command(real_time):
    spin_for(real_time.node, 0.1)
    real_time.arrivals.clear()
    real_time.clock.clear()
    spin_until(real_time.node, lambda: min(len(real_time.arrivals), len(real_time.clock)) > 10,
               'repetitions', real_time.process)
    sent = np.array([moment for moment, _ in real_time.arrivals])
    assert np.median(np.diff(sent)) > 0.9 * REPEAT_PERIOD
    assert set(real_time.clock) == {0}
    assert list(real_time.states) == [0]


def test_time_follows_the_wall_clock_and_a_stop_is_reported_when_it_begins_and_ends(real_time):
    stops = int(real_time.next_report()['stops'])
    real_time.send(TORQUE, 0)
    facts = real_time.wait_for_report(lambda facts: facts['state'] == 'stopped')
    assert real_time.levels[-1] == DiagnosticStatus.ERROR
    assert real_time.process.output.count('stopped (behaviour damping)') == 1
    assert int(facts['stops']) == stops + 1
    assert facts['stop_cause'] == 'no command'
    real_time.wait_for_state(20)
    begin, end = (next(moment for moment, stamp in real_time.arrivals if stamp == step * PERIOD)
                  for step in (1, 20))
    # A period may be short after one that was too long, but none is made up for.
    assert end - begin >= 17 * PERIOD / NANOSECONDS
    velocity = np.array(real_time.wait_for_state(19).velocity[3:])
    np.testing.assert_array_equal(real_time.states[20 * PERIOD].effort[3:],
                                  np.clip(-20.0 * velocity, -100.0, 100.0))
    real_time.answer = np.zeros(6)
    spin_until(real_time.node, lambda: 'commands come again' in real_time.process.output, 'end')


def test_pause_stops_the_clock_and_goes_on_without_a_burst(real_time):
    real_time.send(np.zeros(6), 0)
    real_time.wait_for_state(3)
    real_time.pause(True)
    spin_for(real_time.node, 0.2)
    paused_at = max(real_time.states)
    spin_for(real_time.node, 0.5)
    assert max(real_time.states) == paused_at
    begin = time.monotonic()
    real_time.pause(False)
    real_time.wait_for_state(paused_at // PERIOD + 3)
    caught_up = (max(real_time.states) - paused_at) / 1e9
    # Two control periods may be due at once after a stall, not the half second of the pause.
    assert caught_up <= time.monotonic() - begin + 2 * PERIOD / 1e9


def test_a_dead_planner_s_torque_is_gone_within_50_ms(tmp_path):
    with (running('mujoco_bridge', tmp_path, seed=3, auto_reset=False), observer() as node):
        controller = Controller(node)
        controller.wait_for_state(0)
        controller.retire()
        with running('planner', tmp_path, use_sim_time=True) as planner:
            controller.wait_for_state(30)
            spin_for(node, 0.05)  # see what arrived before
            last = max(controller.states)
            planner.process.send_signal(signal.SIGKILL)

            def without_torque():
                return sorted(stamp for stamp, state in controller.states.items()
                              if stamp > last and not any(state.effort))

            spin_until(node, without_torque, 'zero torque')
    # Simulated time: it runs no faster than the wall clock, and does not see us being late.
    assert (without_torque()[0] - last) / 1e9 <= 0.05
