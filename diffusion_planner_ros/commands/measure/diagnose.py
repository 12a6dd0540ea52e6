# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner diagnose``: whether a model's actions give the states that it plans."""

from dataclasses import asdict
import os
from pathlib import Path
import sys

from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation import Perturbation
from ..output import progress, report
from ..preset_option import PresetName
from ..robot_option import simulated_bundle


def diagnose(
    planner: PlannerConfig,
    perturbation: Perturbation,
    preset: PresetName = None,
    robot: str | None = None,
    bundle: Path | None = None,
    data: tuple[Path, ...] | None = None,
    episodes: int = 10,
    first_seed: int = 0,
    processes: int | None = None,
    out: Path = Path('diagnosis'),
    video: bool = True,
    json: bool = False,
) -> None:
    """
    Measure and show how far planned states are from those that the planned actions give.

    Every 50th plan of closed-loop episodes is executed open loop on the side. Writes
    OUT/misalignment.png, OUT/series.png (one plan), OUT/ood.png (distance from the data and from
    predictions, and falls) and, where OpenGL is there, OUT/imagination.mp4; with --data also
    OUT/series_recorded.png. OUT/report.html shows them all, with OUT/summary.json.

    :param planner: how to plan.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param perturbation: what is different about the robot.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLE names, or
        walker2d.
    :param bundle: folder of the model bundle; the one that ships for ROBOT by default.
    :param data: data sets of the training: plans from their states, too, and distances to them.
    :param episodes: number of episodes; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state, and of what is drawn from data.
    :param processes: episodes at a time; all cores by default.
    :param out: folder of report, pictures and video.
    :param video: make the video: the states of plans beside what happened when they were executed.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.diagnosis.diagnosis import Diagnosis

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    loaded = simulated_bundle(bundle, planner, robot)
    path = loaded.path
    recorded = []
    if data:  # without it nobody needs h5py
        from ...data.formats import read_episodes

        recorded = [e for file in data
                    for e in read_episodes(file, loaded.robot, needs_rewards=False)]
    with open_pool(processes or os.cpu_count() or 1) as pool:
        found = Diagnosis(loaded, planner, range(first_seed, first_seed + episodes), recorded,
                          perturbation, pool=pool, progress=progress)
    from ...experiments.plots.diagnosis_plots import draw_diagnosis
    from ...experiments.plots.imagination_video import render_imagination
    from ...experiments.reports.episode_sources import with_its_plans
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts

    out.mkdir(parents=True, exist_ok=True)
    files = draw_diagnosis(found, out)
    if video:
        print('rendering the video ...', file=sys.stderr)
        reason = render_imagination(found, out / 'imagination.mp4')
        if reason is None:
            files.append(out / 'imagination.mp4')
        else:
            print(f'no video: {reason}', file=sys.stderr)
    facts = {'bundle': str(path), 'bundle_hash': loaded.hash, 'perturbation': asdict(perturbation),
             **found.report(), 'files': list(map(str, files)),
             'run': run_facts('diagnose', loaded.robot.name, planner=as_facts(planner),
                              perturbation=as_facts(perturbation))}
    seed, worst = found.worst
    report(write_report(out, facts, with_its_plans(worst, loaded.robot, seed)), as_json=json)
