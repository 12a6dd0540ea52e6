# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where the time goes from a state to its torque: both nodes run, and report it."""

from collections.abc import Mapping
from pathlib import Path
import time
from typing import Any

from ...planning.planner_config import PlannerConfig
from ..markdown import table
from ..ros.ros_session import session, SessionConfig, STALL_TIME

STAGE = 'stage_'  # how the names of these values begin
TIMES = ('_p50_ms', '_p99_ms')  # and how they end


def measure_stages(bundle: Path, seconds: float, *, planner: PlannerConfig | None = None,
                   seed: int = 0) -> dict[str, Any]:
    """
    Let the robot walk in real time; return the times of the stages as the planner reports them.

    :param bundle: folder of the bundle.
    :param seconds: how long; longer than 8 s is of no use but for the rate of missed deadlines.
    :param planner: how to plan; by default as the planner does by itself.
    :param seed: of the first episode; falls begin another one.
    :return: every ``stage_*`` value of the planner's diagnostics; ``latency_p50_ms`` and
        ``latency_p99_ms`` from state to torque, in the planner; of the bridge
        ``bridge_latency_p50_ms`` and ``bridge_latency_p99_ms``, which is the time until the torque
        is back there, ``missed_deadline_rate``, ``stops`` and ``falls``.
    :raises PlannerError: if a node ends, or reports nothing for ``STALL_TIME``.
    """
    config = SessionConfig(bundle=bundle, planner=planner or PlannerConfig(), lockstep=False,
                           real_time_factor=1.0, first_seed=seed, is_endless=True)
    with session(config, record=False) as nodes:
        nodes.wait_until(lambda: int(nodes.planner.get('plans', 0)) > 0
                         and int(nodes.bridge.get('total_steps', 0)) > 0,
                         f'the planner reported no plan in {STALL_TIME} s')
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            nodes.turn()
        facts, timing = nodes.planner, nodes.timing()
        falls = int(nodes.bridge['falls'])
    return {**{name: float(value) for name, value in facts.items() if name.startswith(STAGE)},
            **{name: float(facts[name]) for name in ('latency_p50_ms', 'latency_p99_ms')},
            **{f'bridge_{name}': timing[name] for name in ('latency_p50_ms', 'latency_p99_ms')},
            'missed_deadline_rate': timing['missed_deadline_rate'], 'stops': timing['stops'],
            'falls': falls}


def stage_table(facts: Mapping[str, Any]) -> str:
    """Return what ``measure_stages`` found, in Markdown."""
    names = [name.removesuffix(TIMES[0]) for name in facts if name.endswith(TIMES[0])]
    rows = [(name.removeprefix(STAGE).replace('_', ' '),
             *(f'{facts[name + end]:.2f}' for end in TIMES)) for name in names]
    return table(('stage', 'p50 [ms]', 'p99 [ms]'), rows) + (
        f'\n\nDeadlines missed: {facts["missed_deadline_rate"]:.3%}; stops: {facts["stops"]}; '
        f'falls: {facts["falls"]}')
