# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner evaluate``: closed-loop returns of a bundle."""

import os
from pathlib import Path

import tyro

from ...experiments.execution import Execution, REPLANNED
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation import Perturbation, UNPERTURBED
from ..output import progress, report
from ..preset_option import PresetName
from ..robot_option import simulated_bundle


def evaluate(
    planner: PlannerConfig,
    execution: tyro.conf.OmitArgPrefixes[Execution],
    perturbation: Perturbation,
    preset: PresetName = None,
    drawn: bool = False,
    robot: str | None = None,
    bundle: Path | None = None,
    episodes: int = 20,
    first_seed: int = 0,
    processes: int | None = None,
    through_ros: bool = False,
    real_time: bool = False,
    record: Path | None = None,
    mcap: Path | None = None,
    write_score: bool = False,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """
    Run episodes and report return, falls and latency.

    In process by default: the first action of every plan is executed, and each control period
    waits for its plan. Through ROS in lockstep gives the same returns. With OUT it writes
    OUT/report.html, made of OUT/summary.json and of OUT/episode.npz: in process the episode of the
    lowest return, which is run once more, and of a record the last one.

    :param planner: how to plan.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param execution: how plans are executed, in process.
    :param perturbation: what is different about the robot, in process.
    :param drawn: simulate another robot in every episode, drawn at random as ``collect --robust``
        does it, instead of the one that --perturbation.* describes.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLE names, or
        walker2d.
    :param bundle: folder of the model bundle; the one that ships for ROBOT by default.
    :param episodes: number of episodes; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state.
    :param processes: episodes at a time, in process; all cores by default.
    :param through_ros: run through the two ROS 2 nodes, in lockstep.
    :param real_time: with --through-ros, run on the wall clock instead of in lockstep.
    :param record: with --through-ros, HDF5 file to record the executed plans to, for align.
    :param mcap: with --through-ros, MCAP file to record all topics to, for Foxglove and
        ``ros2 bag``.
    :param write_score: write the score into the bundle's model.yaml, with how it was measured.
    :param out: folder of a report; none is written by default.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import evaluate_in_process, open_pool
    from ...planning.bundle import write_score as write
    from ...sim.perturbation_ranges import choose_robots

    robots = choose_robots(perturbation, drawn=drawn)
    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    if real_time and not through_ros:
        raise ConfigError('--real-time needs --through-ros: in process every period waits for its '
                          'plan')
    for option, file in (('--record', record), ('--mcap', mcap)):
        if file and not through_ros:
            raise ConfigError(f'{option} needs --through-ros: a ROS node does the recording')
    if through_ros and (execution, robots) != (REPLANNED, UNPERTURBED):
        raise ConfigError('--through-ros is given with options that change the robot or how plans '
                          f'are executed ({execution}, {robots}), expected none of them: only '
                          'episodes in process take them')
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    loaded = simulated_bundle(bundle, planner, robot)
    path = loaded.path
    seeds, episode = range(first_seed, first_seed + episodes), None
    if through_ros:
        from ...experiments.ros.ros_evaluation import evaluate_through_ros
        from ...experiments.ros.ros_session import SessionConfig

        config = SessionConfig(bundle=path, planner=planner, lockstep=not real_time,
                               real_time_factor=1.0, first_seed=first_seed, log=record,
                               mcap=mcap)
        facts = evaluate_through_ros(config, seeds, loaded.robot.name, progress=progress)
        if out is not None and record is not None:
            from ...experiments.reports.episode_sources import last_of_log

            episode = last_of_log(record, loaded.robot, seeds[-1])
    else:
        with open_pool(processes or os.cpu_count() or 1) as pool:
            facts = evaluate_in_process(loaded, planner, seeds, pool=pool, execution=execution,
                                        perturbation=robots, progress=progress)
            if out is not None:
                from ...experiments.reports.episode_sources import record_again

                worst = min(seeds, key=lambda seed: facts['returns'][seed - first_seed])
                episode = record_again(loaded, planner, worst, pool=pool, execution=execution,
                                       perturbation=robots)
    facts = {'bundle': str(path), 'bundle_hash': loaded.hash, 'provider': loaded.provider, **facts}
    if write_score:
        write(path, {key: facts[key] for key in (
            'mode', 'episodes', 'return_mean', 'return_stderr', 'normalized_score', 'falls')}
            | {'first_seed': first_seed, 'planner': as_facts(planner)})
    if out is not None:
        from ...experiments.reports.report_page import write_report
        from ...experiments.reports.run_facts import run_facts

        facts['run'] = run_facts('evaluate', loaded.robot.name, planner=as_facts(planner),
                                 execution=as_facts(execution), perturbation=as_facts(robots))
        facts = write_report(out, facts, episode)
    report(facts, as_json=json)
