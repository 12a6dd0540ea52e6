# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner export``: a checkpoint becomes a model bundle."""

from pathlib import Path

from ...planning.planner_config import PlannerConfig
from ..output import report
from ..preset_option import PresetName

DEFAULT = PlannerConfig()


def export(
    checkpoint: Path = Path('runs/walker2d/checkpoint.pt'),
    out: Path = Path('models/walker2d'),
    data: tuple[Path, ...] | None = None,
    preset: PresetName = None,
    planner: PlannerConfig = DEFAULT,
    half: bool = False,
    json: bool = False,
) -> None:
    """
    Export a checkpoint as a model bundle; refused if onnxruntime and torch disagree.

    :param checkpoint: file that ``train`` wrote.
    :param out: folder of the bundle; a bundle that is already there is replaced.
    :param data: the data sets of the training; with them the bundle says how well the model
        predicts, which the planner's monitor compares with. Without them the monitor is off.
    :param preset: published method; its planning settings are stored in the bundle, as the
        defaults of whoever plans with it. See docs/how_to/compare.md. Without it they are the
        planner's own.
    :param planner: settings of the plans whose predictions are measured.
    :param half: round weights to half precision: files of half the size, plans as fast; evaluate
        what comes out, since some models bear it and others fall more often.
    :param json: print the report as JSON.
    """
    from ...data.formats import read_episodes
    from ...experiments.bundle_export import export_model
    from ...learning.onnx_export import TrainedModel

    model = TrainedModel.load(checkpoint)
    model = model.rounded() if half else model
    episodes = [e for path in data or ()
                for e in read_episodes(path, model.robot, needs_rewards=False)]
    report(export_model(model, out, episodes, source=checkpoint, preset=preset or '',
                        planner=planner), as_json=json)
