# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A diffusion model, its value and its dynamics model as a training of a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...data.windows import Windows
from ...episode import Episode
from ...learning.learner import CHECKPOINT_FILE
from ...learning.onnx_export import TrainedModel
from ...learning.train_config import TrainConfig
from ...learning.trainer import Trainer
from ...robot import Robot
from ..bundle_export import export_model

BUNDLE_FOLDER = 'bundle'


class DiffusionTraining:
    """
    Train as ``train`` does, and export as ``export`` does without data.

    :param episodes: to learn from.
    :param facts: what is known of the data, for the bundle.
    :param teacher: checkpoint of the model that is distilled; None where there is none.
    :raises DatasetError: if no episode is as long as a window.
    """

    def __init__(self, config: TrainConfig, robot: Robot, episodes: Sequence[Episode],
                 facts: dict[str, Any], teacher: Path | None) -> None:
        windows = Windows.cut(episodes, robot, config.horizon, discount=config.discount,
                              fall_penalty=config.fall_penalty)
        self._trainer = Trainer(config, robot, windows, teacher)
        self._facts = {**facts, 'n_windows': len(windows.starts)}

    @property
    def n_done(self) -> int:
        """Gradient steps so far."""
        return self._trainer.n_updates

    @property
    def n_parameters(self) -> int:
        """Weights of all networks of the bundle."""
        return sum(p.numel() for p in self._trainer.learner.networks.parameters())

    def update(self) -> None:
        """Take one gradient step of every network."""
        self._trainer.update()

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        self._trainer.learner.save(folder / CHECKPOINT_FILE, self._facts)

    def restore(self, folder: Path) -> None:
        """Go on from a checkpoint as if there had been no interruption."""
        self._trainer.resume(folder / CHECKPOINT_FILE)

    def export(self, folder: Path) -> None:
        """
        Write the bundle, without a calibration of the monitor.

        That takes thousands of plans, hours with a slow planner, and nothing here is monitored.
        """
        checkpoint = folder / CHECKPOINT_FILE
        export_model(TrainedModel.load(checkpoint), folder / BUNDLE_FOLDER, (),
                     source=checkpoint)
