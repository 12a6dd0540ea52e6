# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner endure``: whether the robot stays on its feet when the computer is busy."""

from dataclasses import asdict
from pathlib import Path

from ...nodes.threads.scheduling import SchedulingConfig
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ..output import print_text, progress, report
from ..preset_option import PresetName
from ..robot_option import simulated_bundle


def endure(
    planner: PlannerConfig,
    scheduling: SchedulingConfig,
    preset: PresetName = None,
    robot: str | None = None,
    bundle: Path | None = None,
    busy: tuple[int, ...] = (0, 1, 2),
    episodes: int = 10,
    runs: int = 10,
    seconds: float = 60.0,
    first_seed: int = 0,
    out: Path = Path('endurance'),
    json: bool = False,
) -> None:
    """
    Walk in real time beside busy processes, and on a bench that plays hardware.

    The bench measures and takes commands as drivers do, in wall time: hinges and odometry apart,
    late by up to 1 ms. Its planner has the parameters of config/hardware.yaml, but full torque at
    once. Prints a table of each in Markdown; writes OUT/report.html and OUT/summary.json.

    :param planner: how to plan.
    :param scheduling: how Linux treats planner and simulator.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLE names, or
        walker2d.
    :param bundle: folder of the model bundle; the one that ships for ROBOT by default.
    :param busy: numbers of busy processes beside the nodes, one row of the first table each.
    :param episodes: number of episodes beside each of them; 0 leaves the first table out.
    :param runs: number of runs on the bench; 0 leaves the second table out.
    :param seconds: longest time of a run [s]; it ends with a fall.
    :param first_seed: seed of the first episode and of the first run; they count up.
    :param out: folder of report and summary.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError

    if episodes < 0 or runs < 0 or not episodes + runs:
        raise ConfigError(f'episodes are {episodes} and runs {runs}, expected none below 0 and '
                          'not both 0')
    if not busy or min(busy) < 0 or len(set(busy)) < len(busy):
        raise ConfigError(f'busy is {busy}, expected numbers of processes, none below 0 and none '
                          'twice')
    if not 0.0 < seconds < float('inf'):
        raise ConfigError(f'seconds is {seconds}, expected a finite number above 0')
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    loaded = simulated_bundle(bundle, planner, robot)
    path = loaded.path
    # Only now: who asks for help needs no ROS.
    from ...experiments.ros.bench_run import check_bench, walk_on_bench
    from ...experiments.ros.endurance_tables import bench_table, real_time_table
    from ...experiments.ros.node_process import busy_processes
    from ...experiments.ros.ros_evaluation import evaluate_through_ros
    from ...experiments.ros.ros_session import SessionConfig

    name = loaded.robot.name
    if runs:
        check_bench(name)
    config = SessionConfig(bundle=path, planner=planner, lockstep=False, real_time_factor=1.0,
                           first_seed=first_seed, scheduling=scheduling)
    measured, results = {}, []
    for n_busy in busy if episodes else ():
        with busy_processes(n_busy):
            measured[n_busy] = evaluate_through_ros(
                config, range(first_seed, first_seed + episodes), name, progress=progress)
    if runs:
        with progress('on the bench', runs, unit='runs') as advance:
            for seed in range(first_seed, first_seed + runs):
                result, _ = walk_on_bench(name, path, planner, seed, seconds, scheduling)
                results.append(result)
                advance(1, walked=f'{result.seconds:.1f} s')
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts

    summary = write_report(out, {
        'bundle': str(path), 'bundle_hash': loaded.hash, 'planner': as_facts(planner),
        'real_time': {str(n_busy): facts for n_busy, facts in measured.items()},
        'seconds': seconds, 'bench': [asdict(result) for result in results],
        'bench_walked_s': sum(result.seconds for result in results),
        'bench_falls': sum(result.fell for result in results),
        'run': run_facts('endure', name, planner=as_facts(planner),
                         scheduling=as_facts(scheduling))})
    if json:
        report(summary, as_json=True)
        return
    if measured:
        print_text(real_time_table(measured))
    if measured and results:
        print_text('')
    if results:
        print_text(bench_table(results, seconds))
