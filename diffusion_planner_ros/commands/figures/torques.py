# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner torques``: planned torques against those of inverse dynamics."""

import os
from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ..output import progress
from ..robot_option import simulated_bundle
from .figure_files import check_folder, write_figure


def torques(
    data: tuple[Path, ...],
    planner: PlannerConfig,
    bundle: Path | None = None,
    n_updates: int = 4000,
    episodes: int = 10,
    first_seed: int = 0,
    processes: int | None = None,
    out: Path = Path('figures'),
    json: bool = False,
) -> None:
    """
    Compare planned torques with those of inverse dynamics: jumps and returns, and draw it.

    A small network learns from the data which torque leads from one state to the next. The robot
    walks with the first torque of every plan, and again with the torque that this network puts
    between the plan's first two states. Prints a table in Markdown; writes OUT/torques.json and
    OUT/torques.png.

    :param data: data sets of the training, which the inverse dynamics is learned from.
    :param planner: how to plan.
    :param bundle: folder of the model bundle; the shipped one by default.
    :param n_updates: gradient steps of the inverse dynamics.
    :param episodes: number of episodes with either; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state, and of what is learned.
    :param processes: episodes at a time; all cores by default.
    :param out: folder to write to.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.figures.learned_inverse import learn_inverse
    from ...experiments.figures.torque_jumps import (
        all_jumps,
        check_joint,
        measure_torques,
        torques_facts,
        torques_table,
    )

    check_folder(out)
    for name, value in (('episodes', episodes), ('n_updates', n_updates)):
        if value < 1:
            raise ConfigError(f'{name} is {value}, expected at least 1')
    loaded = simulated_bundle(bundle, planner)
    path = loaded.path
    check_joint(loaded)
    robot = loaded.robot
    recorded = [e for file in data for e in read_episodes(file, robot, needs_rewards=False)]
    inverse = learn_inverse(recorded, robot, loaded.normalizer, n_updates=n_updates,
                            seed=first_seed, progress=progress)
    with open_pool(processes or os.cpu_count() or 1) as pool:
        found = measure_torques(loaded, planner, inverse, range(first_seed, first_seed + episodes),
                                pool=pool, progress=progress)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.figures.torques_plot import draw_torques

    jumps = all_jumps(found, recorded, robot)
    facts = torques_facts(found, jumps, inverse)
    title = f'Planned torques and inverse dynamics: {"/".join(path.parts[-2:])}'
    write_figure(out, 'torques', {'bundle': str(path), 'bundle_hash': loaded.hash, **facts},
                 lambda file: draw_torques(found, jumps, robot, title, file),
                 table=torques_table(facts), as_json=json)
