# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner study``: variants of the alignment, side by side."""

from dataclasses import asdict
import os
from pathlib import Path

from ...files import written
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ...sim.perturbation import Perturbation
from ..interrupted import leaving, SAME_COMMAND
from ..output import print_text, progress, report

PICTURE_FILE = 'study.png'


def study(
    planner: PlannerConfig,
    perturbation: Perturbation,
    drawn: bool = False,
    checkpoint: Path = Path('runs/poor/checkpoint.pt'),
    data: tuple[Path, ...] = (Path('data/walker2d/poor-v0'),),
    variants: tuple[str, ...] = ('improved', 'plain'),
    seeds: tuple[int, ...] = (0, 1, 2),
    n_steps: int | None = None,
    episodes: int = 20,
    out: Path = Path('runs/study'),
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Align a model in several ways, with several seeds, and evaluate it before and after.

    Prints a table in Markdown, writes OUT/report.html and draws OUT/study.png. Every alignment is
    in OUT/VARIANT-SEED; one that is there already goes on, or is only read if it is done.
    Episodes of the evaluation are none of those that models were chosen by.

    :param planner: how to plan; STATES only before, for each variant says how it is afterwards,
        and ``plain`` has one candidate, before and after.
    :param perturbation: what is different about the robot.
    :param drawn: simulate another robot in every episode, drawn at random as ``collect --robust``
        does it, instead of the one that --perturbation.* describes.
    :param checkpoint: model to begin with, that ``train`` wrote.
    :param data: data sets that the model was trained on.
    :param variants: ``improved`` is what ``align`` does, ``plain`` is Algorithm 2 as Hu (2024)
        writes it, of one plan that nothing ranks; ``denoised-states``, ``no-offline-data``,
        ``no-exploration``, ``no-weighting``, ``no-settling``, ``all-steps``, ``value-first``,
        ``recovery`` and ``one-action`` each differ from ``improved`` in one thing.
    :param seeds: seeds of the alignments; every variant is aligned once with each.
    :param n_steps: steps of the robot in each alignment, all its other numbers of steps in
        proportion; as many as in ``align`` by default.
    :param episodes: episodes of an evaluation; their seeds count up from 0.
    :param out: folder of everything that comes of it.
    :param processes: simulators at a time; all cores by default.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...errors import ConfigError
    from ...experiments.alignment.alignment_study import label, Study, study_settings
    from ...experiments.alignment.study_table import compare, study_table
    from ...experiments.closed_loop import open_pool
    from ...learning.onnx_export import TrainedModel
    from ...sim.perturbation_ranges import choose_robots

    robots = choose_robots(perturbation, drawn=drawn)
    if episodes < 2:
        raise ConfigError(f'episodes is {episodes}, expected at least 2')
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    model = TrainedModel.load(checkpoint)
    settings = study_settings(variants, seeds, n_steps, model.config.horizon)
    offline = [e for path in data for e in read_episodes(path, model.robot)]
    with leaving(SAME_COMMAND), open_pool(processes or os.cpu_count() or 1) as pool:
        work = Study(checkpoint, offline, out, planner=planner, perturbation=robots,
                     seeds=range(episodes), pool=pool, progress=progress)
        before = {name: work.before(of_seeds[0]) for name, of_seeds in settings.items()}
        runs = {name: {str(v.align.seed): work.run(name, v) for v in of_seeds}
                for name, of_seeds in settings.items()}
    compared = {name: compare(before[name], list(of_seeds.values()))
                for name, of_seeds in runs.items()}
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.study_plot import draw_study

    with written(out / PICTURE_FILE) as scratch:
        plural = 's' if len(seeds) > 1 else ''
        draw_study({label(name): [run['guards'] for run in of_seeds.values()]
                    for name, of_seeds in runs.items()},
                   f'Alignment of {checkpoint}: mean and standard error over {len(seeds)} '
                   f'seed{plural}', scratch)
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts

    summary = {'picture': str(out / PICTURE_FILE), 'checkpoint': str(checkpoint),
               'planner': as_facts(planner), 'perturbation': as_facts(robots),
               'variants': {name: facts | {'settings': asdict(settings[name][0].align),
                                           'runs': runs[name]}
                            for name, facts in compared.items()},
               'files': [str(out / PICTURE_FILE)],
               'run': run_facts('study', model.robot.name, planner=as_facts(planner),
                                perturbation=as_facts(robots))}
    summary = write_report(out, summary)
    if json:
        report(summary, as_json=True)
    else:
        print_text(study_table({label(name): facts for name, facts in compared.items()}))
