# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner align``: a model learns from what its executed plans really did."""

from dataclasses import asdict
import os
from pathlib import Path

import tyro

from ...learning.align_config import AlignConfig
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation import Perturbation
from ..interrupted import leaving, NOTHING_KEPT, RESUME
from ..output import progress, report
from ..robot_option import check_name


def align(
    config: tyro.conf.OmitArgPrefixes[AlignConfig],
    planner: PlannerConfig,
    perturbation: Perturbation,
    drawn: bool = False,
    robot: str | None = None,
    checkpoint: Path | None = None,
    data: tuple[Path, ...] | None = None,
    out: Path = Path('runs/aligned'),
    from_log: tuple[Path, ...] | None = None,
    resume: bool = False,
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Align a model with its simulated robot, or with logs of any robot (Hu 2024, Algorithm 2).

    Plans are executed in simulators, as many at a time as there are PROCESSES, and the model
    learns from the true trajectories and their true values. From time to time it is
    evaluated, always on the same episodes (the guard). The best model is exported to OUT/aligned,
    unless that is the one that the alignment began with; OUT/report.html shows how it went. As Hu
    writes the algorithm:
    ``--n-execute 8 --n-candidates 1 --exploration 0 --offline-share 0 --recent-steps 0 --weighting
    none --value-times even --settle-steps 0 --planner.n-candidates 1``, 8 being the horizon.

    :param config: how the model learns.
    :param planner: how the guard plans; executed plans have N_CANDIDATES candidates.
    :param perturbation: what is different about the robot.
    :param drawn: simulate another robot in every episode, drawn at random as ``collect --robust``
        does it, instead of the one that --perturbation.* describes.
    :param robot: name of a robot, or path of its folder; by default the one that CHECKPOINT names,
        or walker2d.
    :param checkpoint: model to begin with: what ``train`` wrote, or a model in OUT/guarded of
        another alignment; runs/ROBOT/checkpoint.pt by default.
    :param data: data sets that the model was trained on.
    :param out: folder of everything that comes of it, TensorBoard logs among it.
    :param from_log: logs that the node ``recorder`` wrote; nothing is simulated then.
    :param resume: go on with the alignment in OUT that was interrupted.
    :param processes: simulators at a time; all cores by default.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...errors import ConfigError, ModelError
    from ...experiments.alignment.alignment_run import AlignmentRun, PROGRESS_FILE
    from ...experiments.alignment.log_alignment import align_from_logs, FROM_LOG_FILE
    from ...experiments.alignment.online_alignment import align_online
    from ...experiments.closed_loop import open_pool
    from ...learning.alignment import Aligner
    from ...learning.learner import CHECKPOINT_FILE
    from ...learning.onnx_export import TrainedModel
    from ...robots.robot_folder import DEFAULT_ROBOT, make_known
    from ...sim.perturbation_ranges import choose_robots

    robots = choose_robots(perturbation, drawn=drawn)
    if from_log and resume:
        raise ConfigError('--resume is for an alignment in simulators, expected it without '
                          '--from-log; to learn from another log, name OUT/aligned.pt as '
                          '--checkpoint')
    if not resume and any((out / name).exists() for name in (PROGRESS_FILE, FROM_LOG_FILE)):
        raise ModelError(f'{out}: holds an alignment already; choose another --out, or add '
                         '--resume to go on with one in simulators')
    name = None if robot is None else make_known(robot)
    checkpoint = checkpoint or Path('runs', name or DEFAULT_ROBOT, CHECKPOINT_FILE)
    layout = TrainedModel.load(checkpoint).robot
    check_name(name, layout.name, str(checkpoint))
    offline = [e for path in data or () for e in read_episodes(path, layout)]
    aligner = Aligner(checkpoint, config, offline)
    course = {}
    if from_log:
        facts = align_from_logs(aligner, from_log, offline, out, progress=progress)
    else:
        with (leaving(lambda: RESUME if (out / PROGRESS_FILE).exists() else NOTHING_KEPT),
              open_pool(processes or os.cpu_count() or 1) as pool):
            run = AlignmentRun(aligner, out, planner=planner, perturbation=robots, pool=pool)
            if resume:
                run.resume()
            facts = align_online(run, offline, progress=progress)
            course = {'guards': list(map(asdict, run.guards)), 'rounds': run.rounds}
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts

    facts = {'checkpoint': str(checkpoint), **facts, 'course': course,
             'run': run_facts('align', layout.name, align=as_facts(config),
                              planner=as_facts(planner), perturbation=as_facts(robots))}
    report(write_report(out, facts), as_json=json)
