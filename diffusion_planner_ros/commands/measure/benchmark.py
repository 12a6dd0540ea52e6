# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner benchmark``: how long plans take, and the way from state to torque."""

from pathlib import Path
from typing import Literal

from ...files import written
from ..output import print_text, progress, report


def benchmark(
    bundle: Path | None = None,
    candidates: tuple[int, ...] = (1, 8, 16, 64),
    steps: tuple[int, ...] = (1, 2, 5),
    rounds: int = 50,
    diffuser_plans: int = 2,
    threads: int = 1,
    provider: Literal['cpu', 'cuda', 'tensorrt', 'auto'] = 'cpu',
    ros_seconds: float = 30.0,
    robots: tuple[int, ...] = (1, 2, 4, 8),
    ros_robots: tuple[int, ...] = (1, 2),
    out: Path = Path('benchmark'),
    json: bool = False,
) -> None:
    """
    Measure planning: compiled, in the general loop, and in PyTorch eager, as ratios.

    Prints a table in Markdown; writes OUT/report.html, OUT/summary.json and OUT/benchmark.png.
    Plans without guidance take the sampler ddim, guided ones ddpm. The setting that Diffuser was
    released with is measured in PyTorch, too; it takes seconds a plan. Then the robot walks
    through ROS in real time, and a second table says where the time from a state to its torque
    goes. Two more tables say how long it takes for several robots: to plan for all, and through
    ROS.

    :param bundle: folder of the model bundle; the shipped one by default.
    :param candidates: numbers of candidates to plan with.
    :param steps: numbers of denoising steps to plan with.
    :param rounds: turns that all take; 4 plans are measured in each.
    :param diffuser_plans: plans in Diffuser's setting, at most one per round; 0 leaves it out.
    :param threads: threads of onnxruntime and PyTorch.
    :param provider: where onnxruntime computes, as in a planner's settings; PyTorch uses the CPU.
    :param ros_seconds: how long robots walk [s]; 0 leaves that out.
    :param robots: numbers of robots to plan for at once.
    :param ros_robots: numbers of robots that walk through ROS with one planner.
    :param out: folder to write to.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.benchmark.planning_benchmark import (
        benchmark_table,
        measure_planning,
        plan_medians,
    )
    from ...experiments.benchmark.robots_times import (
        batch_table,
        measure_batches,
        measure_robots,
        robots_table,
    )
    from ...planning.bundle import Bundle
    from ...planning.planner_config import PlannerConfig
    from ...robots.robot_folder import DEFAULT_ROBOT
    from ...share import shipped_bundle

    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    planner = PlannerConfig(n_threads=threads, provider=provider)
    path = bundle or shipped_bundle(DEFAULT_ROBOT)
    loaded = Bundle.load(path, provider=provider, n_threads=threads)
    facts = {'bundle': str(path), 'bundle_hash': loaded.hash, **measure_planning(
        loaded, candidates=candidates, steps=steps, n_rounds=rounds,
        n_diffuser_plans=diffuser_plans, n_threads=threads, progress=progress),
        'robots': measure_batches(loaded, robots, n_rounds=rounds, config=planner,
                                  progress=progress)}
    if ros_seconds:
        from ...experiments.benchmark.stage_times import measure_stages, stage_table

        with progress('through ROS', 1 + len(ros_robots), unit='walks') as advance:
            stages = facts['state_to_torque'] = measure_stages(path, ros_seconds, planner=planner)
            advance(1, latency=f'{stages["latency_p50_ms"]:.1f} ms')
            facts['robots_through_ros'] = []
            for n in ros_robots:
                found = measure_robots(path, n, ros_seconds, config=planner)
                facts['robots_through_ros'].append(found)
                advance(1, latency=f'{found["latency_p50_ms"]:.1f} ms')
    from ...experiments.plots.benchmark_plot import draw_benchmark
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts
    from ...settings import as_facts

    out.mkdir(parents=True, exist_ok=True)
    picture = out / 'benchmark.png'
    with written(picture) as scratch:
        draw_benchmark(facts, scratch)
    facts = write_report(out, {
        **facts, 'planning_p50_ms': plan_medians(facts['cells']), 'files': [str(picture)],
        'run': run_facts('benchmark', loaded.robot.name, planner=as_facts(planner))})
    if json:
        report(facts, as_json=True)
    else:
        print_text(benchmark_table(facts))
        if robots:
            print_text('\n' + batch_table(facts['robots']))
        if ros_seconds:
            print_text('\n' + stage_table(facts['state_to_torque']))
            print_text('\n' + robots_table(facts['robots_through_ros']))
