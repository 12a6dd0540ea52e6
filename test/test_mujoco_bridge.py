import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_processes import call, observer, parameter, running, spin_for, spin_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from diffusion_planner_ros.nodes.conversions import msg_from_torque, nanoseconds_from_stamp
from diffusion_planner_ros.nodes.diagnostics import facts_from_msg
from diffusion_planner_ros.sim.walker2d import Walker2D

PERIOD = 8_000_000  # [ns]
TORQUE = np.array([20.0, -10.0, 5.0, -20.0, 10.0, -5.0])  # [N m]


class Controller:
    """Plays the planner: collects states, sends torques."""

    def __init__(self, node):
        self.node = node
        self.states = {}  # by stamp [ns]
        self.clock = []
        self.reports = []
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._commands = node.create_publisher(
            Float64MultiArray, 'effort_controller/commands', qos)
        node.create_subscription(JointState, 'joint_states', self._on_state, 10)
        node.create_subscription(Clock, '/clock', lambda m: self.clock.append(
            nanoseconds_from_stamp(m.clock)), 10)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_report, 10)

    def _on_state(self, msg):
        self.states[nanoseconds_from_stamp(msg.header.stamp)] = msg

    def _on_report(self, msg):
        self.reports.append(facts_from_msg(msg, 'mujoco_bridge'))

    def send(self, torque, stamp):
        self._commands.publish(msg_from_torque(np.asarray(torque), stamp))

    def send_raw(self, numbers):
        self._commands.publish(Float64MultiArray(data=numbers))

    def wait_for_state(self, step):
        spin_until(self.node, lambda: step * PERIOD in self.states, f'state of step {step}')
        return self.states[step * PERIOD]

    def wait_for_report(self, condition):
        spin_until(self.node, lambda: any(condition(*r) for r in self.reports), 'report')
        return next(r for r in self.reports if condition(*r))

    def reset(self, seed):
        call(self.node, SetParameters, 'mujoco_bridge/set_parameters',
             SetParameters.Request(parameters=[parameter('seed', seed)]))
        self.states.clear()
        assert call(self.node, Trigger, 'mujoco_bridge/reset', Trigger.Request()).success


@pytest.fixture
def lockstep(tmp_path):
    with (running('mujoco_bridge', tmp_path, lockstep=True, auto_reset=False, seed=3) as process,
          observer() as node):
        controller = Controller(node)
        controller.process = process
        controller.wait_for_state(0)
        yield controller


@pytest.fixture
def real_time(tmp_path):
    with (running('mujoco_bridge', tmp_path, auto_reset=False, seed=3) as process,
          observer() as node):
        controller = Controller(node)
        controller.process = process
        controller.wait_for_state(0)
        yield controller


def test_lockstep_takes_one_step_for_every_answer(lockstep):
    walker = Walker2D()
    walker.reset(seed=3)
    for step in range(20):
        state = lockstep.wait_for_state(step)
        assert state.name == walker.joint_names
        np.testing.assert_array_equal(state.position, walker.qpos)
        np.testing.assert_array_equal(state.velocity, walker.qvel)
        lockstep.send(TORQUE, step * PERIOD)
        walker.step(TORQUE)
    state = lockstep.wait_for_state(20)
    np.testing.assert_array_equal(state.effort, [0.0, 0.0, 0.0, *TORQUE])
    spin_until(lockstep.node, lambda: lockstep.clock[-1] == 20 * PERIOD, 'clock')
    spin_for(lockstep.node, 0.3)
    assert max(lockstep.states) == 20 * PERIOD  # it waits


def test_lockstep_ignores_a_command_for_another_state(lockstep):
    lockstep.send(TORQUE, 7 * PERIOD)
    spin_for(lockstep.node, 0.3)
    assert list(lockstep.states) == [0]


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
    _, facts = lockstep.wait_for_report(lambda message, _: message == 'episode over')
    assert facts['fell'] == 'True'
    assert int(facts['steps']) == step
    assert float(facts['return']) == episode_return
    assert float(facts['distance']) == pytest.approx(walker.position, abs=0.01)


def test_reset_starts_again_at_time_zero_with_the_seed_that_was_set(lockstep):
    lockstep.send(TORQUE, 0)
    lockstep.wait_for_state(1)
    lockstep.reset(seed=8)
    state = lockstep.wait_for_state(0)
    walker = Walker2D()
    walker.reset(seed=8)
    np.testing.assert_array_equal(state.position, walker.qpos)
    spin_until(lockstep.node, lambda: lockstep.clock[-1] == 0, 'clock back at zero')


