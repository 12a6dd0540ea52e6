# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner compare``: methods and policies, trained on the same data, side by side."""

import os
from pathlib import Path

from ...files import written
from ...robots.robot_folder import DEFAULT_ROBOT, make_known
from ..interrupted import leaving, SAME_COMMAND
from ..output import print_text, progress, report

RESULT_FILES = {'table': 'comparison.md', 'picture': 'comparison.png'}


def compare(
    methods: tuple[str, ...] | None = None,
    data: tuple[Path, ...] = (Path('data/walker2d/medium-v0'),
                              Path('data/walker2d/medium-replay-v0'),
                              Path('data/walker2d/medium-expert-v0')),
    robot: str = DEFAULT_ROBOT,
    minutes: float = 20.0,
    seeds: tuple[int, ...] = (0,),
    episodes: int = 50,
    first_seed: int = 2000,
    evaluation_minutes: float = 5.0,
    processes: int | None = None,
    out: Path = Path('runs/compare'),
    json: bool = False,
) -> None:
    """
    Train methods on the same data with the same budget, and evaluate them on the same seeds.

    Prints a table in Markdown; writes OUT/comparison.md, OUT/comparison.png, OUT/report.html and
    OUT/summary.json. What is done already in OUT is only read, and a training that was
    interrupted goes on. A cell that fails is shown as failed, with the reason.

    :param methods: presets (``walker``), presets with other settings of training or planning
        (``walker:n_candidates=16,horizon=16``; values of a list are joined by ``+``;
        ``train.temperature`` or ``planner.temperature``, as both have one), and baselines:
        ``behaviour`` is the data themselves, ``bc`` behaviour cloning; ``cql``, ``awac``, ``iql``
        and ``td3-bc`` need the library d3rlpy. By default all but the presets that need data or a
        robot of their own, as ``commanded`` and ``maze`` do.
    :param data: folders of Minari data sets or HDF5 files in D4RL's layout, one column each.
    :param robot: name of a robot, or path of its folder.
    :param minutes: training time of every cell: of one method on one data set with one seed [min
        on one core].
    :param seeds: seeds of the trainings; with several, means and standard errors are over them.
    :param episodes: episodes under every condition; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode.
    :param evaluation_minutes: limit of every condition [min on one core]: as many episodes are
        run as fit, but one in any case; the table says how many.
    :param processes: cells at a time, each on one core; all cores by default.
    :param out: folder of everything that comes of it.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.comparison.cell_model import DataSet
    from ...experiments.comparison.comparison_run import cells_of, run_comparison
    from ...experiments.comparison.comparison_table import comparison_table, figures_of
    from ...experiments.comparison.evaluation import Evaluation
    from ...experiments.comparison.method import every_method, parse_methods

    chosen = parse_methods(every_method() if methods is None else methods)
    evaluation = Evaluation(episodes, first_seed, evaluation_minutes)
    if not 0.0 < minutes < float('inf'):
        raise ConfigError(f'minutes is {minutes}, expected a finite number above 0')
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f'seeds is {seeds}, expected at least one, none below 0 and none twice')
    if not data or len({path.name for path in data}) < len(data):
        raise ConfigError(f'data is {", ".join(map(str, data)) or "empty"}, expected at least one '
                          'data set and names that differ')
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')
    name = make_known(robot)
    # The libraries that cells use are imported by their processes: one core is one thread.
    os.environ['OMP_NUM_THREADS'] = '1'
    cells = cells_of(chosen, [DataSet.at(path, name) for path in data], seeds, minutes=minutes,
                     evaluation=evaluation)
    with leaving(SAME_COMMAND):
        facts = run_comparison(cells, out, n_processes=processes or os.cpu_count() or 1,
                               progress=progress)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.comparison_plot import draw_comparison

    files = {what: out / file for what, file in RESULT_FILES.items()}
    out.mkdir(parents=True, exist_ok=True)
    with written(files['table']) as scratch:
        scratch.write_text(comparison_table(facts) + '\n')
    with written(files['picture']) as scratch:
        draw_comparison(facts, f'{minutes:g} minutes of training on one core, up to {episodes} '
                        'episodes', scratch)
    from ...experiments.reports.report_page import write_report
    from ...experiments.reports.run_facts import run_facts

    named = {what: str(file) for what, file in files.items()}
    summary = write_report(out, {
        **named, 'cells': facts, 'results': figures_of(facts), 'files': list(named.values()),
        'run': run_facts('compare', name, comparison={
            'minutes': minutes, 'seeds': seeds, 'episodes': episodes, 'first_seed': first_seed,
            'evaluation_minutes': evaluation_minutes})})
    if json:
        report(summary, as_json=True)
    else:
        print_text(comparison_table(facts))
