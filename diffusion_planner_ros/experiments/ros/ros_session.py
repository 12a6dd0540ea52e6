"""Run both nodes, drive episodes through ROS, and watch them from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import signal
import subprocess
import tempfile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Vector3
from lifecycle_msgs.msg import Transition
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from ...errors import PlannerError
from ...nodes.common.conversions import NANOSECONDS, nanoseconds_from_stamp
from ...nodes.common.diagnostics import bool_from_fact, facts_from_msg
from ...nodes.common.topics import (
    CHANGE_PLANNER_STATE,
    COMMANDS,
    DIAGNOSTICS,
    JOINT_STATES,
    PAUSE,
    PLAN,
    PUSH,
    RESET,
    SESSION,
    SET_BRIDGE_PARAMETERS,
    SET_PLANNER_PARAMETERS,
)
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.bridge_episode import EPISODE_GAP
from ..closed_loop import EpisodeResult, noise_seed
from .node_process import node_process
from .service_calls import ask, change_state

OBSERVER_NICENESS = 10  # so that watching the robot does not slow it
STALL_TIME = 30.0  # [s] without a simulated step after which a walk is given up
SERVICE_TIME = 10.0  # [s] that a service has to answer
CHECK_PERIOD = 0.2  # [s] between looks for another robot
UNMONITORED = {'ood_warn': 0.0, 'ood_stop': 0.0, 'max_state_deviation': 0.0,
               'max_equal_states': 0}
ENDLESS = 1_000_000  # control periods of an episode that only a fall or a reset ends


@dataclass(frozen=True)
class SessionConfig:
    """How to run the two nodes."""

    bundle: Path
    planner: PlannerConfig
    lockstep: bool
    real_time_factor: float
    first_seed: int
    is_endless: bool = False
    """Whether episodes follow each other by themselves, ended by falls and resets only."""
    log: Path | None = None
    """Where to record the executed plans."""


@dataclass
class Recording:
    """
    What was seen of one episode: serialised messages.

    They are deserialised when the walk is over, as this would slow the robot on two cores.
    """

    states: list[bytes] = field(default_factory=list)
    """``JointState`` messages, some repeated."""
    plans: list[bytes] = field(default_factory=list)
    """``JointTrajectory`` messages."""


@contextmanager
def _interruptible(node: 'Session') -> Iterator[None]:
    """
    Let SIGINT and SIGTERM raise an exception in the node's next ``turn``.

    Python would raise it at any place, and lose it where this is a callback from C code.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, node.interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class Session(Node):
    """A running pair of nodes, seen from outside."""

    def __init__(self, planner: PlannerConfig, *, record: bool) -> None:
        super().__init__(SESSION.node_name)
        self._planner = planner
        self.processes: dict[str, subprocess.Popen] = {}
        """Running nodes by name."""
        self._record = record
        self._next_check = 0.0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.bridge: dict[str, str] = {}
        """Latest diagnostics of the bridge."""
        self.planner_facts: dict[str, str] = {}
        """Latest diagnostics of the planner."""
        self._recorder_facts: dict[str, str] = {}
        self.recording = Recording()
        self._is_over = self._is_interrupted = False
        SESSION.subscription(self, DIAGNOSTICS, self._on_diagnostics)
        self._seed_client = SET_BRIDGE_PARAMETERS.client(self)
        self._reset_client = RESET.client(self)
        self._pause_client = PAUSE.client(self)
        self._planner_client = SET_PLANNER_PARAMETERS.client(self)
        self._lifecycle_client = CHANGE_PLANNER_STATE.client(self)
        self._pushes = SESSION.publisher(self, PUSH)
        if record:
            SESSION.subscription(self, JOINT_STATES,
                                 lambda m: self.recording.states.append(m), raw=True)
            SESSION.subscription(self, PLAN,
                                 lambda m: self.recording.plans.append(m), raw=True)

    def watch(self, name: str, process: subprocess.Popen) -> None:
        """Notice when this process ends."""
        self.processes[name] = process

    def wait_for_bridge(self) -> None:
        """
        Wait until what the bridge publishes arrives here.

        :raises PlannerError: if nothing comes for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        while not self.bridge or (self._record and not self.recording.states):
            if time.monotonic() > deadline:
                raise PlannerError(f'no message of the bridge in {STALL_TIME} s; is DDS discovery '
                                   'blocked on this machine?')
            self.turn()

    def _check_alone(self) -> None:
        """
        Refuse to share a ROS domain: two planners would command the same robot.

        Call it again and again: discovery takes time, and another robot may start later.

        :raises PlannerError: if there is another robot or planner.
        """
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + CHECK_PERIOD
        if any(self.count_publishers(topic.path) > 1 for topic in (JOINT_STATES, COMMANDS, PLAN)):
            domain = os.environ.get('ROS_DOMAIN_ID', '0')
            raise PlannerError(f'another robot or planner runs in ROS domain {domain}; end it, or '
                               'set ROS_DOMAIN_ID to a number from 1 to 101 that is free')

    def wait_for_recorder(self) -> None:
        """
        Wait until the recorder hears the bridge, and the planner and it know of each other.

        :raises PlannerError: if they do not for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        n_listeners = 1 + self._record
        while not (self._recorder_facts.get('state') == 'recording'
                   and int(self._recorder_facts['plan_publishers']) > 0
                   and int(self._recorder_facts['reward_publishers']) > 0
                   and int(self.planner_facts.get('plan_subscribers', 0)) >= n_listeners):
            if time.monotonic() > deadline:
                raise PlannerError(f'the recorder did not come up in {STALL_TIME} s')
            self.turn()

    def start_planner(self) -> None:
        """
        Configure and activate a planner that does not start by itself.

        :raises PlannerError: if it cannot be started.
        """
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            try:
                succeeded = change_state(self, self._lifecycle_client, transition, turn=self.turn,
                                         limit=SERVICE_TIME)
            except TimeoutError as error:
                raise PlannerError(str(error)) from None
            if not succeeded:
                raise PlannerError('the planner cannot be started; its output above says why')

    def wait_for_planner(self) -> None:
        """
        Wait until the planner has loaded its model and offers plans and commands.

        :raises PlannerError: if it does not for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        while not (self.count_publishers(PLAN.path)
                   and self.count_publishers(COMMANDS.path)):
            if time.monotonic() > deadline:
                raise PlannerError(f'the planner did not come up in {STALL_TIME} s')
            self.turn()

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        if (bridge := facts_from_msg(msg, 'mujoco_bridge')) is not None:
            self._is_over = bool(bridge['episode_end'])
            self.bridge = bridge
        self.planner_facts = facts_from_msg(msg, 'planner') or self.planner_facts
        self._recorder_facts = facts_from_msg(msg, 'recorder') or self._recorder_facts

    def interrupt(self, signum: int, frame: object) -> None:
        """Signal handler: end the session at its next turn."""
        del signum, frame
        self._is_interrupted = True

    def turn(self) -> None:
        """
        Handle a message that has come, or wait a moment for one.

        :raises PlannerError: if a node ended or another robot is in the domain.
        :raises KeyboardInterrupt: after SIGINT or SIGTERM.
        """
        self._executor.spin_once(timeout_sec=0.1)
        if self._is_interrupted:
            raise KeyboardInterrupt
        self._check_alone()
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise PlannerError(f'the {name} node ended with exit code {process.returncode}; '
                                   'its output above says why')

    def _call(self, client: Client, request: Any) -> Any:
        # Asking twice does no harm: a second reset starts the same episode again.
        try:
            return ask(self, client, request, turn=self.turn, limit=SERVICE_TIME)
        except TimeoutError as error:
            raise PlannerError(str(error)) from None

    def _set(self, client: Client, name: str, value: Any) -> bool:
        change = Parameter(name, value=value).to_parameter_msg()
        answer = self._call(client, SetParameters.Request(parameters=[change]))
        return answer.results[0].successful

    def set_planner(self, name: str, value: Any) -> bool:
        """Change a parameter of the planner; return whether the planner accepts it."""
        return self._set(self._planner_client, name, value)

    def push(self, impulse: tuple[float, float]) -> None:
        """Push the torso forward and up [N s]."""
        x, z = impulse
        self._pushes.publish(Vector3(x=x, z=z))

    def pause(self, is_paused: bool) -> None:
        """Stop simulated time, or let it go on."""
        self._call(self._pause_client, SetBool.Request(data=is_paused))

    def reset(self, seed: int) -> None:
        """
        Start the episode of another seed.

        :raises PlannerError: if a node refuses the seed.
        """
        for client, name, value in ((self._seed_client, 'mujoco_bridge', seed),
                                    (self._planner_client, 'planner',
                                     noise_seed(self._planner, seed))):
            if not self._set(client, 'seed', value):
                raise PlannerError(f'{name} refuses seed {value}')
        self.recording = Recording()
        self._call(self._reset_client, Trigger.Request())
        self._is_over = False

    def finish_episode(self, seed: int, on_progress: Callable[[dict[str, str]], None]
                       ) -> EpisodeResult:
        """
        Wait for the end of the running episode.

        :param on_progress: called with the bridge's diagnostics as they come.
        :raises PlannerError: if a node ends or the simulation makes no step for ``STALL_TIME``.
        """
        last_steps, deadline = '', time.monotonic() + STALL_TIME
        while not (self._is_over and self.bridge['seed'] == str(seed)):
            self.turn()
            if self.bridge:
                on_progress(self.bridge)
            steps = self.bridge.get('steps', '')
            if steps != last_steps:
                last_steps, deadline = steps, time.monotonic() + STALL_TIME
            if time.monotonic() > deadline:
                raise PlannerError(f'no simulated step in {STALL_TIME} s; the bridge reports '
                                   f'{self.bridge or "nothing"}')
        facts = self.bridge
        return EpisodeResult(seed=seed, episode_return=float(facts['return']),
                             steps=int(facts['steps']), fell=bool_from_fact(facts['fell']),
                             distance=float(facts['distance']))

    def timing(self) -> dict[str, Any]:
        """Return how the session ran in time, over all its episodes."""
        facts = self.bridge
        in_lockstep = facts['mode'] == 'lockstep'
        steps = int(facts['total_steps'])
        missed = int(facts['missed_deadlines'])
        return {'mode': facts['mode'],
                'latency_p50_ms': float(facts['latency_p50_ms']),
                'latency_p99_ms': float(facts['latency_p99_ms']),
                # In lockstep time waits for the planner: there is no deadline to miss.
                'missed_deadlines': None if in_lockstep else missed,
                'missed_deadline_rate': None if in_lockstep else missed / steps,
                'stops': int(facts['stops'])}


@contextmanager
def _recorder(config: SessionConfig, node: Session, folder: Path) -> Iterator[None]:
    """Run a recorder if one is asked for."""
    if config.log is None:
        yield
        return
    settings = {'file': str(config.log.resolve()), 'bundle': str(config.bundle.resolve())}
    with node_process('recorder', settings, folder) as process:
        node.watch('recorder', process)
        yield


@contextmanager
def session(config: SessionConfig, *, record: bool) -> Iterator[Session]:
    """
    Start both nodes, and a recorder if asked for, and end them whatever happens.

    Discovery stays on this machine unless ``ROS_AUTOMATIC_DISCOVERY_RANGE`` says otherwise.
    """
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    bridge = {'lockstep': config.lockstep, 'real_time_factor': config.real_time_factor,
              'seed': config.first_seed, 'auto_reset': config.is_endless}
    if config.is_endless:
        bridge['max_episode_steps'] = ENDLESS
    # The simulated robot starts standing, and would fall while a ramp limits its torque.
    planner = {**as_facts(config.planner), 'bundle': str(config.bundle.resolve()),
               'seed': noise_seed(config.planner, config.first_seed),
               'lockstep': config.lockstep, 'use_sim_time': True, 'ramp_time': 0.0,
               'autostart': config.log is None}
    if config.lockstep:  # the returns must be those of the same episodes in process
        planner |= UNMONITORED
    # Ctrl-C must not close our context before the nodes are stopped.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        with (tempfile.TemporaryDirectory() as folder,
              node_process('mujoco_bridge', bridge, Path(folder)) as bridge_process):
            node = Session(config.planner, record=record)
            with _interruptible(node):
                node.watch('bridge', bridge_process)
                # The robot moves only when we hear both nodes, so that we record everything.
                node.wait_for_bridge()
                node.pause(True)
                with (_recorder(config, node, Path(folder)),
                      node_process('planner', planner, Path(folder)) as planner_process):
                    os.setpriority(os.PRIO_PROCESS, 0, OBSERVER_NICENESS)
                    node.watch('planner', planner_process)
                    if config.log is not None:
                        node.wait_for_recorder()
                        node.start_planner()  # after the recorder, which needs its first plan
                    node.wait_for_planner()
                    node.pause(False)
                    yield node
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def executed_path(recording: Recording) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the times [s], (n,), and the joint positions by name, each (n,), of an episode."""
    by_stamp: dict[int, JointState] = {}
    for state in recording.states:
        message = deserialize_message(state, JointState)
        stamp = nanoseconds_from_stamp(message.header.stamp)
        if by_stamp and stamp - next(reversed(by_stamp)) >= EPISODE_GAP:
            by_stamp.clear()  # these were repetitions of the last state of the episode before
        by_stamp[stamp] = message
    stamps = sorted(by_stamp)
    positions = np.array([by_stamp[stamp].position for stamp in stamps])
    return (np.array(stamps) / NANOSECONDS,
            dict(zip(by_stamp[stamps[0]].name, positions.T, strict=True)))


def planned_path(serialized: bytes) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the times [s], (H,), and the joint positions by name, each (H,), of a plan."""
    plan = deserialize_message(serialized, JointTrajectory)
    start = nanoseconds_from_stamp(plan.header.stamp)
    times = [(start + nanoseconds_from_stamp(p.time_from_start)) / NANOSECONDS
             for p in plan.points]
    positions = np.array([p.positions for p in plan.points])
    return np.array(times), dict(zip(plan.joint_names, positions.T, strict=True))
