# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Processes that die, hang, come back or fight: a real planner and a real simulated robot."""

import signal
import time

from fault_recorder import milliseconds, recording, row
from lifecycle import ACTIVATE, change, CONFIGURE, DEACTIVATE, Health, state_of
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from ros_processes import call, parameter, running, spin_for, spin_until
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from diffusion_planner_ros.messages.stamps import NANOSECONDS, NO_STATE
from diffusion_planner_ros.nodes.common.topics import COMMANDS, RESET, SET_PLANNER_PARAMETERS
from diffusion_planner_ros.nodes.control.command_conflicts import CONTEST
from diffusion_planner_ros.nodes.control.command_publisher import REPORT_PERIOD

PERIOD = 8_000_000  # [ns]
LONGEST = 0.048  # [s], simulated: the bridge's command_timeout and two control periods
REQUIRED = 0.050  # [s] from the death of a planner to no torque
OLDEST = 0.2  # [s], state that a torque may answer: the planner's max_plan_gap, and some patience
N_KILLS = 3
N_STOPS = 3
N_CHANGES = 400
SETTINGS = {'use_sim_time': True, 'ramp_time': 0.0}
# Of every parameter the values to take, those to refuse, and what the refusal has to say.
HAMMER = (('n_candidates', (2, 4, 6), (0, 257), ('1', '256')),
          ('n_candidates', (3,), ('many', 2.5, True), ('type',)),
          ('n_denoise_steps', (1, 2, 3), (21,), ('at most 20',)),
          ('guidance_strength', (0.0, 0.5), (-1.0, 101.0), ('0', '100')),
          ('guidance_strength', (0.0,), (float('nan'),), ('0', '100')),
          ('sampler', ('ddim', 'ddpm'), ('euler',), ('ddim, ddpm',)),
          ('torque_scale', (1.0,), (-0.1, 1.1, float('inf')), ('0', '1')),
          ('max_equal_states', (5, 6), (-1, 1001), ('0', '1000')),
          ('lockstep', (), (True,), ('read-only',)),
          ('no_such_setting', (), (1,), ('declared',)))


@pytest.fixture(autouse=True)
def recorder():
    with recording() as recorder:
        yield recorder


@pytest.fixture
def bridge(tmp_path):
    with running('mujoco_bridge', tmp_path) as process:
        yield process


def stop_times(recorder, moment):
    """Return the wall and the simulated time from a moment until the joints are at rest [s]."""
    rest = recorder.wait(lambda: recorder.rest_after(moment), 'rest')
    before = recorder.last_before(moment)
    steps = np.diff([s.stamp for s in recorder.states if before.sent <= s.sent <= rest.sent])
    # A robot that falls meanwhile begins anew, and time leaps.
    return rest.sent - moment, steps[steps < NANOSECONDS].sum() / NANOSECONDS


def wait_for_steady_walk(recorder, process):
    """Wait for a stretch of steps under torque without a reset, so that a stop shows."""
    def is_steady():
        last = recorder.states[-10:]
        return (len(last) == 10 and last[-1].stamp - last[0].stamp == 9 * PERIOD
                and all(s.effort.any() for s in last) and last[0].sent >= begin)

    begin = time.time()
    recorder.wait(is_steady, 'a steady walk', process)


def test_torque_ends_within_50_ms_of_the_planner_s_death_and_a_new_planner_takes_over(
        tmp_path, recorder, bridge, record_property):
    walls, simulated, recoveries = [], [], []
    for _ in range(N_KILLS):
        begin = time.time()
        with running('planner', tmp_path, **SETTINGS) as planner:
            moved = recorder.wait(lambda begin=begin: recorder.motion_after(begin), 'motion',
                                  planner)
            recoveries.append(moved.sent - begin)
            wait_for_steady_walk(recorder, planner)
            killed = time.time()
            planner.process.kill()
            wall, stamps = stop_times(recorder, killed)
            walls.append(wall)
            simulated.append(stamps)
    # The best of them shows the watchdog, the others the machine; simulated time shows all.
    assert min(walls) <= REQUIRED, walls
    assert max(simulated) <= LONGEST, simulated
    recorder.wait(lambda: 'stopped (behaviour zero)' in bridge.output, 'report', bridge)
    row(record_property, 'planner killed (SIGKILL)',
        stop=f'{milliseconds(walls)}; simulated: {milliseconds(simulated)}',
        sent='nothing; the bridge applies zero torque',
        reported='bridge: `no command for 0.0.. s: stopped (behaviour zero)`, diagnostics at once',
        recovery=f'a new planner drives {np.median(recoveries):.1f} s after its start')


