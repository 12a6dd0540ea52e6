# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner goals``: how near plans bring the robot to a state that is asked for."""

import os
from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ..output import progress, report
from ..preset_option import PresetName
from ..robot_option import simulated_bundle


def goals(
    planner: PlannerConfig,
    preset: PresetName = None,
    bundle: Path | None = None,
    episodes: int = 10,
    first_seed: int = 0,
    processes: int | None = None,
    json: bool = False,
) -> None:
    """
    Fix the last state of plans (inpainting) and measure where their actions lead.

    In every 50th control period of closed-loop episodes a goal is set that the robot can reach:
    where the torques of the plan lead it that are disturbed by noise. Reports the distance from
    it of the state that is reached, with and without the goal, in standard deviations of the data.

    :param planner: how to plan.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param bundle: folder of the model bundle; the shipped one by default.
    :param episodes: number of episodes; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first episode's initial state.
    :param processes: episodes at a time; all cores by default.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.goals.inpainted_goals import measure_goals

    if episodes < 1:
        raise ConfigError(f'episodes is {episodes}, expected at least 1')
    loaded = simulated_bundle(bundle, planner)
    path = loaded.path
    with open_pool(processes or os.cpu_count() or 1) as pool:
        facts = measure_goals(loaded, planner, range(first_seed, first_seed + episodes),
                              pool=pool, progress=progress)
    report({'bundle': str(path), 'bundle_hash': loaded.hash, **facts}, as_json=json)
