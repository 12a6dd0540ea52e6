# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner gaits``: a diffusion model keeps two gaits, a Gaussian averages them."""

from pathlib import Path

from ..output import progress
from .figure_files import check_folder, write_figure

FAR = 1_000_000  # from the seeds of what is recorded to those of what is drawn


def gaits(
    policy: Path | None = None,
    n_episodes: int = 200,
    n_updates: int = 6000,
    seed: int = 0,
    out: Path = Path('figures'),
    json: bool = False,
) -> None:
    """
    Learn from two gaits with a diffusion model and with a Gaussian, and draw what comes of it.

    Records the beginning of walks of a policy and of its mirror image, which leads with the other
    leg, on Walker2D. Both models learn from the same windows. Then trajectories are drawn from
    standing, where nothing says which gait it is to be. Prints a table in Markdown; writes
    OUT/gaits.json and OUT/gaits.png.

    :param policy: file of a policy that ``collect --robust`` recorded, teacher.npz; the shipped
        one by default.
    :param n_episodes: walks of each gait.
    :param n_updates: gradient steps of each model.
    :param seed: seed of the first walk's initial state, and of what is learned.
    :param out: folder to write to.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.figures.two_gaits import (
        draw_gaits,
        gaits_facts,
        gaits_table,
        learn_gaits,
        record_gaits,
    )
    from ...robot import Robot
    from ...share import share_file
    from ...sim.behaviour.gaussian_policy import GaussianPolicy

    check_folder(out)
    for name, value in (('n_episodes', n_episodes), ('n_updates', n_updates)):
        if value < 1:
            raise ConfigError(f'{name} is {value}, expected at least 1')
    file = policy or share_file('models/walker2d-teacher.npz')
    robot, walking = Robot.load('walker2d'), GaussianPolicy.load(file)
    episodes = record_gaits(walking, robot, n_episodes=n_episodes, seed=seed)
    models = learn_gaits(episodes, robot, n_updates=n_updates, seed=seed, progress=progress)
    found = draw_gaits(models, first_seed=seed + FAR)
    # Only now: who asks for help or errs needs no matplotlib.
    from ...experiments.plots.figures import gaits_plot

    facts = gaits_facts(found, robot)
    write_figure(out, 'gaits', {
        'policy': str(file), 'n_episodes': n_episodes, 'n_updates': n_updates, 'seed': seed,
        **facts},
        lambda picture: gaits_plot.draw_gaits(found, robot, 'Two gaits in the data', picture),
        table=gaits_table(facts), as_json=json)