def test_a_stopped_planner_goes_on_without_burst_or_stale_torque(tmp_path, recorder, bridge,
                                                                 record_property):
    walls, simulated, recoveries = [], [], []
    with running('planner', tmp_path, **SETTINGS) as planner:
        for _ in range(N_STOPS):
            wait_for_steady_walk(recorder, planner)
            stopped = time.time()
            planner.process.send_signal(signal.SIGSTOP)
            try:
                wall, stamps = stop_times(recorder, stopped)
                spin_for(recorder.node, 0.2)
            finally:
                resumed = time.time()
                planner.process.send_signal(signal.SIGCONT)
            walls.append(wall)
            simulated.append(stamps)
            torque = recorder.wait(lambda m=resumed: recorder.plan_after(m), 'plan', planner)
            recoveries.append(torque.sent - resumed)
            until = time.time() + 0.2
            # Whatever was sent before was heard before: commands, and the states that they answer.
            recorder.wait(lambda m=until: recorder.states[-1].sent >= m, 'later states', bridge)
            commands = [c for c in recorder.commands_since(resumed) if c.sent < until]
            check_no_stale_torque(recorder, commands, resumed)
            n_states = sum(resumed <= s.sent < until for s in recorder.states)
            plans = {c.answered for c in commands if c.answered != NO_STATE}
            assert len(plans) <= n_states + 2
    # Not the wall clock: who hangs may hold a lock of Fast DDS's shared memory, and then the
    # simulation, which steps no more meanwhile, waits with it for seconds.
    assert max(simulated) <= LONGEST, simulated
    row(record_property, 'planner hangs (SIGSTOP, SIGCONT)',
        stop=f'{milliseconds(walls)}; simulated: {milliseconds(simulated)}',
        sent='nothing while it hangs; then zero torque until a fresh plan',
        reported='planner: `stop: stale state` or `late plan`; bridge: `no command for ..`',
        recovery=f'{milliseconds(recoveries)} ms after SIGCONT')


def check_no_stale_torque(recorder, commands, resumed):
    """
    Fail if a planned torque answers a state that was old when its planner went on.

    How long it takes from there depends on the machine.
    """
    for command in commands:
        if command.answered != NO_STATE and command.torque.any():
            age = resumed - recorder.shown[command.answered]
            assert age <= OLDEST, f'its state was {age:.3f} s old: {command}'


def test_a_planner_outlives_its_robot_and_drives_the_next_one(tmp_path, recorder,
                                                              record_property):
    with running('mujoco_bridge', tmp_path) as bridge, running(
            'planner', tmp_path, **SETTINGS) as planner:
        wait_for_steady_walk(recorder, planner)
        spin_for(recorder.node, REPORT_PERIOD + 0.1)  # a stop while it began was just reported
        wait_for_steady_walk(recorder, planner)
        before = len(planner.output)
        killed = time.time()
        bridge.process.kill()
        stop = recorder.wait(lambda: recorder.stop_after(killed), 'stop', planner)
        recorder.health.wait_for('stopped', planner)
        assert recorder.health.facts['stop_cause'] == 'stale state'
        assert all(c.is_stop for c in recorder.commands_since(stop.sent))
        assert planner.output[before:].count('stop: stale state') == 1
        restarted = time.time()
        with running('mujoco_bridge', tmp_path) as bridge:
            moved = recorder.wait(lambda: recorder.motion_after(restarted), 'motion', planner)
            first = next(s for s in recorder.states if s.sent >= restarted)
            # Time began anew, however late we heard of it.
            assert first.stamp < (first.sent - restarted) * NANOSECONDS
            recorder.health.wait_for('planning', planner)
    row(record_property, 'robot driver killed and restarted',
        stop=milliseconds(stop.sent - killed), sent='zero torque',
        reported='`stop: stale state`, once; diagnostics ERROR',
        recovery=f'by itself, {moved.sent - restarted:.1f} s after the start of the new driver')


