# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Run both nodes, drive episodes through ROS, and watch them from outside."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
import os
from pathlib import Path
import subprocess
import tempfile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Vector3
import numpy as np
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from ...errors import PlannerError
from ...files import check_new
from ...messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from ...nodes.common.diagnostics import (
    bool_from_fact,
    counts_from_fact,
    facts_from_msg,
    number_from_fact,
)
from ...nodes.common.topics import (
    COMMANDS,
    JOINT_STATES,
    MCAP_RECORDER_NAME,
    PAUSE,
    PLAN,
    PUSH,
    RECORDER_NAME,
    RESET,
    SESSION,
    SET_BRIDGE_PARAMETERS,
    SET_PLANNER_PARAMETERS,
    VIEWER_NAME,
)
from ...nodes.recording.mcap_writer import check_mcap
from ...nodes.threads.scheduling import SchedulingConfig
from ...planning.bundle import read_facts
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.bridge_episode import EPISODE_GAP
from ..closed_loop import episode_rows, EpisodeResult, noise_seed
from .node_process import node_process
from .observer import Observer, observing, SERVICE_TIME, STALL_TIME
from .service_calls import ask

OBSERVER_NICENESS = 10  # so that recording the robot does not slow it
UNMONITORED = {'ood_warn': 0.0, 'ood_stop': 0.0, 'max_jump': 0.0, 'max_state_deviation': 0.0,
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
    mcap: Path | None = None
    """Where to record all topics."""
    preset: str = ''
    """Published method that ``planner`` began with; empty where there is none."""
    view: bool = False
    """Whether to serve a page that shows the robot, to this machine alone."""
    scheduling: SchedulingConfig = field(default_factory=SchedulingConfig)
    """How Linux treats both nodes."""


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


class Session(Observer):
    """A running pair of nodes, seen from outside."""

    def __init__(self, planner: PlannerConfig, *, record: bool) -> None:
        super().__init__()
        self._planner = planner
        self._record = record
        self.bridge: dict[str, str] = {}
        """Latest diagnostics of the bridge."""
        self._bridge_stops: Counter[str] = Counter()  # by cause
        self._recorder_facts: dict[str, dict[str, str]] = {}  # latest diagnostics by node
        self.recording = Recording()
        self._is_over = False
        self._course: list[dict[str, str]] = []  # reports of the bridge while an episode ran
        self._ends: list[dict[str, str]] = []  # the one at the end of every episode
        self._seed_client = SET_BRIDGE_PARAMETERS.client(self)
        self._reset_client = RESET.client(self)
        self._pause_client = PAUSE.client(self)
        self._planner_client = SET_PLANNER_PARAMETERS.client(self)
        self._pushes = SESSION.publisher(self, PUSH)
        if record:
            SESSION.subscription(self, JOINT_STATES,
                                 lambda m: self.recording.states.append(m), raw=True)
            SESSION.subscription(self, PLAN,
                                 lambda m: self.recording.plans.append(m), raw=True)

    def wait_for_bridge(self) -> None:
        """
        Wait until what the bridge publishes arrives here.

        :raises PlannerError: if nothing comes for ``STALL_TIME``.
        """
        self.wait_until(
            lambda: bool(self.bridge) and not (self._record and not self.recording.states),
            f'no message of the bridge in {STALL_TIME} s; is DDS discovery blocked on this '
            'machine?')

    def wait_for_recorders(self, names: Collection[str]) -> None:
        """
        Wait until recorders hear the bridge, and the planner and they know of each other.

        :param names: of their nodes.
        :raises PlannerError: if they do not for ``STALL_TIME``.
        """
        def is_ready(facts: dict[str, str]) -> bool:
            return (facts.get('state') == 'recording' and int(facts['plan_publishers']) > 0
                    and int(facts['reward_publishers']) > 0)
        n_listeners = len(names) + self._record
        self.wait_until(
            lambda: (all(is_ready(self._recorder_facts.get(name, {})) for name in names)
                     and int(self.planner.get('plan_subscribers', 0)) >= n_listeners),
            f'the {" and the ".join(names)} did not come up in {STALL_TIME} s')

    def wait_for_planner(self) -> None:
        """
        Wait until the planner has loaded its model and offers plans and commands.

        :raises PlannerError: if it does not for ``STALL_TIME``.
        """
        self.wait_until(lambda: (self.count_publishers(PLAN.path) > 0
                                 and self.count_publishers(COMMANDS.path) > 0),
                        f'the planner did not come up in {STALL_TIME} s')

    def wait_for_viewer(self, process: subprocess.Popen) -> None:
        """
        Wait until the page is served: to load what it needs takes a core for seconds.

        The robot moves on without it, if it ends or does not come up for ``STALL_TIME``.
        """
        deadline = time.monotonic() + STALL_TIME
        while (VIEWER_NAME not in self.get_node_names() and process.poll() is None
               and time.monotonic() < deadline):
            self.turn()

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        """Take a report; the bridge sends one at every stop."""
        super().on_diagnostics(msg)
        if (bridge := facts_from_msg(msg, 'mujoco_bridge')) is not None:
            self._is_over = bool(bridge['episode_end'])
            n_stops = int(bridge['stops']) - int(self.bridge.get('stops', 0))
            if n_stops:
                self._bridge_stops[bridge['stop_cause']] += n_stops
            self.bridge = bridge
            self._has_rival |= bool(bridge['conflicts'])
            if bridge['state'] == 'running':
                self._course.append(bridge)
        for name in (RECORDER_NAME, MCAP_RECORDER_NAME):
            if (facts := facts_from_msg(msg, name)) is not None:
                self._recorder_facts[name] = facts

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
        :raises PlannerError: if a node ends, or the bridge neither makes a step nor reports that
            somebody paused it for ``STALL_TIME``.
        """
        last, deadline = self.bridge, time.monotonic() + STALL_TIME
        while not (self._is_over and self.bridge['seed'] == str(seed)):
            self.turn()
            if self.bridge is not last:  # another report
                on_progress(self.bridge)
                if self.bridge['state'] == 'paused' or self.bridge['steps'] != last.get('steps'):
                    deadline = time.monotonic() + STALL_TIME
                last = self.bridge
            if time.monotonic() > deadline:
                raise PlannerError(f'no simulated step in {STALL_TIME} s; the bridge reports '
                                   f'{self.bridge or "nothing"}')
        facts = self.bridge
        self._ends.append(facts)
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
                'latency_p50_ms': number_from_fact(facts['latency_p50_ms']),
                'latency_p99_ms': number_from_fact(facts['latency_p99_ms']),
                # In lockstep time waits for the planner: there is no deadline to miss.
                'missed_deadlines': None if in_lockstep else missed,
                'missed_deadline_rate': None if in_lockstep else missed / steps,
                'stops': int(facts['stops'])}

    def course(self, results: Sequence[EpisodeResult]) -> dict[str, Any]:
        """
        Return how the session went: a row for every episode, and latencies as they were reported.

        :param results: of the episodes that were finished, in order.
        """
        counts = {}
        for name in ('missed_deadlines', 'stops'):
            totals = [0, *(int(end[name]) for end in self._ends)]
            counts[name] = [after - before for before, after in pairwise(totals)]
        if self.bridge['mode'] == 'lockstep':
            del counts['missed_deadlines']  # as in ``timing``
        percentiles = ('latency_p50_ms', 'latency_p99_ms')
        latencies = {name: [number_from_fact(end[name]) for end in self._ends]
                     for name in percentiles}
        return {'episodes': episode_rows(results, **counts, **latencies),
                'latency': {'control_periods': [int(facts['total_steps'])
                                                for facts in self._course],
                            **{name: [number_from_fact(facts[name]) for facts in self._course]
                               for name in percentiles}}}

    def stop_causes(self) -> dict[str, int]:
        """
        Return how often the planner and the bridge stopped the robot, by cause.

        :raises PlannerError: if the planner is not active any more.
        """
        self.wait_for_report()
        return dict(Counter(counts_from_fact(self.planner['stop_causes'])) + self._bridge_stops)


def _recorders(config: SessionConfig) -> dict[str, dict[str, Any]]:
    """Return the parameters of the recorders that are asked for, by node."""
    recorders: dict[str, dict[str, Any]] = {}
    if config.log is not None:
        recorders[RECORDER_NAME] = {'file': str(config.log.resolve()),
                                    'bundle': str(config.bundle.resolve())}
    if config.mcap is not None:
        recorders[MCAP_RECORDER_NAME] = {'file': str(config.mcap.resolve()), 'use_sim_time': True}
    return recorders


@contextmanager
def _recording(recorders: Mapping[str, dict[str, Any]], node: Session, folder: Path
               ) -> Iterator[None]:
    """Run recorders."""
    with ExitStack() as stack:
        for name, settings in recorders.items():
            node.watch(name, stack.enter_context(node_process(name, settings, folder)))
        yield


@contextmanager
def _viewer(config: SessionConfig, folder: Path) -> Iterator[subprocess.Popen | None]:
    """Serve the page if one is asked for; the robot moves on without it, and it says where."""
    if not config.view:
        yield None
        return
    with node_process(VIEWER_NAME, {'host': 'localhost'}, folder) as process:
        yield process


@contextmanager
def session(config: SessionConfig, *, record: bool) -> Iterator[Session]:
    """
    Start both nodes, and recorders if asked for, and end them whatever happens.

    The simulated robot is the one that the bundle names.

    Discovery stays on this machine unless ``ROS_AUTOMATIC_DISCOVERY_RANGE`` says otherwise.

    :raises OutputError: before anything starts, if a file cannot be recorded.
    """
    if config.log is not None:
        check_new(config.log)
    if config.mcap is not None:
        check_mcap(config.mcap)
    recorders = _recorders(config)
    bridge = {'robot': read_facts(config.bundle)['robot']['name'], 'lockstep': config.lockstep,
              'real_time_factor': config.real_time_factor, 'seed': config.first_seed,
              'auto_reset': config.is_endless, 'send_goals': True,
              **as_facts(config.scheduling)}
    if config.is_endless:
        bridge['max_episode_steps'] = ENDLESS
    # The simulated robot starts standing, and would fall while a ramp limits its torque.
    planner = {**as_facts(config.planner), **as_facts(config.scheduling),
               'bundle': str(config.bundle.resolve()),
               'seed': noise_seed(config.planner, config.first_seed),
               'preset': config.preset, 'lockstep': config.lockstep, 'use_sim_time': True,
               'ramp_time': 0.0, 'autostart': not recorders}
    if config.lockstep:  # the returns must be those of the same episodes in process
        planner |= UNMONITORED
    with (observing(lambda: Session(config.planner, record=record)) as node,
          tempfile.TemporaryDirectory() as folder,
          node_process('mujoco_bridge', bridge, Path(folder)) as bridge_process):
        node.watch('bridge', bridge_process)
        # The robot moves only when we hear both nodes, so that we record everything.
        node.wait_for_bridge()
        node.pause(True)
        with (_viewer(config, Path(folder)) as viewer, _recording(recorders, node, Path(folder)),
              node_process('planner', planner, Path(folder)) as planner_process):
            if record:
                os.setpriority(os.PRIO_PROCESS, 0, OBSERVER_NICENESS)
            node.watch('planner', planner_process)
            if recorders:
                node.wait_for_recorders(recorders)
                node.start_planner()  # after the recorders, which need its first plan
                # A full disk costs what others are to look at, not the walk.
                node.processes.pop(MCAP_RECORDER_NAME, None)
            node.wait_for_planner()
            if viewer is not None:
                node.wait_for_viewer(viewer)
            node.pause(False)
            yield node


def executed_states(recording: Recording) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """
    Return what an episode's joint states say.

    :return: their times [s], (n,), and by joint a row of position [m, rad], velocity [m/s, rad/s]
        and the torque that led there [N m] for each, (n, 3).
    """
    by_stamp: dict[int, JointState] = {}
    for state in recording.states:
        message = deserialize_message(state, JointState)
        stamp = nanoseconds_from_stamp(message.header.stamp)
        if by_stamp and stamp - next(reversed(by_stamp)) >= EPISODE_GAP:
            by_stamp.clear()  # these were repetitions of the last state of the episode before
        by_stamp[stamp] = message
    stamps = sorted(by_stamp)
    ordered = [by_stamp[stamp] for stamp in stamps]
    rows = np.array([(m.position, m.velocity, m.effort) for m in ordered])
    return (np.array(stamps) / NANOSECONDS,
            dict(zip(by_stamp[stamps[0]].name, np.moveaxis(rows, 2, 0), strict=True)))


def executed_path(recording: Recording) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the times [s], (n,), and the joint positions by name, each (n,), of an episode."""
    times, states = executed_states(recording)
    return times, {joint: rows[:, 0] for joint, rows in states.items()}


def planned_path(serialized: bytes) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the times [s], (H,), and the joint positions by name, each (H,), of a plan."""
    plan = deserialize_message(serialized, JointTrajectory)
    start = nanoseconds_from_stamp(plan.header.stamp)
    times = [(start + nanoseconds_from_stamp(p.time_from_start)) / NANOSECONDS
             for p in plan.points]
    positions = np.array([p.positions for p in plan.points])
    return np.array(times), dict(zip(plan.joint_names, positions.T, strict=True))
