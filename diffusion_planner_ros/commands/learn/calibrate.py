# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner calibrate``: tell a bundle's monitor what errors are normal."""

from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ..output import report
from ..preset_option import PresetName


def calibrate(
    planner: PlannerConfig,
    data: tuple[Path, ...],
    bundle: Path = Path('models/walker2d'),
    preset: PresetName = None,
    json: bool = False,
) -> None:
    """
    Measure how well a bundle predicts recorded states, and write it into the bundle.

    The planner's monitor warns and stops where the robot differs more from the predictions than
    the recorded data do. ``export --data`` measures this as well; do it again with recordings of
    the robot itself, or with others that are nearer to how it is to move. Both predictions are
    measured: of the dynamics model, which the monitor uses where a bundle has one, and of plans.

    :param planner: settings of the plans; without effect on the dynamics model.
    :param data: data sets, such as those of the training; at least one.
    :param bundle: folder of the model bundle; its model.yaml is replaced.
    :param preset: published method, whose settings become the defaults of the options
        --planner.*; see docs/how_to/compare.md.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...data.windows import Windows
    from ...errors import DatasetError
    from ...experiments.monitor_calibration import calibrate as measure
    from ...experiments.monitor_calibration import summary
    from ...planning.bundle import Bundle, write_calibration

    if not data:
        raise DatasetError('--data names no data set, expected at least one')
    loaded = Bundle.load(bundle, provider=planner.provider, n_threads=planner.n_threads)
    episodes = [e for path in data
                for e in read_episodes(path, loaded.robot, needs_rewards=False)]
    # Values are not used: a state and the next one are all it takes.
    windows = Windows.cut(episodes, loaded.robot, 2, discount=0.0, fall_penalty=0.0)
    facts = measure(loaded, windows, planner)
    write_calibration(bundle, facts)
    report({'bundle': str(bundle), 'hash': Bundle.load(bundle).hash,
            'prediction_error': summary(facts)}, as_json=json)
