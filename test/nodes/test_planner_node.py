# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0

from contextlib import ExitStack
import os
import signal

from driver import Driver, JOINTS, PERIOD, SETTINGS
from lifecycle import Health
import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from ros_processes import (
    call,
    NodeProcess,
    parameter,
    running,
    spin_for,
    spin_until,
    TIME_LIMIT,
)
from rosgraph_msgs.msg import Clock

from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds, torque_from_msg
from diffusion_planner_ros.nodes.common.topics import CLOCK, SET_PLANNER_PARAMETERS
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.bridge_episode import EPISODE_GAP

LEAP = EPISODE_GAP // PERIOD  # control periods from one episode to the next


@pytest.fixture
def planner_process(kept):
    return kept.start('planner', **SETTINGS)


@pytest.fixture
def driver(kept, planner_process):
    with kept.observer() as node:
        driver = Driver(node, planner_process.n_uses)
        spin_until(node, driver.is_connected, 'planner', planner_process)
        driver.set_clock(0)
        yield driver


def test_answers_with_the_torque_that_the_planner_plans_in_process(driver, walker):
    planner = Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())
    for step in range(3):
        torque = driver.answer(step, walker.qpos, walker.qvel)
        expected = planner.plan(walker.state, step=step).actions[0]
        np.testing.assert_array_equal(torque, expected)
        walker.step(torque)


def test_matches_joints_by_name_whatever_their_order_or_company(driver, walker):
    expected = driver.answer(5, walker.qpos, walker.qvel)
    # The same state again in the same control period, so that the noise is the same.
    for step in (10, 0):  # time jumps back, as when a simulation is reset
        driver.set_clock(step)
        spin_for(driver.node, 0.3)
    order = np.random.default_rng(0).permutation(9)
    torque = driver.answer(5, [7.0, *walker.qpos[order]], [7.0, *walker.qvel[order]],
                           ['gripper', *np.array(JOINTS)[order].tolist()])
    np.testing.assert_array_equal(torque, expected)


@pytest.mark.parametrize(('spoil', 'reason'), [
    (lambda p, v, n: (p[:-1], v[:-1], n[:-1]), "joint 'foot_left_joint' is missing"),
    (lambda p, v, n: (p, v[:-1], n), "joint 'foot_left_joint' has no velocity"),
    (lambda p, v, n: (np.where(np.arange(9) == 4, np.nan, p), v, n),
     "joint 'leg_joint' has position nan"),
    (lambda p, v, n: (p, np.where(np.arange(9) == 1, np.inf, v), n),
     "joint 'rootz' has velocity inf"),
])
def test_refuses_a_bad_state_by_joint_and_sends_no_torque(driver, walker, planner_process, spoil,
                                                          reason):
    position, velocity, names = spoil(walker.qpos, walker.qvel, JOINTS)
    driver.show_until(lambda: reason in planner_process.output, 1, position, velocity, names)
    spin_for(driver.node, 0.3)
    assert driver.only_stopped()
    driver.answer(2, walker.qpos, walker.qvel)  # and it goes on with a good one


def test_answers_a_repeated_state_again_and_another_state_anew(driver, walker):
    driver.answer(0, walker.qpos, walker.qvel)
    torque = driver.answer(4, walker.qpos, walker.qvel)
    np.testing.assert_array_equal(driver.answer(4, walker.qpos, walker.qvel), torque)
    walker.reset(seed=1)  # a simulation that is reset before its clock moved
    planner = Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())
    np.testing.assert_array_equal(driver.answer(4, walker.qpos, walker.qvel),
                                  planner.plan(walker.state, step=4).actions[0])


def test_a_state_beyond_single_precision_gets_no_torque_and_the_next_one_does(
        driver, walker, planner_process):
    huge = walker.qpos.copy()
    huge[1] = 1e300
    reason = "state refused: joint 'rootz' has position 1e+300, expected a finite number"
    driver.show_until(lambda: reason in planner_process.output, 1, huge, walker.qvel)
    assert driver.only_stopped()
    driver.answer(2, walker.qpos, walker.qvel)