def test_pause_holds_the_answer_until_it_ends(lockstep):
    assert call(lockstep.node, SetBool, 'mujoco_bridge/pause', SetBool.Request(data=True)).success
    lockstep.send(TORQUE, 0)
    spin_for(lockstep.node, 0.3)
    assert list(lockstep.states) == [0]
    call(lockstep.node, SetBool, 'mujoco_bridge/pause', SetBool.Request(data=False))
    lockstep.wait_for_state(1)


def test_real_time_waits_for_the_first_command_then_follows_the_wall_clock(real_time):
    spin_for(real_time.node, 0.3)
    assert list(real_time.states) == [0]
    real_time.send(np.zeros(6), 0)
    real_time.wait_for_state(5)
    # No further command: time goes on whatever the planner does.
    real_time.wait_for_state(20)


def test_real_time_factor_slows_the_clock_down(tmp_path):
    with (running('mujoco_bridge', tmp_path, real_time_factor=0.1, auto_reset=False) as process,
          observer() as node):
        controller = Controller(node)
        controller.process = process
        controller.wait_for_state(0)
        controller.send(np.zeros(6), 0)
        controller.wait_for_state(1)
        begin, first = time.monotonic(), max(controller.states)
        controller.wait_for_state(11)
        elapsed = (max(controller.states) - first) / 1e9
    # A busy machine can only make it slower.
    assert elapsed / (time.monotonic() - begin) < 0.12


def test_torque_is_zero_when_commands_stop_coming(real_time):
    real_time.send(TORQUE, 0)
    real_time.wait_for_state(20)  # 160 ms, the timeout is 50 ms
    efforts = {stamp: state.effort[3:].tolist() for stamp, state in real_time.states.items()}
    assert TORQUE.tolist() in efforts.values()
    assert efforts[20 * PERIOD] == [0.0] * 6
    assert 'torque is zero' in real_time.process.output


def test_pause_stops_the_clock_and_goes_on_without_a_burst(real_time):
    real_time.send(np.zeros(6), 0)
    real_time.wait_for_state(3)
    call(real_time.node, SetBool, 'mujoco_bridge/pause', SetBool.Request(data=True))
    spin_for(real_time.node, 0.2)
    paused_at = max(real_time.states)
    spin_for(real_time.node, 0.5)
    assert max(real_time.states) == paused_at
    begin = time.monotonic()
    call(real_time.node, SetBool, 'mujoco_bridge/pause', SetBool.Request(data=False))
    real_time.wait_for_state(paused_at // PERIOD + 3)
    caught_up = (max(real_time.states) - paused_at) / 1e9
    # Two control periods may be due at once after a stall, not the half second of the pause.
    assert caught_up <= time.monotonic() - begin + 2 * PERIOD / 1e9


@pytest.mark.parametrize('numbers', [[float('nan')] * 6, [1.0] * 5, [float('inf')] * 6, []])
def test_refuses_a_command_that_is_not_six_finite_torques(lockstep, numbers):
    lockstep.send_raw(numbers)
    reason = f'command refused: {numbers}, expected 6 finite torques [N m]'
    spin_until(lockstep.node, lambda: reason in lockstep.process.output, reason, lockstep.process)
    assert list(lockstep.states) == [0]


def test_limits_the_torque_to_the_gear(lockstep):
    lockstep.send(10.0 * TORQUE, 0)
    state = lockstep.wait_for_state(1)
    np.testing.assert_array_equal(state.effort[3:], np.clip(10.0 * TORQUE, -100.0, 100.0))


def test_starts_the_next_episode_by_itself_with_the_following_seed(tmp_path):
    with (running('mujoco_bridge', tmp_path, lockstep=True, seed=3, max_episode_steps=2),
          observer() as node):
        controller = Controller(node)
        for step in range(2):
            controller.wait_for_state(step)
            controller.send(TORQUE, step * PERIOD)
        controller.wait_for_report(lambda message, facts: facts['seed'] == '4')
        walker = Walker2D()
        walker.reset(seed=4)
        spin_until(node, lambda: controller.states[0].position.tolist() == walker.qpos.tolist(),
                   'next episode')
