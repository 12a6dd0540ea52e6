# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner reach``: how many goals a robot reaches that is sent to them."""

import os
from pathlib import Path

from ...files import written
from ...planning.planner_config import PlannerConfig
from ..output import progress, report
from ..preset_option import PresetName
from ..robot_option import simulated_bundle


def reach(
    planner: PlannerConfig,
    preset: PresetName = None,
    robot: str | None = None,
    bundle: Path | None = None,
    trips: int = 100,
    first_seed: int = 0,
    obstacles: int = 0,
    processes: int | None = None,
    picture: Path | None = None,
    n_drawn: int = 8,
    json: bool = False,
) -> None:
    """
    Send a robot from random starts to random goals by inpainting the end of plans, in closed loop.

    A goal counts as reached if the robot is within the tolerance of its layout at the end of the
    episode. The time is that from which on it stays there.

    :param planner: how to plan.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param robot: name of a robot, or path of its folder; by default the one that BUNDLE names.
    :param bundle: folder of the model bundle; the one that ships for ROBOT by default.
    :param trips: number of starts and goals; their seeds count up from FIRST_SEED.
    :param first_seed: seed of the first start and goal.
    :param obstacles: obstacles in the way of every trip, of which the planner is told after its
        first plans, if its guides hold obstacles; of a robot with a map.
    :param processes: trips at a time; all cores by default.
    :param picture: PNG to draw first plans and paths to.
    :param n_drawn: trips in the picture, the first ones.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.closed_loop import open_pool
    from ...experiments.goals.trip_plot import draw_trips
    from ...experiments.goals.trips import measure_trips

    for name, value in (('trips', trips), ('n_drawn', n_drawn)):
        if value < 1:
            raise ConfigError(f'{name} is {value}, expected at least 1')
    if obstacles < 0:
        raise ConfigError(f'obstacles is {obstacles}, expected at least 0')
    if robot is None and bundle is None:
        raise ConfigError('neither --robot nor --bundle is given, expected one of them')
    loaded = simulated_bundle(bundle, planner, robot)
    with open_pool(processes or os.cpu_count() or 1) as pool:
        facts, found = measure_trips(loaded, planner, range(first_seed, first_seed + trips),
                                     n_obstacles=obstacles, pool=pool, progress=progress)
    if picture is not None:
        with written(picture) as scratch:
            draw_trips(found[:n_drawn], loaded.robot.goal_space,
                       f'{loaded.robot.name}: plans to goals', scratch)
    report({'bundle': str(loaded.path), 'bundle_hash': loaded.hash, **facts}, as_json=json)