def test_refuses_an_old_state(driver, walker, planner_process):
    driver.answer(1, walker.qpos, walker.qvel)
    driver.commands.clear()
    driver.set_clock(100)
    spin_for(driver.node, 0.3)
    reason = 'the joint states are 0.784 s old, expected at most 0.1 s (max_state_age)'
    driver.show_until(lambda: reason in planner_process.output, 2, walker.qpos, walker.qvel)
    assert not driver.commands


def test_publishes_the_chosen_plan_stamped_with_its_state(driver, walker):
    for step in range(3, 300):  # a planner that has not heard of us yet shows us no plan
        torque = driver.answer(step, walker.qpos, walker.qvel)
        stamp = stamp_from_nanoseconds(driver.stamp(step))
        if driver.plans and driver.plans[-1].header.stamp == stamp:
            break
    plan = driver.plans[-1]
    assert plan.header.stamp == stamp
    assert sorted(plan.joint_names) == sorted(JOINTS)
    assert [p.time_from_start.nanosec for p in plan.points] == [PERIOD * k for k in range(8)]
    first = dict(zip(plan.joint_names, plan.points[0].positions, strict=True))
    effort = dict(zip(plan.joint_names, plan.points[0].effort, strict=True))
    np.testing.assert_allclose([first[j] for j in JOINTS], walker.qpos, atol=1e-6)
    np.testing.assert_array_equal([effort[j] for j in walker.actuated_joints], torque)


def set_parameter(node, name, value):
    request = SetParameters.Request(parameters=[parameter(name, value)])
    return call(node, SetParameters, SET_PLANNER_PARAMETERS.path, request).results[0]


def test_changes_a_knob_between_two_plans_and_refuses_a_wrong_value_with_its_range(driver, walker):
    refused = set_parameter(driver.node, 'n_denoise_steps', 21)
    assert not refused.successful
    assert 'expected at most 20' in refused.reason
    refused = set_parameter(driver.node, 'guidance_strength', 1000.0)
    assert not refused.successful
    assert '100' in refused.reason
    refused = set_parameter(driver.node, 'provider', 'auto')
    assert not refused.successful

    try:
        assert set_parameter(driver.node, 'n_candidates', 2).successful
        config = PlannerConfig(n_candidates=2)
        planner = Planner(Bundle.load(share_file('models/walker2d')), config)
        np.testing.assert_array_equal(driver.answer(0, walker.qpos, walker.qvel),
                                      planner.plan(walker.state, step=0).actions[0])
    finally:
        set_parameter(driver.node, 'n_candidates', PlannerConfig().n_candidates)


def test_describes_every_parameter_with_unit_and_range(driver):
    described = call(driver.node, DescribeParameters, 'planner/describe_parameters',
                     DescribeParameters.Request(names=['n_candidates', 'max_state_age', 'sampler',
                                                       'provider', 'torque_limit'])).descriptors
    candidates, age, sampler, provider, limit = described
    assert (candidates.integer_range[0].from_value, candidates.integer_range[0].to_value) == (1,
                                                                                              256)
    assert age.description.endswith('[s]')
    assert sampler.additional_constraints == 'one of ddim, ddpm, dpm_solver'
    assert provider.read_only and not candidates.read_only
    assert limit.additional_constraints == 'a list of numbers from 0 to 10000 [N m]'


def test_sends_zero_torque_last_and_ends_cleanly_when_interrupted(driver, walker,
                                                                  planner_process):
    driver.answer(0, walker.qpos, walker.qvel)
    driver.commands.clear()
    planner_process.process.send_signal(signal.SIGINT)
    # Listen meanwhile: DDS may drop what nobody has taken when its publisher takes its leave.
    spin_until(driver.node, lambda: planner_process.process.poll() is not None, 'its end')
    assert planner_process.process.returncode == 0
    spin_until(driver.node, lambda: driver.commands, 'stop command')
    torque, stamp = torque_from_msg(driver.commands[-1])
    np.testing.assert_array_equal(torque, np.zeros(6))
    assert stamp == -1
    assert 'Traceback' not in planner_process.output


