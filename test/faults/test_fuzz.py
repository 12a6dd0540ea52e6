# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Malformed messages and requests, made up from a seed: no node may die of one."""

import math
import time

from driver import JOINTS
from geometry_msgs.msg import Vector3
import h5py
from lifecycle import ACTIVATE, change, CONFIGURE, DEACTIVATE
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from ros_processes import call, observer, parameter, running, spin_until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from diffusion_planner_ros.errors import StateError
from diffusion_planner_ros.messages.joint_states import JointReader
from diffusion_planner_ros.messages.odometry import BaseJoint, BaseReader, pose_and_rates
from diffusion_planner_ros.messages.rewards import reward_from_msg
from diffusion_planner_ros.nodes.common.conversions import (
    stamp_from_nanoseconds,
    states_from_plan,
    torque_from_msg,
)
from diffusion_planner_ros.nodes.common.topics import (
    CLOCK,
    COMMANDS,
    JOINT_STATES,
    ODOMETRY,
    PAUSE,
    PLAN,
    PUSH,
    RESET,
    REWARD,
    SET_PLANNER_PARAMETERS,
)
from diffusion_planner_ros.nodes.common.warning_executor import WarningExecutor

SEED = 20260
PERIOD = 8_000_000  # [ns]
MANY = 2000
NUMBERS = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-9, 1e9, 1e38, 1e39, 1e300, -1e308,
           float(np.finfo(float).max), math.nan, math.inf, -math.inf)
SECONDS = (0, 1, -1, 2**31 - 1, -2**31)
NANOSECONDS = (0, 1, 8_000_000, 999_999_999, 1_000_000_000, 2**32 - 1)
TEXTS = ('', ' ', '0', '-1', '-2', '--1', '+5', '1_0', ' 8000000', '8000000', '1e3', '0x10',
         '٣', '²', str(2**63 - 1), str(2**63), '9' * 5000, '-' + '9' * 5000, 'a' * MANY, 'ü' * 100,
         '关节', 'line\nbreak', '\x1b[31m', '%s %d {}', *JOINTS, 'reward', 'terminated')
BASE = ('rootx=x', 'rootz=z', 'rooty=-pitch')
LIMIT = 100.0  # [N m] of Walker2D
PLANNER_KNOBS = {'bundle': '', 'n_candidates': 8, 'n_denoise_steps': 2, 'seed': 0, 'ood_stop': 1.0,
                 'torque_scale': 1.0, 'ramp_time': 0.0, 'odometry_joints': list(BASE),
                 'stop_behaviour': 'zero', 'stop_damping': [5.0], 'use_sim_time': True}


