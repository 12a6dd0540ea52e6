"""Train a diffusion model of trajectories, its value and a dynamics model on windows."""

from collections.abc import Callable
from dataclasses import asdict
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.dataset import Windows
from ..errors import ModelError
from ..normalizer import Normalizer
from ..robot import Robot
from .learner import CHECKPOINT_FILE, Learner, load_checkpoint
from .train_config import TrainConfig


class Trainer(Learner):
    """A learner and the windows that it learns from."""

    def __init__(self, config: TrainConfig, robot: Robot, windows: Windows) -> None:
        super().__init__(config, robot, Normalizer.fit(windows.rows),
                         Normalizer.fit(windows.values[:, None]))
        self.data_sha256 = hashlib.sha256(
            windows.rows.tobytes() + windows.starts.tobytes()).hexdigest()
        self._rows = self._tensor(self.normalizer.normalize(windows.rows))
        self._values = self._tensor(self.value_normalizer.normalize(windows.values[:, None])[:, 0])
        self._starts = torch.as_tensor(windows.starts)
        self._steps = torch.arange(config.horizon)
        for model in (self.dynamics_model, self.averaged_dynamics_model):
            model.change_std.copy_(self._change_std())

    def _change_std(self) -> Tensor:
        """Return the deviation of the change of every normalised state entry, shape (S,)."""
        changes = self._rows[self._starts + 1] - self._rows[self._starts]
        states = changes[:, self.robot.action_dim:].double().cpu().numpy()
        return self._tensor(Normalizer.fit(states).std)

    def update(self) -> dict[str, Tensor]:
        """Take one gradient step on a random batch; return the losses."""
        picked = self._starts[torch.randint(
            len(self._starts), (self.config.batch_size,), generator=self.generator)]
        rows = (picked[:, None] + self._steps).to(self.device)
        x_0 = self._rows[rows]  # (B, H, D)
        x_t, t, eps = self.noised(x_0)
        return self.descend({'denoising': self.denoising_loss(x_0, x_t, t, eps),
                             'value': self.value_loss(x_t, t, self._values[rows[:, 0]]),
                             'forward': self.dynamics_loss(x_0)})

    def resume(self, file: Path) -> None:
        """
        Go on from a checkpoint.

        :raises ModelError: if the checkpoint was made with other settings or another robot.
        """
        saved = load_checkpoint(file)
        mine = asdict(self.config)
        free = ('checkpoint_every', 'device', 'n_threads')
        for name, value in saved['config'].items():
            if name not in free and value != mine.get(name):
                raise ModelError(
                    f'{file}: was trained with {name} {value!r}, now {mine.get(name)!r}; resume '
                    'with the same settings or choose another folder')
        if saved['robot'] != self.robot.to_dict():
            raise ModelError(f"{file}: was trained for another robot than '{self.robot.name}'")
        # Returns are sums, which another machine may round in another way.
        values = [self.value_normalizer.mean[0], self.value_normalizer.std[0]]
        if (saved['data_sha256'] != self.data_sha256
                or not np.allclose([saved['value_mean'], saved['value_std']], values)):
            raise ModelError(f'{file}: was trained on other data; resume with the same data sets '
                             'or choose another folder')
        self.restore(saved)


def train(trainer: Trainer, folder: Path, facts: dict[str, Any], *,
          on_update: Callable[[int, dict[str, Tensor]], None]) -> Path:
    """
    Train to the end, saving ``folder/checkpoint.pt`` at intervals.

    :param on_update: called with the update's number and its losses.
    :return: the checkpoint.
    """
    file = folder / CHECKPOINT_FILE
    while trainer.n_updates < trainer.config.n_updates:
        losses = trainer.update()
        on_update(trainer.n_updates, losses)
        if (trainer.n_updates % trainer.config.checkpoint_every == 0
                or trainer.n_updates == trainer.config.n_updates):
            trainer.save(file, facts)
    return file
