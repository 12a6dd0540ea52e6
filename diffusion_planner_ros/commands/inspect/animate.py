# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner animate``: a moving picture of a walk and of what was planned."""

from pathlib import Path

from ..output import report
from ..robot_option import simulated_bundle


def animate(
    bundle: Path | None = None,
    seed: int = 0,
    out: Path = Path('walk.gif'),
    json: bool = False,
) -> None:
    """
    Let the robot walk, in process, and draw one cycle with its planned candidates to a GIF.

    Three plans are shown while they are denoised, with colours by their value and the chosen
    candidate in green; then the robot walks on. Each candidate is drawn with the plans that would
    follow it, as one alone lasts a few hundredths of a second. Needs OpenGL.

    :param bundle: folder of the model bundle; the shipped one by default.
    :param seed: seed of the robot's initial state.
    :param out: GIF to write; its folder must be there.
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError, OutputError
    from ...experiments.plots.animation import animate_apart
    from ...experiments.walk_cycle import record_cycle
    from ...files import written
    from ...planning.planner_config import PlannerConfig

    if out.suffix != '.gif' or not out.parent.is_dir() or out.is_dir():
        raise ConfigError(f'{out}: expected the name of a GIF file, NAME.gif, in a folder that is '
                          'there')
    loaded = simulated_bundle(bundle, PlannerConfig())
    cycle = record_cycle(loaded, seed)
    with written(out) as scratch:
        reason = animate_apart(loaded.robot.name, cycle, scratch)
        if reason is not None:
            raise OutputError(f'{out}: not drawn: {reason}')
    report({'picture': str(out), 'size_mb': out.stat().st_size / 1e6, 'bundle': str(loaded.path),
            'bundle_hash': loaded.hash, 'seed': seed}, as_json=json)