def test_a_preset_gives_defaults_that_parameters_win_over(kept, walker):
    planner = Planner(Bundle.load(share_file('models/walker2d')),
                      PlannerConfig(**{**Preset.load('guided').planner, 'n_denoise_steps': 5}))
    with kept.observer() as node:
        process = kept.start('planner', **SETTINGS, preset='guided', n_denoise_steps=5)
        driver = Driver(node, process.n_uses)
        spin_until(node, driver.is_connected, 'planner', process)
        driver.set_clock(0)
        np.testing.assert_array_equal(driver.answer(0, walker.qpos, walker.qvel),
                                      planner.plan(walker.state, step=0).actions[0])


def test_the_preset_that_the_bundle_names_gives_defaults(kept):
    bundle = share_file('models/walker2d_speeds')
    with kept.observer() as node:
        kept.start('planner', **SETTINGS, bundle=str(bundle))
        asked = GetParameters.Request(names=['n_denoise_steps', 'return_weight'])
        answer = call(node, GetParameters, 'planner/get_parameters', asked)
    values = [answer.values[0].integer_value, answer.values[1].double_value]
    preset = Preset.load(Bundle.load(bundle).facts['preset']).planner
    assert values == [preset['n_denoise_steps'], preset['return_weight']]


WRONG_SETTINGS = [
    ({'preset': 'nameless'}, "preset is 'nameless', expected one of"),
    ({'bundle': '/nowhere'}, '/nowhere/model.yaml: no such file'),
    ({'provider': 'tensorrt'}, "provider 'tensorrt' is not available, expected one of"),
    ({'n_candidates': 0}, 'n_candidates'),
    ({'sampler': 'euler'}, "sampler is 'euler', expected one of ddim, ddpm"),
    ({'torque_limit': [-1.0]}, 'torque_limit is (-1.0,), expected a list of numbers from 0 to'),
    ({'stop_damping': [1.0, 2.0], 'stop_behaviour': 'damping'},
     'stop_damping has 2 values, expected 1 or 6'),
    ({'robot_description': '<robot'}, 'robot_description'),
    ({'odometry_joints': ['rootx=w']}, 'odometry_joints'),
]


@pytest.fixture(scope='module')
def refused(tmp_path_factory):
    """Planners with wrong settings; they are started at once, for each takes a second."""
    with ExitStack() as stack:
        yield [stack.enter_context(
            running('planner', tmp_path_factory.mktemp('wrong'), **settings))
            for settings, _ in WRONG_SETTINGS]


@pytest.mark.parametrize('number', range(len(WRONG_SETTINGS)),
                         ids=[next(iter(settings)) for settings, _ in WRONG_SETTINGS])
def test_wrong_settings_end_the_node_with_one_line_that_says_why(refused, number):
    process, (_, reason) = refused[number], WRONG_SETTINGS[number]
    assert process.process.wait(TIME_LIMIT) == 1
    assert reason in process.output
    assert 'Traceback' not in process.output


# In real time, beside a simulation that waits for the answer to its first state


@pytest.fixture
def start(kept):
    """Give a function that starts an active planner in real time with parameters."""
    with ExitStack() as stack:
        def start(**parameters):
            process = kept.start('planner', **{**SETTINGS, 'lockstep': False, **parameters})
            driver = Driver(stack.enter_context(kept.observer()), process.n_uses)
            spin_until(driver.node, driver.is_connected, 'planner', process)
            driver.set_clock(0)
            return driver, process
        yield start


def answered(driver, step):
    """Return whether a torque that was planned for a state came."""
    return any(torque_from_msg(m)[1] == driver.stamp(step) and any(m.data)
               for m in driver.commands)


def test_a_stop_at_time_zero_ends_when_the_state_is_good_again(kept, start, walker):
    kept.end()
    driver, process = start()
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)
    spoilt = np.full(9, np.nan)
    driver.show_until(lambda: 'stop: state not finite' in process.output, 0, spoilt, spoilt)
    driver.commands.clear()
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)


def test_a_silence_at_time_zero_ends_with_the_next_state(kept, start, walker):
    kept.end()
    driver, process = start()
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)
    spin_until(driver.node, lambda: 'stop: stale state' in process.output, 'stop', process)
    driver.commands.clear()
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)


def test_one_state_ahead_of_time_does_not_outrank_all_later_ones(kept, start, walker):
    kept.end()
    driver, process = start()
    driver.show_until(lambda: answered(driver, 11), 11, walker.qpos, walker.qvel)
    driver.commands.clear()
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)
    assert 'stop: joint states started over: 0.088 s before the last ones' in process.output