def test_a_second_planner_waits_for_the_death_of_the_first(tmp_path, recorder, bridge,
                                                           record_property):
    with (running('planner', tmp_path, **SETTINGS) as first,
          running('planner', tmp_path, 'second', autostart=False, **SETTINGS) as second):
        assert change(recorder.node, CONFIGURE, 'second')
        wait_for_steady_walk(recorder, first)
        if change(recorder.node, ACTIVATE, 'second'):
            # It has not discovered the first yet: it leaves the robot once it has.
            text = 'left the robot to /planner'
            recorder.wait(lambda: text in second.output, text, second)
            recorder.wait(lambda: state_of(recorder.node, 'second') == 'inactive', 'inactive')
            assert not change(recorder.node, ACTIVATE, 'second')
        text = "'/effort_controller/commands' is commanded by /planner; deactivate it first"
        recorder.wait(lambda: text in second.output, text, second)
        assert state_of(recorder.node, 'second') == 'inactive'
        killed = time.time()
        first.process.kill()
        # The dead one's publisher is still in the graph, its commands are not.
        recorder.wait(lambda: change(recorder.node, ACTIVATE, 'second'), 'activation', second)
        moved = recorder.wait(
            lambda: next((c for c in recorder.commands_since(killed + 0.1)
                          if c.torque.any()), None), 'command of the second', second)
    row(record_property, 'second planner started beside the first', stop='-',
        sent='nothing by the second', reported='activation refused, naming who commands',
        recovery=f'takes over on request, {moved.sent - killed:.1f} s after the death of the '
                 'first')


@pytest.mark.slow
def test_whoever_commands_beside_an_active_planner_is_reported(tmp_path, recorder,
                                                               record_property):
    with running('planner', tmp_path, **SETTINGS) as planner:
        recorder.health.wait_for('waiting', planner)
        spin_for(recorder.node, CONTEST + 1.0)  # who has only begun would leave the robot
        other = recorder.node.create_publisher(Float64MultiArray, COMMANDS.path, 1)
        text = '/observer commands the joints as well'
        recorder.wait(lambda: text in planner.output, text, planner)
        recorder.health.wait_for('contested', planner)
        assert recorder.health.messages[-1] == 'also commanded by /observer'
        with running('mujoco_bridge', tmp_path) as bridge:
            recorder.wait_for_steps(20, planner)
            text = '2 publishers on /effort_controller/commands, expected one'

            def is_reported():
                other.publish(Float64MultiArray(data=[0.0] * 6))
                spin_for(recorder.node, 0.1)
                return text in bridge.output

            recorder.wait(is_reported, text, bridge)
            recorder.node.destroy_publisher(other)
            recorder.health.wait_for('planning', planner)
        assert planner.output.count('/observer commands the joints as well') == 1
    row(record_property, 'somebody else publishes commands beside a planner', stop='-',
        sent='the torques of both, in turn',
        reported='planner: `.. commands the joints as well`; bridge: `2 publishers`; '
                 'diagnostics ERROR', recovery='end one')


@pytest.mark.parametrize('rate', [1.0, pytest.param(10.0, marks=pytest.mark.slow)])
def test_a_planner_does_not_begin_beside_a_slow_publisher(tmp_path, recorder, rate):
    other = recorder.node.create_publisher(Float64MultiArray, COMMANDS.path, 1)
    recorder.node.create_timer(1.0 / rate, lambda: other.publish(Float64MultiArray()))
    with running('planner', tmp_path, 'late', autostart=False, **SETTINGS) as late:
        assert change(recorder.node, CONFIGURE, 'late')
        recorder.wait(other.get_subscription_count, 'each has discovered the other', late)
        assert not change(recorder.node, ACTIVATE, 'late')
        text = "'/effort_controller/commands' is commanded by /observer; deactivate it first"
        recorder.wait(lambda: text in late.output, text, late)
        assert recorder.node.count_publishers(COMMANDS.path) == 1
    recorder.commands.clear()  # they are ours, and empty


