# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner soak``: whether a disturbed robot leaks, slows down or dies over time."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...files import written
from ..output import LiveLine, report
from ..robot_option import simulated_bundle

if TYPE_CHECKING:
    from ...experiments.ros.soak_run import Soak


def soak(
    minutes: float,
    seed: int = 0,
    bundle: Path | None = None,
    out: Path = Path('soak'),
    json: bool = False,
) -> None:
    """
    Run both nodes in real time under pushes, resets, pauses and parameter changes.

    Writes OUT/report.html, OUT/summary.json and OUT/soak.png. Fails if memory or open handles of a
    node grow after the first minute (in a shorter run: after its first quarter), or if a node
    dies. Ctrl-C ends it earlier, with the report of what was seen.

    :param minutes: how long to run [min].
    :param seed: seed of all that happens to the robot.
    :param bundle: folder of the model bundle; the shipped one by default.
    :param out: folder of report, summary and picture.
    :param json: print the summary as JSON.
    """
    from ...errors import ConfigError, PlannerError
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts
    from ...experiments.ros.process_footprint import leaks_of
    from ...experiments.ros.ros_session import session, SessionConfig
    from ...experiments.ros.soak_run import schedule, Soak
    from ...planning.planner_config import PlannerConfig
    from ...settings import as_facts

    if not 0.0 < minutes < float('inf'):
        raise ConfigError(f'minutes is {minutes}, expected a finite number above 0')
    loaded = simulated_bundle(bundle, PlannerConfig())
    path = loaded.path
    config = SessionConfig(bundle=path, planner=PlannerConfig(), lockstep=False,
                           real_time_factor=1.0, first_seed=seed, is_endless=True)
    failures, is_interrupted = [], False
    with session(config, record=False) as nodes, LiveLine() as line:
        run = Soak(nodes, lambda soak: line.show(_status(soak, minutes)))
        try:
            run.run(schedule(seed, minutes * 60), minutes * 60)
        except KeyboardInterrupt:
            is_interrupted = True
        except PlannerError as error:
            failures.append(str(error))
        summary = run.summary()
    for name in run.footprints:
        failures += leaks_of(name, summary[name])
    out.mkdir(parents=True, exist_ok=True)
    summary |= {'interrupted': is_interrupted, 'failures': failures, 'seed': seed,
                'bundle': str(path), 'bundle_hash': loaded.hash,
                'files': [str(out / 'soak.png')],
                'course': {'memory_mb': {name: [(f.time, f.memory) for f in seen]
                                         for name, seen in run.footprints.items()},
                           'latency_ms': run.latencies},
                'run': run_facts('soak', loaded.robot.name, planner=as_facts(config.planner))}
    # Only now: who errs needs no matplotlib.
    from ...experiments.plots.soak_plot import draw_soak

    with written(out / 'soak.png') as scratch:
        draw_soak(run.footprints, run.latencies, scratch)
    report(write_report(out, summary), as_json=json)
    if failures:
        raise PlannerError(f'soak failed: {"; ".join(failures)}')


def _status(run: 'Soak', minutes: float) -> str:
    """Return the live line."""
    memory = '  '.join(f'{name} {seen[-1].memory:.1f} MB'
                       for name, seen in run.footprints.items() if seen)
    latency = f'{run.latencies[-1][1]:.1f}' if run.latencies else '-'
    return (f'{run.elapsed / 60:5.2f} of {minutes:g} min  {memory}  plan latency {latency} ms  '
            f'falls {run.bridge.get("falls", "-")}  stops {run.bridge.get("stops", "-")}')
