# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner robustness``: what a changed robot, pushes, noise and delay do."""

import os
from pathlib import Path

from ...files import written
from ...planning.planner_config import PlannerConfig
from ...settings import as_facts
from ..output import print_text, progress, report
from ..preset_option import PresetName

PICTURE_FILE = 'robustness.png'


def robustness(
    planner: PlannerConfig,
    preset: PresetName = None,
    robot: str | None = None,
    bundles: tuple[str, ...] | None = None,
    teacher: str | None = None,
    only: tuple[str, ...] | None = None,
    episodes: int = 50,
    first_seed: int = 0,
    processes: int | None = None,
    out: Path = Path('robustness'),
    json: bool = False,
) -> None:
    """
    Run episodes, in process, under changes of the robot and with late plans.

    Prints a table in Markdown and draws it: return, falls, and the episodes in which the monitor
    would have warned, those with a stop in brackets. Drawn robots differ in everything at once, in
    every episode anew. Writes OUT/report.html, OUT/summary.json and OUT/robustness.png.

    :param planner: how to plan.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLES name, or
        walker2d.
    :param bundles: folders of model bundles, as PATH or LABEL=PATH; the one that ships for ROBOT
        by default.
    :param teacher: file of the policy that ``collect --robust`` recorded, teacher.npz, which walks
        under the same conditions but cannot compensate a delay; the shipped one, if there is one,
        by default; ``none`` leaves it out.
    :param only: run the conditions whose names contain one of these words; all by default.
    :param episodes: number of episodes per bundle and condition; their seeds count up from
        FIRST_SEED.
    :param first_seed: seed of the first episode's initial state, pushes, noise and, where it is
        drawn, robot.
    :param processes: episodes at a time; all cores by default.
    :param out: folder of report, summary and picture.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.robustness.robustness_columns import columns_of
    from ...experiments.robustness.robustness_conditions import select
    from ...experiments.robustness.robustness_run import measure_robustness, robustness_table
    from ...robots.robot_folder import make_known

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    conditions = select(only)
    columns = columns_of(None if robot is None else make_known(robot), bundles, teacher, planner)
    with open_pool(processes or os.cpu_count() or 1) as pool:
        facts = measure_robustness(columns, conditions,
                                   range(first_seed, first_seed + episodes), pool=pool,
                                   progress=progress)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.robustness_plot import draw_robustness
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts

    out.mkdir(parents=True, exist_ok=True)
    picture = out / PICTURE_FILE
    with written(picture) as scratch:
        draw_robustness(facts, f'{episodes} episodes under each condition', scratch)
    summary = {'picture': str(picture), 'first_seed': first_seed, 'planner': as_facts(planner),
               'columns': {label: column.facts() for label, column in columns.items()},
               'conditions': facts, 'files': [str(picture)],
               'run': run_facts('robustness', next(iter(columns.values())).robot,
                                planner=as_facts(planner))}
    summary = write_report(out, summary)
    if json:
        report(summary, as_json=True)
    else:
        print_text(robustness_table(facts))