def test_states_from_before_a_leap_in_time_are_no_fault(start, walker):
    driver, process = start()
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)
    process.drop_output()  # of before
    for step in (0, LEAP, 2 * LEAP):  # the clock goes first, and a late state comes behind it
        driver.set_clock(step + LEAP)
        driver.show(step, walker.qpos, walker.qvel)
        driver.show_until(lambda s=step: answered(driver, s + LEAP), step + LEAP, walker.qpos,
                          walker.qvel)
    assert 'state refused' not in process.output


def test_two_publishers_of_the_clock_are_named_when_time_jumps_back(start):
    driver, process = start()
    driver.node.create_publisher(Clock, CLOCK.path, 1)
    text = "time jumped back: '/clock' has 2 publishers, expected one; end all but one of /obs"

    def is_reported():
        for step in (10, 0):
            driver.set_clock(step)
            spin_for(driver.node, 0.1)
        return text in process.output
    spin_until(driver.node, is_reported, text, process)


def test_a_latched_stop_ends_when_the_simulation_begins_a_new_episode(start, walker):
    driver, process = start(max_state_deviation=20.0)
    huge = walker.qvel + 1e4
    driver.show_until(lambda: 'stop: out of distribution' in process.output, 0, walker.qpos, huge)
    driver.commands.clear()
    driver.show(0, walker.qpos, walker.qvel)
    spin_for(driver.node, 0.3)
    assert not answered(driver, 0)  # a good state is not enough
    spin_for(driver.node, 1.5)  # it need not hear of the new one at once
    driver.set_clock(LEAP)
    driver.show_until(lambda: answered(driver, LEAP), LEAP, walker.qpos, walker.qvel)


def test_a_state_that_waited_while_the_planner_was_suspended_gets_no_torque(start, walker):
    driver, process = start(action_delay=1)  # torques are sent the moment a state comes
    for step in range(3):
        driver.set_clock(step)
        driver.show_until(lambda s=step: answered(driver, s) or (not s and driver.commands),
                          step, walker.qpos, walker.qvel)
    process.process.send_signal(signal.SIGSTOP)
    # Its threads stop one after the other; the last of them might still take the state.
    os.waitid(os.P_PID, process.process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        driver.show(3, walker.qpos, walker.qvel)
        spin_for(driver.node, 0.4)
        driver.commands.clear()
    finally:
        process.process.send_signal(signal.SIGCONT)
    spin_until(driver.node, lambda: driver.commands, 'a command', process)
    spin_for(driver.node, 0.3)
    assert driver.only_stopped(), (driver.commands, process.output)


def test_a_change_of_a_parameter_does_not_make_the_monitor_forget(start, walker):
    driver, process = start(lockstep=True, max_equal_states=5)
    for step in range(6):  # frozen, though motion is predicted
        driver.answer(step, walker.qpos, walker.qvel)
        request = SetParameters.Request(parameters=[parameter('seed', step)])
        assert call(driver.node, SetParameters, SET_PLANNER_PARAMETERS.path,
                    request).results[0].successful
    driver.set_clock(6)
    driver.show_until(lambda: '6 equal states' in process.output, 6, walker.qpos, walker.qvel)


def test_diagnostics_do_not_give_two_things_one_name(start, walker):
    driver, process = start(action_delay=-1)
    health = Health(driver.node)
    driver.show_until(lambda: answered(driver, 0), 0, walker.qpos, walker.qvel)
    for _ in range(2):  # the first one may be of before
        health.wait_for_next(process)
    assert health.facts['action_delay'] == '-1'
    assert health.facts['action_delay_in_use'] == '0'
    assert 'missed_deadlines' not in health.facts  # it is the bridge that counts them
    assert 'states_without_plan' in health.facts


def test_a_parameter_under_its_former_name_is_refused(tmp_path):
    """The parameter counts in another unit now; rclpy would ignore the old one."""
    node = NodeProcess('planner', {'guidance_scale': 30.0}, tmp_path)
    assert node.process.wait(20) == 1
    assert ('guidance_scale is 30.0, expected none: it became guidance_strength, which counts in '
            'another unit') in node.output
