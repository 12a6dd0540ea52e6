# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner speeds``: how near a robot keeps to commanded speeds."""

import os
from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ...robots.robot_folder import DEFAULT_ROBOT, make_known
from ...share import shipped_bundle
from ..output import print_text, progress, report
from ..preset_option import PresetName
from ..robot_option import simulated_bundle


def speeds(
    planner: PlannerConfig,
    preset: PresetName = None,
    robot: str | None = None,
    bundle: Path | None = None,
    commanded: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0),
    episodes: int = 10,
    first_seed: int = 0,
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Command speeds and report how fast the robot walks.

    Each speed is commanded from the beginning of its episodes, in process. Reports the mean speed
    over their last 5 s, the largest error of an episode, and falls.

    :param planner: how to plan; guide ``speed`` must be in use, as with --preset commanded.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLE names, or
        walker2d.
    :param bundle: folder of the model bundle; by default models/ROBOT_speeds, which learned from
        data of ``collect --speeds``.
    :param commanded: the speeds [m/s].
    :param episodes: number of episodes for each speed; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state.
    :param processes: episodes at a time; all cores by default.
    :param json: print the report as JSON, not as a table in Markdown.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.markdown import table
    from ...experiments.speeds.speed_following import measure_speeds

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    if bundle is None:
        bundle = shipped_bundle(f'{make_known(robot or DEFAULT_ROBOT)}_speeds')
    loaded = simulated_bundle(bundle, planner, robot)
    with open_pool(processes or os.cpu_count() or 1) as pool:
        rows = measure_speeds(loaded, planner, commanded,
                              range(first_seed, first_seed + episodes), pool=pool,
                              progress=progress)
    if json:
        report({'bundle': str(loaded.path), 'bundle_hash': loaded.hash, 'speeds': rows},
               as_json=True)
        return
    print_text(table(
        ('commanded [m/s]', 'mean of the last 5 s [m/s]', 'largest error [m/s]', 'falls',
         'episodes'),
        [(f'{row["commanded"]:g}', _number(row['speed']), _number(row['largest_error']),
          row['falls'], row['episodes']) for row in rows]))


def _number(value: float | None) -> str:
    return 'all fell' if value is None else f'{value:.2f}'
