# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner compounding``: errors over the horizon, whole trajectories and steps."""

from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ..output import progress
from ..robot_option import simulated_bundle
from .figure_files import check_folder, write_figure


def compounding(
    data: tuple[Path, ...],
    planner: PlannerConfig,
    bundle: Path | None = None,
    n_windows: int = 300,
    n_plans: int = 6,
    seed: int = 0,
    out: Path = Path('figures'),
    json: bool = False,
) -> None:
    """
    Compare how errors grow in whole trajectories and step by step, and draw it.

    Plans from recorded states, each plan from the last state of the one before. The plans' actions
    are executed in the simulator, open loop, and put into the dynamics model, step by step: the
    errors of planned and forecast states are shown for every control period ahead. A model that
    learned with a condition_share is also asked for the states that recorded actions lead to.
    Prints a table in Markdown; writes OUT/compounding.json and OUT/compounding.png.

    :param data: data sets of the training; states to plan from are drawn from them.
    :param planner: how to plan.
    :param bundle: folder of the model bundle; the shipped one by default.
    :param n_windows: states to plan from.
    :param n_plans: plans that follow each other.
    :param seed: seed of what is drawn from the data.
    :param out: folder to write to.
    :param json: print the report as JSON.
    """
    import numpy as np

    from ...data.formats import read_episodes
    from ...errors import ConfigError
    from ...experiments.diagnosis.recorded_windows import draw_windows
    from ...experiments.figures.errors_by_row import measure_row_errors, row_facts, row_table
    from ...planning.planner import Planner

    check_folder(out)
    for name, value in (('n_windows', n_windows), ('n_plans', n_plans)):
        if value < 1:
            raise ConfigError(f'{name} is {value}, expected at least 1')
    loaded = simulated_bundle(bundle, planner)
    path = loaded.path
    robot = loaded.robot
    recorded = [e for file in data for e in read_episodes(file, robot, needs_rewards=False)]
    windows = draw_windows(recorded, robot, loaded.horizon, n_windows=n_windows,
                           rng=np.random.default_rng(seed))
    found = measure_row_errors(windows, Planner(loaded, planner), n_plans, progress=progress)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.figures.errors_plot import draw_row_errors

    facts = row_facts(found)
    title = f'Errors of predicted states: {"/".join(path.parts[-2:])}'
    write_figure(out, 'compounding', {
        'bundle': str(path), 'bundle_hash': loaded.hash, 'horizon': loaded.horizon,
        'n_plans': n_plans, 'seed': seed, 'actions': facts},
        lambda file: draw_row_errors(found, loaded.horizon, robot.control_period, title, file),
        table=row_table(facts, loaded.horizon), as_json=json)
