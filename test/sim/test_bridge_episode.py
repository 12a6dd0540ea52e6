# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the simulated robot does with commands, stops, resets and pauses, on simulated clocks."""

import heapq
from itertools import count, pairwise

import numpy as np
import pytest
from walker import Walker2D

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.planning.stop import StopConfig
from diffusion_planner_ros.sim.bridge_episode import (
    BridgeConfig,
    BridgeEpisode,
    EPISODE_GAP,
    LEAST_COMMAND_TIMEOUT,
    MAX_UNANSWERED,
    REPEAT_PERIOD,
    WARNING_PERIOD,
)

PERIOD = 8_000_000  # [ns]
SECONDS = PERIOD / 1e9
TIMEOUT = LEAST_COMMAND_TIMEOUT  # [s], of walker2d: four control periods
LATENESS = 1e-4  # [s] of every timer
DELAY = 2e-3  # [s] of the command that answers a state
TORQUE = np.array([2.0, -1.0, 0.5, -2.0, 1.0, -0.5])  # [N m], under which the robot stands a while
GRAVE = np.full(6, np.nan)


class World:
    """Owns a bridge as its node does: timers and wall time are those of the test."""

    def __init__(self, stop=None, **settings):
        self.now = 1000.0  # wall time [s]
        self.told = []  # what was told, by name, in order
        self.shown = []  # (wall time [s], stamp [ns]) of every state, repeated ones too
        self.states, self.clock, self.rewards = {}, [], []  # states by stamp [ns]
        self.latencies, self.warnings, self.stops, self.ends = [], [], [], []
        self.answer = None  # torque that answers every new state by itself
        self._due, self._count = [], count()
        self.bridge = BridgeEpisode(
            Walker2D(), BridgeConfig(**{'seed': 3, 'auto_reset': False, **settings}),
            stop or StopConfig(), self, lambda: self.now)
        self._is_lockstep = settings.get('lockstep', False)
        self._next_repeat, self._next_tick = np.inf, np.inf
        self.restart_ticks()
        self.bridge.begin()

    # What the bridge tells

    def show_clock(self, time):
        self.told.append('clock')
        self.clock.append(time)

    def show_state(self, state):
        self.told.append('state')
        is_new = state.time not in self.states
        assert is_new or self.states[state.time] is state
        self.states[state.time] = state
        self.shown.append((self.now, state.time))
        self._next_repeat = self.now + REPEAT_PERIOD
        if is_new and self.answer is not None:
            command = self.answer, state.time
            heapq.heappush(self._due, (self.now + DELAY, next(self._count), command))

    def show_reward(self, reward, fell, time):
        self.told.append('reward')
        self.rewards.append((reward, fell, time))

    def restart_ticks(self):
        if not self._is_lockstep:
            self._next_tick = self.now + self.bridge.wall_period

    def add_latency(self, latency):
        self.latencies.append(latency)

    def report_end(self):
        self.ends.append(self.facts)

    def report_stop(self, is_stopped, age):
        self.stops.append((is_stopped, age))

    def warn(self, text):
        self.warnings.append(text)

    # What happens to it

    def send(self, torque, step=None):
        """Command the robot, as an answer to the state of a step."""
        self.bridge.command(np.asarray(torque), None if step is None else step * PERIOD)

    def run(self, seconds):
        """Let wall time go on; what is overdue is called at once."""
        end = self.now + seconds
        while True:
            command = self._due[0][0] if self._due else np.inf
            due = min(command, self._next_tick + LATENESS, self._next_repeat + LATENESS)
            if due > end:
                break
            self.now = max(self.now, due)
            if due == command:
                self.bridge.command(*heapq.heappop(self._due)[-1])
            elif due == self._next_tick + LATENESS:
                period = self.bridge.wall_period  # a timer keeps to its grid
                self._next_tick += period * (1 + max(0, (self.now - self._next_tick) // period))
                self.bridge.tick()
            else:
                self._next_repeat += REPEAT_PERIOD
                self.bridge.repeat()
        self.now = end

    def suspend(self, seconds):
        """Let wall time go on while the process does not run."""
        self.now += seconds

    def applied(self, step):
        """Return the torque of the control period that led to the state of a step."""
        return self.states[step * PERIOD].efforts[3:].tolist()

    @property
    def facts(self):
        return self.bridge.facts()

    @property
    def last_step(self):
        return max(self.states) // PERIOD


@pytest.fixture
def lockstep():
    return World(lockstep=True)


@pytest.fixture
def world():
    """Give a robot in real time."""
    return World()


@pytest.fixture
def walking(world):
    """Give a robot in real time in the middle of a step, whose command has come."""
    world.send(TORQUE, 0)
    world.answer = TORQUE
    world.run(10.5 * SECONDS)
    assert world.bridge.state == 'running'
    return world


def walker_after(*torques, seed=3):
    """Return a walker of its own under these torques, and its rewards."""
    walker = Walker2D()
    walker.reset(seed)
    return walker, [walker.step(torque)[1] for torque in torques]


# Lockstep


def test_every_answer_is_one_step(lockstep):
    for step in range(20):
        lockstep.send((step + 1) * TORQUE / 20, step)
        lockstep.run(1.0)
        assert lockstep.last_step == step + 1
    walker, rewards = walker_after(*((step + 1) * TORQUE / 20 for step in range(20)))
    state = lockstep.states[20 * PERIOD]
    np.testing.assert_array_equal(state.positions, walker.qpos)
    np.testing.assert_array_equal(state.velocities, walker.qvel)
    np.testing.assert_array_equal(state.efforts, [0.0, 0.0, 0.0, *TORQUE])
    assert lockstep.rewards == [(r, False, (k + 1) * PERIOD) for k, r in enumerate(rewards)]
    assert lockstep.facts['return'] == sum(rewards)
    assert lockstep.facts['time'] == 20 * SECONDS
    assert not lockstep.facts['missed_deadlines']


def test_the_first_clock_comes_before_its_state_and_every_other_one_after_it(lockstep):
    assert lockstep.told == ['clock', 'state']
    lockstep.send(TORQUE, 0)
    assert lockstep.told[2:] == ['state', 'clock', 'reward']


@pytest.mark.parametrize('step', [-1, 1, 7])
def test_lockstep_ignores_a_command_for_another_state(lockstep, step):
    lockstep.send(TORQUE, step)
    assert list(lockstep.states) == [0]
    assert lockstep.bridge.state == 'waiting'


def test_a_command_that_names_no_state_is_for_the_current_one(lockstep):
    lockstep.send(TORQUE)
    lockstep.send(TORQUE)
    assert list(lockstep.states) == [0, PERIOD, 2 * PERIOD]


def test_only_the_first_command_for_a_state_counts(lockstep):
    lockstep.bridge.pause(True)
    for torque in (TORQUE, -TORQUE):
        lockstep.send(torque, 0)
    lockstep.bridge.pause(False)
    assert list(lockstep.states) == [0, PERIOD]
    assert lockstep.applied(1) == TORQUE.tolist()


def test_a_pause_holds_the_command_of_lockstep_until_it_ends(lockstep):
    lockstep.bridge.pause(True)
    lockstep.send(TORQUE, 0)
    lockstep.run(1.0)
    assert list(lockstep.states) == [0]
    assert lockstep.bridge.state == 'paused'
    lockstep.bridge.pause(False)
    assert list(lockstep.states) == [0, PERIOD]


# Episodes


def test_a_fall_ends_the_episode(lockstep):
    walker, _ = walker_after()
    fell, episode_return, step = False, 0.0, 0
    while not fell:
        lockstep.send(TORQUE, step)
        _, reward, fell = walker.step(TORQUE)
        episode_return += reward
        step += 1
    (facts,) = lockstep.ends
    assert (facts['state'], facts['episode_end'], facts['fell']) == ('over', 'fall', True)
    assert (facts['steps'], facts['return'], facts['falls']) == (step, episode_return, 1)
    assert facts['distance'] == pytest.approx(walker.position, abs=0.01)
    assert lockstep.rewards[-1] == (reward, True, step * PERIOD)
    lockstep.send(TORQUE, step)
    assert lockstep.last_step == step


def test_the_time_limit_ends_the_episode_without_a_fall():
    world = World(lockstep=True, max_episode_steps=2)
    for step in range(3):
        world.send(TORQUE, step)
    assert world.last_step == 2
    (facts,) = world.ends
    assert (facts['state'], facts['episode_end'], facts['fell']) == ('over', 'time limit', False)
    assert not any(fell for _, fell, _ in world.rewards)
    assert facts['falls'] == 0


def test_the_next_episode_begins_by_itself_with_the_following_seed():
    world = World(lockstep=True, max_episode_steps=2, auto_reset=True)
    for step in range(2):
        world.send(TORQUE, step)
    (facts,) = world.ends
    assert (facts['seed'], facts['steps'], facts['episode_end']) == (3, 2, 'time limit')
    assert (world.facts['seed'], world.facts['steps'], world.facts['episode_end']) == (4, 0, '')
    assert world.facts['total_steps'] == 2
    assert world.bridge.state == 'waiting'
    start = 2 * PERIOD + EPISODE_GAP
    assert list(world.states) == [0, PERIOD, 2 * PERIOD, start]
    np.testing.assert_array_equal(world.states[start].positions, walker_after(seed=4)[0].qpos)


def test_a_reset_begins_the_episode_of_a_seed_and_time_goes_on(lockstep):
    lockstep.send(TORQUE, 0)
    lockstep.bridge.reset(8)
    start = PERIOD + EPISODE_GAP
    assert lockstep.bridge.time == lockstep.clock[-1] == start
    assert lockstep.told[-2:] == ['clock', 'state']
    state = lockstep.states[start]
    np.testing.assert_array_equal(state.positions, walker_after(seed=8)[0].qpos)
    assert not state.efforts.any()
    facts = lockstep.facts
    assert (facts['seed'], facts['steps'], facts['return'], facts['time']) == (8, 0, 0.0, 0.0)
    assert facts['total_steps'] == 1


def test_a_reset_forgets_a_command_that_a_pause_held(lockstep):
    lockstep.bridge.pause(True)
    lockstep.send(TORQUE, 0)
    lockstep.bridge.reset(3)
    lockstep.bridge.pause(False)
    assert list(lockstep.states) == [0, EPISODE_GAP]


def test_a_reset_leaves_no_torque_behind(walking):
    late = walking.last_step
    walking.answer = None
    walking.bridge.reset(4)
    start = max(walking.states)
    walking.send(TORQUE, late)  # for the episode before
    walking.run(0.3)
    assert max(walking.states) == start
    assert not walking.states[start].efforts.any()
    assert walking.bridge.state == 'waiting'


def test_a_reset_while_paused_keeps_the_pause(walking):
    walking.bridge.pause(True)
    walking.bridge.reset(4)
    start = max(walking.states)
    walking.run(0.3)
    assert max(walking.states) == start
    assert walking.bridge.state == 'paused'
    walking.bridge.pause(False)
    walking.run(3 * SECONDS)
    assert max(walking.states) > start


# Commands and pushes


@pytest.mark.parametrize(('torque', 'found'), [
    (GRAVE, '[nan, nan, nan, nan, nan, nan]'), ([1.0] * 5, '5 numbers'), ([], '0 numbers'),
    ([1.0] * 5 + [np.inf], '[1.0, 1.0, 1.0, 1.0, 1.0, inf]')])
def test_a_command_that_is_not_six_finite_torques_is_refused(lockstep, torque, found):
    lockstep.send(torque, 0)
    assert list(lockstep.states) == [0]
    assert lockstep.facts['refused_commands'] == 1
    assert lockstep.warnings == [
        f'command refused: {found}, expected 6 finite torques [N m]']


def test_a_fault_is_reported_once_and_again_only_after_it_was_gone(lockstep):
    for _ in range(50):
        lockstep.send(GRAVE)
        lockstep.run(0.1 * WARNING_PERIOD)
    lockstep.send([1.0] * 5)
    assert len(lockstep.warnings) == 2
    lockstep.run(1.1 * WARNING_PERIOD)
    lockstep.send(GRAVE)
    assert len(lockstep.warnings) == 3
    assert lockstep.facts['refused_commands'] == 52


def test_a_torque_is_limited_to_the_gear_and_counted(lockstep):
    lockstep.send(100.0 * TORQUE, 0)
    assert lockstep.applied(1) == np.clip(100.0 * TORQUE, -100.0, 100.0).tolist()
    lockstep.send(TORQUE, 1)
    assert lockstep.facts['clipped_commands'] == 1


def test_a_push_acts_during_the_next_control_period(lockstep):
    impulse = np.array([4.0, 0.0, -1.0])
    lockstep.bridge.push(impulse)
    walker, _ = walker_after()
    walker.push(impulse)
    for step in range(2):
        lockstep.send(TORQUE, step)
        walker.step(TORQUE)
        state = lockstep.states[(step + 1) * PERIOD]
        np.testing.assert_array_equal(state.velocities, walker.qvel)
    assert lockstep.facts['pushes'] == 1


@pytest.mark.parametrize('push', [np.nan, np.inf, 101.0])
def test_a_push_that_is_not_finite_or_too_strong_is_refused(lockstep, push):
    lockstep.bridge.push(np.array([push, 0.0, 0.0]))
    assert lockstep.warnings == [
        f'push refused: {push} N s, expected a finite impulse of at most 100.0 N s']
    lockstep.send(TORQUE, 0)
    np.testing.assert_array_equal(lockstep.states[PERIOD].velocities, walker_after(TORQUE)[0].qvel)
    assert lockstep.facts['pushes'] == 0


# Real time


def test_time_begins_with_the_first_command_and_then_follows_the_wall_clock(world):
    world.run(1.0)
    assert list(world.states) == [0]
    assert world.bridge.state == 'waiting'
    world.send(TORQUE, 0)
    world.run(0.9 * SECONDS)
    assert list(world.states) == [0]
    world.run(20.0 * SECONDS)  # although no further command comes
    assert world.last_step == 20


def test_a_command_for_a_state_that_has_not_come_yet_is_ignored(walking):
    world = World()
    world.send(TORQUE, 1)
    world.run(0.1)
    assert list(world.states) == [0]
    last = walking.last_step
    walking.send(2.0 * TORQUE, last + 1)
    walking.run(SECONDS)
    assert walking.applied(last + 1) == TORQUE.tolist()


def test_real_time_may_be_slow():
    world = World(real_time_factor=0.1, command_timeout=1.0)
    assert world.bridge.wall_period == 10 * SECONDS
    world.send(TORQUE, 0)
    world.run(105 * SECONDS)
    assert world.last_step == 10


def test_a_command_that_comes_after_the_next_state_still_acts(walking):
    step = walking.last_step
    walking.answer = None
    walking.run(SECONDS)
    walking.send(2.0 * TORQUE, step)
    walking.run(SECONDS)
    assert walking.applied(step + 2) == (2.0 * TORQUE).tolist()


def test_a_state_without_its_command_is_a_missed_deadline(walking):
    assert walking.facts['missed_deadlines'] == 0
    walking.answer = None
    walking.run(5 * SECONDS)  # the first of these steps has its command
    assert walking.facts['missed_deadlines'] == 4


def test_latency_counts_from_the_first_time_that_a_state_was_shown(world):
    world.run(0.5)
    world.send(TORQUE, 0)
    assert world.latencies == []  # the robot waited for a planner to load
    world.run(3.5 * SECONDS)
    world.send(TORQUE, 3)
    world.send(TORQUE, 3)  # a repetition
    world.send(TORQUE, 1)  # late
    np.testing.assert_allclose(
        world.latencies, [0.5 * SECONDS, 2.5 * SECONDS], atol=2 * LATENESS)


def test_a_command_for_a_state_of_long_ago_has_no_latency():
    world = World(StopConfig(stop_behaviour='hold', stop_stiffness=(1000.0,)))
    world.send(TORQUE, 0)
    world.run((MAX_UNANSWERED + 1.5) * SECONDS)
    world.send(TORQUE, 1)
    assert world.latencies == []
    world.send(TORQUE, 2)
    assert len(world.latencies) == 1


@pytest.mark.parametrize('reason', ['waiting', 'paused', 'over'])
def test_clock_and_state_are_repeated_while_time_stands_still(reason):
    world = World(max_episode_steps=3)
    if reason != 'waiting':
        world.send(TORQUE, 0)
        world.run(2.5 * SECONDS)
    if reason == 'paused':
        world.bridge.pause(True)
    world.run(5 * SECONDS)
    assert world.bridge.state == reason
    world.shown.clear()
    world.clock.clear()
    world.run(1.0)
    assert len(world.clock) == len(world.shown) >= 0.95 / REPEAT_PERIOD
    assert len(set(world.clock)) == len({stamp for _, stamp in world.shown}) == 1


def test_after_a_late_tick_the_next_period_is_whole(walking):
    walking.suspend(1.2 * SECONDS)
    walking.shown.clear()
    walking.run(4 * SECONDS)
    times = [time for time, _ in walking.shown]
    assert all(b - a > 0.9 * SECONDS for a, b in pairwise(times))


# Pauses


def test_a_pause_stops_time_and_is_not_made_up_for(walking):
    walking.bridge.pause(True)
    last = walking.last_step
    walking.run(0.5)
    assert walking.last_step == last
    walking.bridge.pause(False)
    walking.run(3.5 * SECONDS)
    assert walking.last_step == last + 3


def test_after_a_pause_the_last_command_goes_on(walking):
    walking.bridge.pause(True)
    walking.answer = None
    walking.run(0.5)
    last = walking.last_step
    walking.bridge.pause(True)  # again
    walking.bridge.pause(False)
    walking.run(20 * SECONDS)
    assert walking.applied(last + 1) == TORQUE.tolist()
    assert not any(walking.applied(last + 10))  # it ages from where it was


def test_a_command_that_came_during_a_pause_is_as_old_as_the_time_since(walking):
    walking.bridge.pause(True)
    walking.answer = None
    walking.run(0.5)
    last = walking.last_step
    walking.send(2.0 * TORQUE, last)
    walking.run(0.5)
    walking.bridge.pause(False)
    walking.run(20.5 * SECONDS)
    steps = [step for step in range(last + 1, last + 20)
             if walking.applied(step) == (2.0 * TORQUE).tolist()]
    assert steps == [last + 1, last + 2, last + 3]  # it is 8, 16, 24 ms old, and then 32.1 ms


# Stops


def test_the_torque_of_a_dead_planner_is_gone_after_the_timeout(walking):
    walking.answer = None
    died = walking.now
    walking.run(20 * SECONDS)
    stopped = next(time for time, stamp in walking.shown
                   if stamp and not walking.states[stamp].efforts.any())
    assert stopped - died <= TIMEOUT + SECONDS
    ((is_stopped, age),) = walking.stops
    assert is_stopped and TIMEOUT < age <= TIMEOUT + SECONDS + LATENESS
    facts = walking.facts
    assert (facts['state'], facts['stop_cause'], facts['stops']) == ('stopped', 'no command', 1)
    assert facts['stopped_steps'] == sum(
        not any(walking.applied(k)) for k in range(1, walking.last_step + 1))


def test_a_stop_ends_with_the_next_command(walking):
    walking.answer = None
    walking.run(20 * SECONDS)
    walking.answer = TORQUE
    walking.run(3 * SECONDS)
    assert [is_stopped for is_stopped, _ in walking.stops] == [True, False]
    assert walking.bridge.state == 'running'
    assert walking.facts['stop_cause'] == 'no command'  # of the latest one
    assert walking.applied(walking.last_step) == TORQUE.tolist()


def test_refused_commands_do_not_keep_the_last_torque(walking):
    walking.answer = GRAVE
    walking.run(20 * SECONDS)
    assert not any(walking.applied(walking.last_step))
    assert walking.bridge.stop_cause == 'commands refused'


def test_damping_follows_the_velocities_within_the_gear():
    world = World(StopConfig(stop_behaviour='damping', stop_damping=(20.0,)))
    world.send(TORQUE, 0)
    world.run(30 * SECONDS)
    for step in range(10, 29):
        velocity = world.states[step * PERIOD].velocities[3:]
        assert velocity.any()
        np.testing.assert_array_equal(world.applied(step + 1),
                                      np.clip(-20.0 * velocity, -100.0, 100.0))


def test_every_stop_holds_the_joints_where_it_begins():
    world = World(StopConfig(stop_behaviour='hold', stop_damping=(0.0,),
                             stop_stiffness=(100.0,)))
    for _ in range(2):
        world.send(TORQUE)
        begin = world.last_step + 1
        world.run(20.5 * SECONDS)
        torques = [world.applied(step) for step in range(begin, begin + 20)]
        first = torques.index([0.0] * 6)
        held = world.states[(begin + first - 1) * PERIOD].positions[3:]
        moved = world.states[(begin + first) * PERIOD].positions[3:]
        np.testing.assert_array_equal(torques[first + 1],
                                      np.clip(100.0 * (held - moved), -100.0, 100.0))


def test_a_stop_that_a_reset_ends_does_not_hold_the_joints_of_the_next_one():
    world = World(StopConfig(stop_behaviour='hold', stop_damping=(0.0,)))
    world.send(TORQUE, 0)
    world.run(20.5 * SECONDS)
    assert world.bridge.state == 'stopped'
    world.bridge.reset(4)
    start = world.last_step
    world.send(TORQUE)
    world.run(20.5 * SECONDS)
    assert [0.0] * 6 in [world.applied(step) for step in range(start + 1, start + 20)]


def test_a_gain_for_some_motors_only_is_refused():
    with pytest.raises(ConfigError, match='stop_damping has 2 values, expected 1 or 6'):
        World(StopConfig(stop_damping=(1.0, 2.0)))


def test_slow_time_stops_for_a_silent_planner_only():
    world = World(real_time_factor=0.02, command_timeout=0.2)  # a step takes 0.4 s
    world.send(TORQUE, 0)
    world.run(0.3)
    world.send(TORQUE, 0)  # planners repeat their command
    world.run(0.3)
    assert world.applied(1) == TORQUE.tolist()
    world.run(0.4)
    assert not any(world.applied(2))


def test_a_suspended_process_goes_on_without_burst_and_without_stop(walking):
    last = walking.last_step
    walking.suspend(0.8)
    walking.shown.clear()
    walking.told.clear()
    begin = walking.now
    walking.answer = None
    walking.run(DELAY)
    assert set(walking.shown) == {(begin, last * PERIOD)}  # nothing moved
    assert walking.told[0] == 'state'  # before clock and state are repeated anyway
    walking.send(TORQUE, last)
    walking.answer = TORQUE
    walking.run(10 * SECONDS)
    assert all(stamp - last * PERIOD <= (time - begin) * 1e9 + PERIOD
               for time, stamp in walking.shown)
    assert walking.last_step >= last + 9
    assert walking.stops == []
    assert all(walking.applied(step) == TORQUE.tolist()
               for step in range(last + 1, walking.last_step + 1))


def test_a_planner_that_does_not_answer_after_a_suspension_is_dead(walking):
    last = walking.last_step
    walking.answer = None
    walking.suspend(0.8)
    begin = walking.now
    walking.run(20 * SECONDS)
    first = next(time for time, stamp in walking.shown if stamp == (last + 1) * PERIOD)
    assert TIMEOUT < first - begin <= TIMEOUT + SECONDS + LATENESS
    assert not any(walking.applied(last + 1))
    assert walking.bridge.stop_cause == 'no command'


@pytest.mark.parametrize(('settings', 'timeout'), [
    ({}, 0.032), ({'real_time_factor': 0.1}, 0.32), ({'real_time_factor': 10.0}, 0.032),
    ({'command_timeout': 0.05}, 0.05)])
def test_by_default_commands_may_be_as_old_as_four_periods_on_the_wall_clock(settings, timeout):
    assert World(**settings).bridge.command_timeout == pytest.approx(timeout)


def test_a_suspension_excuses_no_command_that_was_too_old_before(walking):
    walking.answer = None
    walking.run(20 * SECONDS)
    n_steps = walking.last_step
    walking.suspend(0.8)
    walking.run(SECONDS)
    assert walking.last_step > n_steps
    assert walking.bridge.state == 'stopped'