@pytest.mark.slow
def test_a_second_planner_of_the_same_name_does_not_begin(tmp_path, recorder, bridge):
    (tmp_path / 'other').mkdir()
    with running('planner', tmp_path, **SETTINGS) as first:
        wait_for_steady_walk(recorder, first)
        with running('planner', tmp_path / 'other', **SETTINGS) as second:
            # Discovery takes its time on a busy machine: then it begins, and gives up at once.
            recorder.wait(lambda: 'is commanded by /planner' in second.output
                          or 'left the robot to' in second.output, 'refusal', second)
            recorder.wait(lambda: recorder.node.count_publishers(COMMANDS.path) == 1, 'one')
            assert 'left the robot' not in first.output


@pytest.mark.slow
def test_of_two_planners_that_begin_at_once_one_is_left(tmp_path, recorder):
    (tmp_path / 'other').mkdir()
    with (running('planner', tmp_path, **SETTINGS) as first,
          running('planner', tmp_path / 'other', **SETTINGS) as second):
        def is_decided():
            outputs = first.output, second.output
            return sum('is commanded by /planner' in o or 'left the robot to' in o
                       for o in outputs) >= 1

        recorder.wait(is_decided, 'a decision')
        recorder.wait(lambda: recorder.node.count_publishers(COMMANDS.path) == 1, 'one planner')
        with running('mujoco_bridge', tmp_path):
            recorder.wait_for_steps(20)


def test_a_reset_beside_a_suspended_robot_does_not_stop_time_for_ever(tmp_path, recorder, bridge):
    with running('planner', tmp_path, **SETTINGS) as planner:
        for _ in range(3):
            wait_for_steady_walk(recorder, planner)
            assert call(recorder.node, Trigger, RESET.path, Trigger.Request()).success
            bridge.process.send_signal(signal.SIGSTOP)
            spin_for(recorder.node, 0.2)
            bridge.process.send_signal(signal.SIGCONT)
            resumed = time.time()
            recorder.wait(lambda m=resumed: recorder.motion_after(m), 'motion', planner)


@pytest.mark.slow
def test_a_planner_that_crashed_and_came_back_is_no_conflict(tmp_path, recorder, bridge):
    levels = Health(recorder.node, 'mujoco_bridge').levels
    for _ in range(2):
        with running('planner', tmp_path, **SETTINGS) as planner:
            wait_for_steady_walk(recorder, planner)
            spin_for(recorder.node, 1.5)  # a report comes every second
            planner.process.kill()
    assert 'publishers on' not in bridge.output
    assert levels


def test_the_end_of_an_episode_is_no_fault(tmp_path, recorder):
    with (running('mujoco_bridge', tmp_path, max_episode_steps=25) as bridge,
          running('planner', tmp_path, **SETTINGS) as planner):
        recorder.wait_for_steps(150, planner)
        stamps = [s.stamp for s in recorder.states]
        assert stamps == sorted(stamps)  # transforms and plots lose nothing
        assert 'state refused' not in planner.output, planner.output
        assert bridge.process.poll() is None


@pytest.mark.parametrize('number', [
    pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM], ids=lambda n: n.name)
def test_signals_end_a_planner_with_a_stop_and_exit_code_0(tmp_path, recorder, number,
                                                           record_property):
    begin = time.time()
    with (running('mujoco_bridge', tmp_path) as bridge,
          running('planner', tmp_path, **SETTINGS) as walking,
          running('planner', tmp_path, 'loading', autostart=False) as loading):
        # While configuring.
        health = Health(recorder.node, 'loading')
        health.wait_for('unconfigured', loading)
        client = recorder.node.create_client(ChangeState, 'loading/change_state')
        spin_until(recorder.node, client.service_is_ready, 'service', loading)
        client.call_async(ChangeState.Request(transition=Transition(id=CONFIGURE)))
        spin_until(recorder.node, lambda: 'loading' in health.states, 'loading', loading)
        signal_and_check(recorder, loading, number)

        # While walking. The robot may hear the planner seconds before the recorder does.
        recorder.wait(lambda: recorder.plan_after(begin), 'plan', walking)
        wait_for_steady_walk(recorder, walking)
        told = time.time()
        signal_and_check(recorder, walking, number)
        stop = recorder.wait(lambda: recorder.stop_after(told), 'stop')
        spin_for(recorder.node, 0.2)
        assert recorder.commands[-1].is_stop
        rest = recorder.wait(lambda: recorder.rest_after(told), 'rest', bridge)

        # While stopped, because its robot is silent.
        begin = time.time()
        with running('planner', tmp_path, 'stopped', **SETTINGS) as stopped:
            recorder.wait(lambda: recorder.plan_after(begin), 'plan', stopped)
            # A planner that has only begun, or whose robot has just fallen, has nothing to stop.
            wait_for_steady_walk(recorder, stopped)
            bridge.process.kill()
            recorder.wait(lambda: 'stop: stale state' in stopped.output, 'stop', stopped)
            signal_and_check(recorder, stopped, number)
        spin_for(recorder.node, 0.2)
        assert recorder.commands[-1].is_stop
    row(record_property, f'{number.name} while walking, configuring, stopped',
        stop=f'{milliseconds(stop.sent - told)}; joints: {milliseconds(rest.sent - told)}',
        sent='zero torque, last', reported='exit code 0', recovery='start it again')


