"""Run the two nodes as processes of their own, drive episodes through ROS, and watch them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

from ..errors import PlannerError
from ..planning.config import PlannerConfig
from ..sim.evaluate import EpisodeResult
from .conversions import NANOSECONDS, nanoseconds_from_stamp
from .diagnostics import facts_from_msg

STALL_TIME = 30.0  # [s] without a simulated step after which a walk is given up
STOP_TIME = 5.0  # [s] that a node has to end by itself
SERVICE_TIME = 10.0  # [s] that a service has to answer


@dataclass(frozen=True)
class SessionConfig:
    """How to run the two nodes."""

    bundle: Path
    planner: PlannerConfig
    lockstep: bool
    real_time_factor: float
    first_seed: int


@dataclass
class Recording:
    """What was seen of one episode."""

    times: list[float] = field(default_factory=list)
    """Of the states [s]."""
    joint_names: list[str] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    """Joint positions [m, rad] at ``times``, in the order of ``joint_names``."""
    plans: list[bytes] = field(default_factory=list)
    """Serialised ``JointTrajectory`` messages."""


@contextmanager
def _process(module: str, parameters: dict[str, Any], folder: Path) -> Iterator[subprocess.Popen]:
    """Run a node as a process of its own; end it with SIGINT, as Ctrl-C does."""
    file = folder / f'{module}.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    process = subprocess.Popen(
        [sys.executable, '-m', f'diffusion_planner_ros.nodes.{module}',
         '--ros-args', '--log-level', 'warn', '--params-file', str(file)],
        start_new_session=True)  # Ctrl-C reaches us alone, and we end the nodes in order
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Session(Node):
    """A running pair of nodes, seen from outside."""

    def __init__(self, *, record: bool) -> None:
        super().__init__('walk')
        self._processes: dict[str, subprocess.Popen] = {}
        self._record = record
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.bridge: dict[str, str] = {}
        """Latest diagnostics of the bridge."""
        self.recording = Recording()
        self._is_over = False
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._seed_client = self.create_client(SetParameters, 'mujoco_bridge/set_parameters')
        self._reset_client = self.create_client(Trigger, 'mujoco_bridge/reset')
        self._pause_client = self.create_client(SetBool, 'mujoco_bridge/pause')
        if record:
            best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
            self.create_subscription(JointState, 'joint_states', self._on_state, best_effort)
            # Raw, because there are two cores: messages are read when the walk is over.
            self.create_subscription(JointTrajectory, 'planner/plan', self._on_plan, best_effort,
                                     raw=True)

    def watch(self, name: str, process: subprocess.Popen) -> None:
        """Notice when this process ends."""
        self._processes[name] = process

    def wait_for_bridge(self) -> None:
        """
        Wait until what the bridge publishes arrives here.

        :raises PlannerError: if nothing comes for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        while not self.bridge or (self._record and not self.recording.times):
            if time.monotonic() > deadline:
                raise PlannerError(f'no message of the bridge in {STALL_TIME} s; is DDS discovery '
                                   'blocked on this machine?')
            self._spin()

    def wait_for_planner(self) -> None:
        """
        Wait until the planner has loaded its model and offers plans.

        :raises PlannerError: if it does not for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        while not self.count_publishers('planner/plan'):
            if time.monotonic() > deadline:
                raise PlannerError(f'the planner did not come up in {STALL_TIME} s')
            self._spin()

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        if (bridge := facts_from_msg(msg, 'mujoco_bridge')) is not None:
            self._is_over = bridge[0] == 'episode over'
            self.bridge = bridge[1]

    def _on_state(self, msg: JointState) -> None:
        stamp = nanoseconds_from_stamp(msg.header.stamp) / NANOSECONDS
        recording = self.recording
        if recording.times and stamp <= recording.times[-1]:
            return  # a repetition
        recording.joint_names = list(msg.name)
        recording.times.append(stamp)
        recording.positions.append(list(msg.position))

    def _on_plan(self, serialized: bytes) -> None:
        self.recording.plans.append(serialized)

    def _spin(self) -> None:
        self._executor.spin_once(timeout_sec=0.1)
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise PlannerError(f'the {name} node ended with exit code {process.returncode}; '
                                   'its output above says why')

    def _call(self, client: Client, request: Any) -> Any:
        future = client.call_async(request)
        deadline = time.monotonic() + SERVICE_TIME
        while not future.done():
            if time.monotonic() > deadline:
                raise PlannerError(f'{client.srv_name} did not answer in {SERVICE_TIME} s')
            self._spin()
        return future.result()

    def pause(self, is_paused: bool) -> None:
        """Stop simulated time, or let it go on."""
        self._call(self._pause_client, SetBool.Request(data=is_paused))

    def reset(self, seed: int) -> None:
        """Start the episode of another seed."""
        self._call(self._seed_client, SetParameters.Request(
            parameters=[Parameter('seed', value=seed).to_parameter_msg()]))
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
            self._spin()
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
                             steps=int(facts['steps']), fell=facts['fell'] == 'True',
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
                'missed_deadline_rate': None if in_lockstep else missed / steps}


@contextmanager
def session(config: SessionConfig, *, record: bool) -> Iterator[Session]:
    """
    Start both nodes, and end both whatever happens.

    Discovery stays on this machine unless ``ROS_AUTOMATIC_DISCOVERY_RANGE`` says otherwise.
    """
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    bridge = {'lockstep': config.lockstep, 'real_time_factor': config.real_time_factor,
              'seed': config.first_seed, 'auto_reset': False}
    planner = {**asdict(config.planner), 'bundle': str(config.bundle.resolve()),
               'lockstep': config.lockstep, 'use_sim_time': True}
    # Ctrl-C must not close our context before the nodes are stopped.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        with (tempfile.TemporaryDirectory() as folder,
              _process('mujoco_bridge', bridge, Path(folder)) as bridge_process):
            node = Session(record=record)
            node.watch('bridge', bridge_process)
            # Nothing moves before we hear both nodes, so that the recording misses nothing.
            node.wait_for_bridge()
            node.pause(True)
            with _process('planner', planner, Path(folder)) as planner_process:
                node.watch('planner', planner_process)
                node.wait_for_planner()
                node.pause(False)
                yield node
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def recorded_arrays(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Return times [s], (n,), and joint positions [m, rad], (n, joints), of a recording."""
    return np.array(recording.times), np.array(recording.positions)


def planned_path(serialized: bytes) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the times [s], (H,), and the joint positions by name, each (H,), of a plan."""
    plan = deserialize_message(serialized, JointTrajectory)
    start = nanoseconds_from_stamp(plan.header.stamp)
    times = [(start + nanoseconds_from_stamp(p.time_from_start)) / NANOSECONDS
             for p in plan.points]
    positions = np.array([p.positions for p in plan.points])
    return np.array(times), dict(zip(plan.joint_names, positions.T, strict=True))
