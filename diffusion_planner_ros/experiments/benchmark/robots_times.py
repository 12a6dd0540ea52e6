# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How long planning takes for several robots: in process, and from their states to torques."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
import tempfile
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np

from ...errors import ConfigError
from ...nodes.common.diagnostics import facts_from_msg
from ...planning.bundle import Bundle, read_facts
from ...planning.planner import Planner, Start
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ..markdown import table
from ..progress import Progress, silent
from ..ros.node_process import node_process
from ..ros.observer import Observer, observing, STALL_TIME
from ..ros.ros_session import ENDLESS
from .planning_benchmark import Planning, timed

OWN_CLOCK = '/clock:=clock'


def measure_batches(bundle: Bundle, numbers: Sequence[int], *, n_rounds: int,
                    config: PlannerConfig | None = None, progress: Progress = silent
                    ) -> list[dict[str, Any]]:
    """
    Measure plans from several states, in one batch and one after the other, taking turns.

    :param numbers: of states.
    :param n_rounds: turns of each.
    :param config: how to plan; by default as the planner does by itself.
    :return: of every number ``batch`` and ``one_by_one``, each with ``p50_ms`` and ``p99_ms``.
    :raises ConfigError: if a number is below 1.
    """
    if any(number < 1 for number in numbers):
        raise ConfigError(f'robots is {tuple(numbers)}, expected integers above 0')
    planner = Planner(bundle, config or PlannerConfig())
    state = bundle.normalizer.mean[bundle.robot.action_dim:]

    def batch(n: int) -> Planning:
        return lambda step: planner.plans([Start(state, step + k) for k in range(n)])

    def one_by_one(n: int) -> Planning:
        return lambda step: [planner.plan(state, step=step + k) for k in range(n)]

    ways = {(n, name): make(n) for n in numbers
            for name, make in (('batch', batch), ('one_by_one', one_by_one))}
    times: dict[tuple[int, str], list[float]] = {way: [] for way in ways}
    with progress('robots', n_rounds, unit='round') as advance:
        for number in range(n_rounds):
            for way, plan in ways.items():
                times[way] += timed(plan, number)
            advance(1, **{name: f'{1e3 * np.median(times[n, name]):.2f} ms'
                          for n, name in list(ways)[-2:]})
    return [{'robots': n, **{name: dict(zip(
        ('p50_ms', 'p99_ms'), (1e3 * np.percentile(times[n, name], (50, 99))).tolist(),
        strict=True)) for name in ('batch', 'one_by_one')}} for n in numbers]


class _RobotsObserver(Observer):
    """Keeps the latest facts of every node, by its name with the namespace."""

    def __init__(self) -> None:
        self.facts: dict[str, dict[str, str]] = {}
        super().__init__()

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        """Take a report."""
        super().on_diagnostics(msg)
        for status in msg.status:
            self.facts[status.name] = facts_from_msg(msg, status.name) or {}


def measure_robots(bundle: Path, number: int, seconds: float, *,
                   config: PlannerConfig | None = None) -> dict[str, Any]:
    """
    Let robots walk in real time, each simulated in a process of its own, with one planner for all.

    :param bundle: folder of the bundle.
    :param number: of robots.
    :param seconds: how long; falls begin another episode.
    :param config: how to plan; by default as the planner does by itself.
    :return: of the slowest robot ``latency_p50_ms`` and ``latency_p99_ms`` from sending a state to
        sending its torque, and ``bridge_latency_p50_ms`` and ``bridge_latency_p99_ms`` until the
        torque is in the simulator; of all ``missed_deadline_rate``, ``stops`` and ``falls``.
    :raises PlannerError: if a node ends, or reports nothing for ``STALL_TIME``.
    """
    robots = [f'robot{k + 1}' for k in range(number)]
    bridge = {'robot': read_facts(bundle)['robot']['name'], 'max_episode_steps': ENDLESS}
    planner = {**as_facts(config or PlannerConfig()), 'bundle': str(bundle.resolve()),
               'use_sim_time': True, 'ramp_time': 0.0}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        node = stack.enter_context(observing(_RobotsObserver))
        for seed, robot in enumerate(robots):
            (folder / robot).mkdir()
            node.watch(robot, stack.enter_context(node_process(
                'mujoco_bridge', {**bridge, 'seed': seed}, folder / robot,
                remaps=(f'__ns:=/{robot}', OWN_CLOCK))))
        # A single robot is planned for without the planner of several.
        alone = number == 1
        node.watch('planner', stack.enter_context(node_process(
            'planner', {**planner, 'robots': [''] if alone else robots}, folder,
            remaps=(f'__ns:=/{robots[0]}', OWN_CLOCK) if alone else (OWN_CLOCK,))))
        node.wait_until(
            lambda: all(int(node.facts.get(f'{robot}/{name}', {}).get(key, 0)) > 0
                        for robot in robots
                        for name, key in (('planner', 'plans'), ('mujoco_bridge', 'total_steps'))),
            f'the planner reported no plan for one of the robots in {STALL_TIME} s')
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            node.turn()
        planners, bridges = ([node.facts[f'{robot}/{name}'] for robot in robots]
                             for name in ('planner', 'mujoco_bridge'))
    steps = sum(int(facts['total_steps']) for facts in bridges)
    return {'robots': number,
            **{f'{prefix}{name}': max(float(facts[name]) for facts in reports)
               for prefix, reports in (('', planners), ('bridge_', bridges))
               for name in ('latency_p50_ms', 'latency_p99_ms')},
            'missed_deadline_rate': sum(int(f['missed_deadlines']) for f in bridges) / steps,
            **{name: sum(int(facts[name]) for facts in bridges) for name in ('stops', 'falls')}}


def batch_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what ``measure_batches`` found, in Markdown."""
    return table(
        ('robots', 'in one batch: p50 / p99 [ms]', 'one after the other: p50 / p99 [ms]',
         'batch / one after the other', 'per robot in a batch [ms]'),
        [(row['robots'], *(f'{row[name]["p50_ms"]:.2f} / {row[name]["p99_ms"]:.2f}'
                           for name in ('batch', 'one_by_one')),
          f'{row["batch"]["p50_ms"] / row["one_by_one"]["p50_ms"]:.2f}',
          f'{row["batch"]["p50_ms"] / row["robots"]:.2f}') for row in rows])


def robots_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what several runs of ``measure_robots`` found, in Markdown."""
    return table(
        ('robots', 'latency: p50 / p99 [ms]', 'bridge latency: p50 / p99 [ms]',
         'missed deadlines', 'stops', 'falls'),
        [(row['robots'], *(f'{row[f"{where}latency_p50_ms"]:.2f} / '
                           f'{row[f"{where}latency_p99_ms"]:.2f}' for where in ('', 'bridge_')),
          f'{row["missed_deadline_rate"]:.2%}', row['stops'], row['falls']) for row in rows])
