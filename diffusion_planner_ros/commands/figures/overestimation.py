# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner overestimation``: predicted against achieved returns."""

import os
from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ..output import progress
from ..robot_option import simulated_bundle
from .figure_files import check_folder, write_figure


def overestimation(
    planner: PlannerConfig,
    bundle: Path | None = None,
    episodes: int = 10,
    first_seed: int = 0,
    processes: int | None = None,
    out: Path = Path('figures'),
    json: bool = False,
) -> None:
    """
    Compare the returns that plans predict with those that are achieved, and draw it.

    Runs episodes on the robot as it is and on robots drawn anew, as ``collect --robust`` draws
    them. Every 10th plan's predicted return is compared with the discounted return that followed;
    discount and cost of a fall are those of the training. Prints a table in Markdown; writes
    OUT/overestimation.json and OUT/overestimation.png.

    :param planner: how to plan.
    :param bundle: folder of the model bundle; the shipped one by default.
    :param episodes: number of episodes on either; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state and robot.
    :param processes: episodes at a time; all cores by default.
    :param out: folder to write to.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.figures.predicted_returns import (
        measure_returns,
        returns_facts,
        returns_table,
    )

    check_folder(out)
    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    loaded = simulated_bundle(bundle, planner)
    path = loaded.path
    with open_pool(processes or os.cpu_count() or 1) as pool:
        found = measure_returns(loaded, planner, range(first_seed, first_seed + episodes),
                                pool=pool, progress=progress)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.figures.returns_plot import draw_returns

    facts = returns_facts(found)
    title = f'Predicted and achieved returns: {"/".join(path.parts[-2:])}'
    write_figure(out, 'overestimation', {'bundle': str(path), 'bundle_hash': loaded.hash,
                                         'first_seed': first_seed, 'robots': facts},
                 lambda file: draw_returns(found, title, file),
                 table=returns_table(facts), as_json=json)
