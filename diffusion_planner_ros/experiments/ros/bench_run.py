# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Walks on the bench that plays hardware, with the settings of ``config/hardware.yaml``."""

from dataclasses import dataclass
import json
from pathlib import Path
import tempfile
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import yaml

from ...errors import ConfigError, RobotError
from ...nodes.common.diagnostics import (
    bool_from_fact,
    counts_from_fact,
    facts_from_msg,
    number_from_fact,
)
from ...nodes.threads.scheduling import SchedulingConfig
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...share import share_file
from ..closed_loop import noise_seed
from .hardware_bench import BENCH_NAME, HardwareBench, MeasuredRobot
from .node_process import child_process, node_process
from .observer import Observer, observing, STALL_TIME

JITTER = 0.001  # [s], longest time that a measurement is late
FULL_TORQUE = {'torque_scale': 1.0, 'ramp_time': 0.0}  # first tests on hardware are gentle


def check_bench(robot: str) -> None:
    """
    Refuse a robot whose base is not where ``config/hardware.yaml`` takes odometry to say it is.

    :param robot: its name.
    :raises RobotError: naming the joints, or the height, and what was expected.
    """
    measured = MeasuredRobot(robot)
    environment = measured.environment
    base = set(environment.joint_names) - set(environment.actuated_joints)
    joints = [word.partition('=')[0] for word in _shipped_parameters()['odometry_joints']]
    if base != set(joints):
        raise RobotError(f"{robot}: no motor drives {', '.join(sorted(base)) or 'nothing'}, "
                         f'expected {", ".join(joints)}, which the bench measures as odometry; '
                         'leave it out with --runs 0')
    at = measured.odometry(0).pose.pose.position
    for joint, place in (('rootx', at.x), ('rootz', at.z)):
        position = environment.qpos[environment.joint_names.index(joint)]
        if abs(position - place) > 1e-6:
            raise RobotError(f'{robot}: odometry gives {place:.3f} m where joint {joint} is at '
                             f'{position:.3f} m, expected the same; leave the bench out with '
                             '--runs 0')


def hardware_parameters(bundle: Path, planner: PlannerConfig, seed: int) -> dict[str, Any]:
    """
    Return the planner's parameters of ``config/hardware.yaml``, but with full torque at once.

    :param seed: of the run; each has its own noise.
    :raises ConfigError: if the file has none.
    """
    return {**as_facts(planner), **_shipped_parameters(), **FULL_TORQUE,
            'bundle': str(bundle.resolve()), 'seed': noise_seed(planner, seed)}


def _shipped_parameters() -> dict[str, Any]:
    file = share_file('config/hardware.yaml')
    try:
        return yaml.safe_load(file.read_text())['/**/planner']['ros__parameters']
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f'{file}: no parameters of /**/planner ({error!r}), expected them as '
                          'the package has them') from error


class BenchObserver(Observer):
    """Watches the planner and the bench."""

    def __init__(self) -> None:
        super().__init__()
        self.bench: dict[str, str] = {}
        """Latest report of the bench."""

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        """Take a report."""
        super().on_diagnostics(msg)
        self.bench = facts_from_msg(msg, BENCH_NAME) or self.bench


@dataclass(frozen=True)
class BenchResult:
    """What a run on the bench came to."""

    seed: int
    seconds: float
    """Walked, until the fall or the end [s]."""
    fell: bool
    distance: float
    """Forward distance in this time [m]."""
    latency_p50_ms: float | None
    """From sending a state to sending its torque, as the planner measures it; None without."""
    latency_p99_ms: float | None
    states_without_plan: int
    """Control periods that got no plan of their own."""
    stop_causes: dict[str, int]
    """Stops of the planner by cause; after a fall it may have gone on for a second."""


def walk_on_bench(robot: str, bundle: Path, planner: PlannerConfig, seed: int, seconds: float,
                  scheduling: SchedulingConfig | None = None
                  ) -> tuple[BenchResult, dict[str, str]]:
    """
    Start a bench and a planner, and let the robot walk until it falls or the time is over.

    :param robot: its name.
    :param bundle: folder of the model.
    :param seed: of the initial state, of what is late, and of the planner's noise.
    :param seconds: to walk.
    :param scheduling: how Linux treats the planner; by default as other processes.
    :return: what it came to, and the last report of the planner, its parameters among it.
    :raises PlannerError: if a process ends, or does not start.
    """
    parameters = {**hardware_parameters(bundle, planner, seed),
                  **as_facts(scheduling or SchedulingConfig())}
    with (observing(BenchObserver) as node, tempfile.TemporaryDirectory() as folder,
          child_process('-m', HardwareBench.__module__,
                        json.dumps({'robot': robot, 'seed': seed, 'jitter': JITTER})) as bench,
          node_process('planner', parameters, Path(folder)) as process):
        node.watch('bench', bench)
        node.watch('planner', process)
        node.wait_until(lambda: bool(node.bench), f'no report of the bench in {STALL_TIME} s')
        node.start_planner()
        node.wait_until(lambda: float(node.bench['time']) > 0.0,
                        f'no command of the planner in {STALL_TIME} s; its output above says why')
        while float(node.bench['time']) < seconds and not bool_from_fact(node.bench['fell']):
            node.turn()
        seen = node.bench
        node.wait_for_report()
        report = node.planner
    fell = bool_from_fact(seen['fell'])
    walked = float(seen['fell_after']) if fell else min(seconds, float(seen['time']))
    return BenchResult(
        seed=seed, seconds=walked, fell=fell,
        distance=float(seen['distance']),
        latency_p50_ms=number_from_fact(report['latency_p50_ms']),
        latency_p99_ms=number_from_fact(report['latency_p99_ms']),
        states_without_plan=int(report['states_without_plan']),
        stop_causes=counts_from_fact(report['stop_causes'])), report