class Fuzz:
    """Makes messages that are wrong in one or several ways."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.now = 0  # [ns]

    def one_of(self, choices):
        return choices[self.rng.integers(len(choices))]

    def chance(self, share=0.5):
        return self.rng.random() < share

    def number(self):
        return self.one_of(NUMBERS) if self.chance(0.3) else float(self.rng.normal())

    def numbers(self, n):
        """Return ``n`` numbers, or another number of them."""
        if self.chance(0.2):
            n = int(self.one_of((0, 1, max(0, n - 1), n + 1, 100, MANY)))
        values = self.rng.normal(size=n)
        if n and self.chance():
            values[self.rng.integers(n)] = self.one_of(NUMBERS)
        return values.tolist()

    def names(self, names):
        names = list(names)
        kind = self.rng.integers(8)
        if kind == 0:
            names = []
        elif kind == 1:
            self.rng.shuffle(names)
        elif kind == 2:
            names[self.rng.integers(len(names))] = self.one_of(TEXTS)
        elif kind == 3:
            names.append(self.one_of(TEXTS))
        elif kind == 4:
            names = [str(k) for k in range(MANY)] + names + names[:1]
        return names

    def stamp(self, msg, stamp):
        """Stamp a message, now and then as nobody would."""
        if self.chance(0.3):
            msg.sec, msg.nanosec = self.one_of(SECONDS), self.one_of(NANOSECONDS)
        else:
            good = stamp_from_nanoseconds(stamp)
            msg.sec, msg.nanosec = good.sec, good.nanosec

    def joint_states(self):
        msg = JointState(name=self.names(JOINTS), position=self.numbers(len(JOINTS)),
                         velocity=self.numbers(len(JOINTS)), effort=self.numbers(len(JOINTS)))
        self.stamp(msg.header.stamp, self.now)
        return msg

    def odometry(self):
        msg = Odometry()
        for vector in (msg.pose.pose.position, msg.twist.twist.linear, msg.twist.twist.angular):
            vector.x, vector.y, vector.z = (self.number() for _ in range(3))
        q = msg.pose.pose.orientation
        if self.chance(0.3):
            q.x, q.y, q.z, q.w = (self.number() for _ in range(4))
        else:
            half = self.one_of((0.0, 0.1, math.pi / 4, math.pi / 2, math.pi))
            q.y, q.w = math.sin(half), math.cos(half)
        self.stamp(msg.header.stamp, self.now)
        return msg

    def plan(self):
        msg = JointTrajectory(joint_names=self.names(JOINTS))
        n_points = int(self.one_of((0, 1, 31, 32, 32, 32, 33, 1000)))
        point = [JointTrajectoryPoint(positions=self.numbers(len(JOINTS)),
                                      velocities=self.numbers(len(JOINTS)),
                                      effort=self.numbers(len(JOINTS))) for _ in range(2)]
        msg.points = [point[k % 2] for k in range(n_points)]
        self.stamp(msg.header.stamp, self.now)
        return msg

    def reward(self):
        msg = JointState(name=self.names(['reward', 'terminated']), position=self.numbers(2))
        self.stamp(msg.header.stamp, self.now)
        return msg

    def command(self):
        msg = Float64MultiArray(data=self.numbers(6))
        labels = [self.one_of((str(self.now), self.one_of(TEXTS)))
                  for _ in range(self.one_of((0, 1, 1, 1, 3)))]
        msg.layout.dim = [MultiArrayDimension(label=text, size=self.one_of((0, 6, 2**32 - 1)))
                          for text in labels]
        return msg

    def clock(self):
        """Return a clock that mostly goes on; of the others only some are negative."""
        msg = Clock()
        self.now += PERIOD
        self.stamp(msg.clock, self.now)
        return msg

    def push(self):
        return Vector3(x=self.number(), y=self.number(), z=self.number())

    def garbage(self):
        """Return bytes instead of a message, now and then with the header of one."""
        header = self.one_of((b'', b'\x00\x01\x00\x00', b'\x00\x00\x00\x00'))
        return header + self.rng.bytes(self.rng.integers(200))

    def value(self):
        """Return a value of a parameter, of any type, or of a type that there is not."""
        value = ParameterValue(type=int(self.one_of((*range(10), 77, 255))))
        value.bool_value = bool(self.chance())
        value.integer_value = int(self.one_of((0, -1, 1, 2**63 - 1, -2**63)))
        value.double_value = self.number()
        value.string_value = self.one_of(TEXTS)
        value.byte_array_value = [b'\x00', b'\xff']
        value.bool_array_value = [True]
        value.integer_array_value = [2**63 - 1]
        value.double_array_value = self.numbers(1)
        value.string_array_value = [self.one_of(TEXTS)]
        return value

    def parameters(self, names):
        return SetParameters.Request(parameters=[
            Parameter(name=self.one_of((*names, self.one_of(TEXTS))), value=self.value())
            for _ in range(self.one_of((0, 1, 1, 1, 2)))])


# Functions


def refused(function, *args):
    """Call a function that may only return or refuse; return whether it refused."""
    try:
        function(*args)
    except StateError as error:
        assert len(str(error)) < 2000
        return True
    return False


def test_a_message_is_read_or_refused_and_nothing_else(robot):
    fuzz = Fuzz(SEED)
    base = tuple(map(BaseJoint.parse, BASE))
    readers = (JointReader(robot), JointReader(robot, {joint.joint for joint in base}))
    check = BaseReader(robot, base).check
    readings = {
        'joint states': lambda: readers[fuzz.chance()].read(fuzz.joint_states()),
        'odometry': lambda: check(pose_and_rates(fuzz.odometry())),
        'plan': lambda: states_from_plan(fuzz.plan(), robot),
        'reward': lambda: reward_from_msg(fuzz.reward())}
    for reading in readings.values():
        n_refused = sum(refused(reading) for _ in range(300))
        assert 30 < n_refused < 270  # the seed makes good and bad ones
    answered = [torque_from_msg(fuzz.command())[1] for _ in range(300)]
    assert set(answered) == {None, -1, 0, 8_000_000, 2**63 - 1}


@pytest.mark.parametrize('label', [
    '9' * 5000, '-' + '9' * 5000, str(2**63), '-2', '+8', ' 8', '1_0', '٣', '²', '8\n', '', 'x'])
def test_a_label_that_is_no_stamp_says_nothing(label):
    msg = Float64MultiArray(data=[1.0])
    msg.layout.dim.append(MultiArrayDimension(label=label))
    assert torque_from_msg(msg)[1] is None


def test_a_message_of_very_many_names_is_refused_at_once_and_in_short(robot):
    names = [str(k) for k in range(50_000)]
    begin = time.process_time()
    with pytest.raises(StateError, match=r'found 0, 1, .* 49970 more$'):
        JointReader(robot).read(JointState(name=names))
    with pytest.raises(StateError, match="joint '49999' is named 2 times"):
        JointReader(robot).read(JointState(name=[*JOINTS, *names, '49999']))
    assert time.process_time() - begin < 5.0  # quadratic, it took minutes


# Nodes


def test_what_rclpy_refuses_is_borne_and_what_we_raise_is_not():
    with observer():
        executor = WarningExecutor()
        executor.create_task(int, 'a message that rclpy cannot read')
        executor.spin_once()
        executor.create_task(reward_from_msg, JointState())
        with pytest.raises(StateError):
            executor.spin_once()
        executor.shutdown()


class Fuzzed:
    """Nodes under test, and what is sent to them."""

    def __init__(self, node, fuzz, **processes):
        self.node, self.fuzz, self.processes = node, fuzz, processes
        self._topics = []

    def publish(self, kind, topic, make):
        """Let ``send`` publish on a topic what ``make`` makes up; return the publisher."""
        publisher = self.node.create_publisher(kind, topic, 10)
        self._topics.append((publisher, make))
        return publisher

    def send(self, seconds):
        """Publish on all topics in turn, now and then bytes that are no message."""
        for publisher, _ in self._topics:
            spin_until(self.node, publisher.get_subscription_count,
                       f'a subscription of {publisher.topic}', next(iter(self.processes.values())))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for publisher, make in self._topics:
                publisher.publish(make())
                # A type of fixed size takes no bytes of another number.
                if publisher.msg_type not in (Clock, Vector3) and self.fuzz.chance(0.1):
                    publisher.publish(self.fuzz.garbage())
            self.node.spin_once()

    def ask(self, service_type, name, requests):
        """Send requests to a service; it need not answer one that rclpy refuses."""
        client = self.node.create_client(service_type, name)
        process = self.processes[name.split('/')[0]]
        spin_until(self.node, lambda: client.service_is_ready()
                   or process.process.poll() is not None, f'service {name}', process)
        for request in requests:
            assert process.process.poll() is None, process.output[-5000:]
            client.call_async(request)
            self.node.spin_once()

    def check(self):
        """Check that all nodes live, complained in words only, and answer."""
        for name, process in self.processes.items():
            assert process.process.poll() is None, process.output[-5000:]
            request = GetParameters.Request(names=['use_sim_time'])
            answer = call(self.node, GetParameters, f'{name}/get_parameters', request)
            assert len(answer.values) == 1
            for sign in ('Traceback', 'RuntimeWarning', 'Error:'):
                assert sign not in process.output, process.output[-5000:]


def test_bridge_and_recorder_bear_malformed_messages_and_requests(tmp_path):
    fuzz, file = Fuzz(SEED), tmp_path / 'log.hdf5'
    with (running('recorder', tmp_path, file=str(file), odometry_joints=list(BASE),
                  torque_source='commands', use_sim_time=True) as recorder,
          running('mujoco_bridge', tmp_path) as bridge, observer() as node):
        nodes = Fuzzed(node, fuzz, recorder=recorder, mujoco_bridge=bridge)
        nodes.publish(JointState, JOINT_STATES.path, fuzz.joint_states)
        nodes.publish(Odometry, ODOMETRY.path, fuzz.odometry)
        nodes.publish(JointTrajectory, PLAN.path, fuzz.plan)
        nodes.publish(JointState, REWARD.path, fuzz.reward)
        nodes.publish(Float64MultiArray, COMMANDS.path, fuzz.command)
        nodes.publish(Vector3, PUSH.path, fuzz.push)
        nodes.publish(Clock, CLOCK.path, fuzz.clock)
        nodes.send(2.0)
        for name, settings in (('mujoco_bridge', ('seed', 'lockstep', 'stop_damping')),
                               ('recorder', ('file', 'max_episode_steps', 'odometry_joints'))):
            nodes.ask(SetParameters, f'{name}/set_parameters',
                      [fuzz.parameters((*settings, 'use_sim_time')) for _ in range(40)])
        for k in range(4):
            nodes.ask(SetBool, PAUSE.path, [SetBool.Request(data=k % 2 == 0)])
            nodes.ask(Trigger, RESET.path, [Trigger.Request()])
            nodes.send(0.2)
        nodes.check()
        assert recorder.stop() == 0 and bridge.stop() == 0
    with h5py.File(file) as log:
        assert 'robot' in log.attrs


def test_the_planner_bears_malformed_messages_and_requests(tmp_path, walker):
    fuzz = Fuzz(SEED)
    with (running('planner', tmp_path, autostart=False, use_sim_time=True,
                  odometry_joints=list(BASE)) as planner, observer() as node):
        nodes = Fuzzed(node, fuzz, planner=planner)
        states = nodes.publish(JointState, JOINT_STATES.path, fuzz.joint_states)
        odometries = nodes.publish(Odometry, ODOMETRY.path, fuzz.odometry)
        clocks = nodes.publish(Clock, CLOCK.path, fuzz.clock)
        commands = []
        node.create_subscription(Float64MultiArray, COMMANDS.path,
                                 commands.append, 1000)
        assert change(node, CONFIGURE)
        assert change(node, ACTIVATE)

        def planned():
            """Show good states until one is answered by a plan."""
            commands.clear()
            for _ in range(500):
                fuzz.now += PERIOD
                good = JointState(name=list(JOINTS), position=walker.qpos.tolist(),
                                  velocity=walker.qvel.tolist())
                odometry = Odometry()
                odometry.pose.pose.orientation.w = 1.0
                odometry.pose.pose.position.z = walker.qpos[1]
                clock = Clock(clock=stamp_from_nanoseconds(fuzz.now))
                good.header.stamp = odometry.header.stamp = clock.clock
                clocks.publish(clock)
                odometries.publish(odometry)
                states.publish(good)
                node.spin_once()
                if any(torque_from_msg(m)[1] > 0 and any(m.data) for m in commands):
                    return True
            return False

        assert planned(), planner.output
        nodes.send(1.5)
        nodes.ask(SetParameters, SET_PLANNER_PARAMETERS.path,
                  [fuzz.parameters(tuple(PLANNER_KNOBS)) for _ in range(60)])
        nodes.ask(ChangeState, 'planner/change_state', [ChangeState.Request(transition=Transition(
            id=int(fuzz.one_of((0, 2, 9, 77, 255))), label=fuzz.one_of(TEXTS)))
            for _ in range(10)])
        # Without simulated time the planner does not listen to the clock.
        call(node, SetParameters, SET_PLANNER_PARAMETERS.path, SetParameters.Request(
            parameters=[parameter('use_sim_time', True)]))
        nodes.send(0.5)
        nodes.check()
        torques = np.array([torque_from_msg(msg)[0] for msg in commands])
        assert len(torques) > 10
        assert (np.abs(torques) <= LIMIT).all()
        call(node, SetParameters, SET_PLANNER_PARAMETERS.path, SetParameters.Request(
            parameters=[parameter(*setting) for setting in PLANNER_KNOBS.items()
                        if setting[0] != 'odometry_joints']))
        assert change(node, DEACTIVATE)
        assert change(node, ACTIVATE)
        assert planned(), planner.output[-3000:]
        assert planner.stop() == 0