def signal_and_check(recorder, node, number):
    """Send a signal; the process must end by itself, with exit code 0 and without a traceback."""
    node.process.send_signal(number)
    # Listen meanwhile: DDS may drop what nobody has taken when its publisher takes its leave.
    recorder.wait(lambda: node.process.poll() is not None, 'the end of the process', node)
    assert node.process.returncode == 0, node.output
    assert 'Traceback' not in node.output


@pytest.mark.slow
def test_parameters_hammered_during_a_walk_are_taken_or_refused_and_it_goes_on(
        tmp_path, recorder, bridge, record_property):
    rng = np.random.default_rng(0)
    with running('planner', tmp_path, **SETTINGS) as planner:
        client = recorder.node.create_client(SetParameters, SET_PLANNER_PARAMETERS.path)
        # A request before DDS has discovered the planner, which walks by then, would be lost.
        spin_until(recorder.node, client.service_is_ready, 'service', planner)
        wait_for_steady_walk(recorder, planner)
        begin = time.time()
        n_refused = sum(hammer(recorder, client, rng) for _ in range(N_CHANGES))
        end = time.time()
        assert 0.2 * N_CHANGES < n_refused < 0.8 * N_CHANGES
        steps = [s for s in recorder.states if begin <= s.sent < end]
        driven = np.mean([bool(s.effort.any()) for s in steps])
        assert driven > 0.5, f'{driven:.2f} of {len(steps)} steps'
        wait_for_steady_walk(recorder, planner)

        # The stop does not wait for what is still to be set.
        answers = [client.call_async(draw(rng)[0]) for _ in range(50)]
        told = time.time()
        assert change(recorder.node, DEACTIVATE)
        stop = recorder.wait(lambda: recorder.stop_after(told), 'stop', planner)
        spin_until(recorder.node, lambda: all(a.done() for a in answers), 'answers', planner)
        assert not any(c.torque.any() for c in recorder.commands_since(stop.sent))
        assert planner.process.poll() is None
        assert 'Traceback' not in planner.output
    row(record_property, f'{N_CHANGES} parameter changes in {end - begin:.1f} s while walking',
        stop=f'deactivated among 50 more: {milliseconds(stop.sent - told)}',
        sent=f'torque in {driven:.0%} of the steps',
        reported=f'{n_refused} refused with the range', recovery='never stopped planning')


def draw(rng):
    """Draw a change of a parameter; return its request, whether it is valid, else the reason."""
    name, valid, invalid, expected = HAMMER[rng.integers(len(HAMMER))]
    is_valid = bool(valid) and rng.random() < 0.6
    values = valid if is_valid else invalid
    value = values[rng.integers(len(values))]
    return SetParameters.Request(parameters=[parameter(name, value)]), is_valid, expected


def hammer(recorder, client, rng):
    """Set one parameter; return whether that was refused, as it should be."""
    request, is_valid, expected = draw(rng)
    future = client.call_async(request)
    spin_until(recorder.node, future.done, 'answer')
    result = future.result().results[0]
    assert result.successful == is_valid, (request, result)
    if not is_valid:
        assert all(word in result.reason for word in expected), result
    return not is_valid
