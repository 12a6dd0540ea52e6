# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Train a diffusion model of trajectories, its value and a dynamics model on windows."""

from collections.abc import Callable, Collection
import copy
from dataclasses import asdict
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..data.windows import Windows
from ..errors import ConfigError, DatasetError, ModelError
from ..normalizer import Normalizer
from ..robot import Robot
from ..schedule import CLEAN
from .advantage import imitation_weights
from .diffusion import Diffusion
from .learner import CHECKPOINT_FILE, Learner, load_checkpoint, WARMUP_UPDATES
from .train_config import TrainConfig

# Settings that a student shares with its teacher.
NETWORK_SETTINGS = ('denoiser', 'width', 'depth', 'value_width', 'value_depth', 'dynamics_width',
                    'dynamics_depth', 'window', 'horizon', 'schedule', 'n_diffusion_steps',
                    'prediction', 'scaling', 'return_share', 'told', 'value_target')
CLEAN_EVERY = 4  # one of so many windows is shown to the value without noise: as it ranks plans


def cosine_rate(n_updates: int) -> Callable[[int], float]:
    """Return the factor on the learning rates: warm-up, then a cosine down to nothing."""
    def rate(update: int) -> float:
        warmup = min(1.0, (update + 1) / WARMUP_UPDATES)
        return warmup * 0.5 * (1.0 + math.cos(math.pi * min(1.0, update / n_updates)))
    return rate


class Trainer:
    """
    A learner and the windows that it learns from.

    :param windows: of the horizon that the configuration says.
    :param teacher: checkpoint of a model of the same shape, trained on the same data. The denoiser
        learns to denoise in one step as that one does in many (consistency distillation).
    :raises ModelError: if the teacher is missing, or of another shape.
    :raises ConfigError: if torch cannot use the device, a network cannot take the horizon, or
        windows are weighted although there is a teacher.
    :raises DatasetError: if the label is the policy's, or the denoiser is to be told commanded
        speeds, and the data do not hold them.
    """

    def __init__(self, config: TrainConfig, robot: Robot, windows: Windows,
                 teacher: Path | None = None) -> None:
        if config.label == 'policy' and windows.policy_torques is None:
            raise DatasetError("label is 'policy', but there are episodes that do not say what "
                               "their policy chose, expected 'executed', or data of collect alone")
        told: NDArray | None = windows.values
        if config.return_share and config.told == 'speed':
            told = windows.commands
        if told is None:
            raise DatasetError("told is 'speed', but there are episodes that do not say which "
                               "speed was commanded, expected 'return', or data of collect "
                               '--speeds alone')
        fit = Normalizer.fit_limits if config.scaling == 'limits' else Normalizer.fit
        self.learner = Learner(
            config, robot, fit(windows.rows), Normalizer.fit(windows.values[:, None]),
            reward_scale=windows.reward_scale, rate=cosine_rate(config.n_updates),
            data_sha256=hashlib.sha256(
                windows.rows.tobytes() + windows.starts.tobytes()).hexdigest())
        learner = self.learner
        self._rows = learner.tensor(learner.normalizer.normalize(windows.rows))
        self._labels = self._rows
        if config.label == 'policy':
            self._labels = learner.tensor(learner.normalizer.normalize(np.concatenate(
                [windows.policy_torques, windows.rows[:, robot.action_dim:]], axis=1)))
        self._values = learner.tensor(
            learner.value_normalizer.normalize(windows.values[:, None])[:, 0])
        # A speed is told in m/s, which needs no scaling.
        self._told = (learner.tensor(told)
                      if config.return_share and config.told == 'speed' else self._values)
        self._starts = torch.as_tensor(windows.starts)
        self._steps = torch.arange(config.horizon)
        for networks in (learner.networks, learner.averaged):
            networks.dynamics_model.change_std.copy_(self._change_std())
            if 'inverse_dynamics' in networks:
                networks.inverse_dynamics.change_std.copy_(self._change_std())
        self._fallen = torch.as_tensor(windows.fallen, device=learner.device)
        self._teacher = None if teacher is None else self._learn_from(teacher)

    def _learn_from(self, file: Path) -> Diffusion:
        """Begin as a teacher is, and return it."""
        if self.learner.config.weighting != 'none':
            raise ConfigError(f"weighting is '{self.learner.config.weighting}', but a student "
                              f"imitates its teacher ({file}), expected 'none'")
        self._check_same(file, saved := load_checkpoint(file), NETWORK_SETTINGS,
                         'learn from a teacher with the same {}, or from data alone')
        if self.learner.config.prediction == 'eps' or self.learner.config.return_share:
            raise ModelError(f"{file}: predicts '{self.learner.config.prediction}' with a "
                             f'return_share of {self.learner.config.return_share}, expected a '
                             "teacher that predicts 'x0' or 'v' and is told no return")
        self.learner.averages.load_state_dict(saved['averages'])
        self.learner.networks.load_state_dict(self.learner.averaged.state_dict())
        return copy.deepcopy(self.learner.averaged.diffusion).eval().requires_grad_(False)

    def _change_std(self) -> Tensor:
        """Return the deviation of the change of every normalised state entry, shape (S,)."""
        changes = self._rows[self._starts + 1] - self._rows[self._starts]
        states = changes[:, self.learner.robot.action_dim:].double().cpu().numpy()
        return self.learner.tensor(Normalizer.fit(states).std)

    @property
    def n_updates(self) -> int:
        """Gradient steps that were taken, those before a resumed checkpoint included."""
        return self.learner.n_updates

    def update(self) -> dict[str, Tensor]:
        """Take one gradient step on a random batch; return the losses."""
        learner = self.learner
        picked = self._starts[torch.randint(
            len(self._starts), (learner.config.batch_size,), generator=learner.generator)]
        rows = (picked[:, None] + self._steps).to(learner.device)
        x_0 = self._rows[rows]  # (B, H, D)
        t, eps = learner.draw_noise(x_0)
        value_t = t.clone()
        value_t[::CLEAN_EVERY] = CLEAN
        values, known = self._values[rows[:, 0]], learner.draw_conditions(x_0)
        losses, weights = {}, None
        if learner.config.value_target == 'expectile':
            ends = rows[:, -1]
            values, losses['state_value'], advantage = learner.improved_values(
                x_0, values, self._values[ends], self._fallen[ends])
            if learner.config.weighting == 'advantage':
                weights = imitation_weights(advantage, learner.config.temperature)
                weights /= weights.mean()
        if self._teacher is None:
            losses['denoising'] = learner.denoising_loss(
                self._labels[rows], t, eps, known, learner.draw_wanted(self._told[rows[:, 0]]),
                weights=weights)
        else:
            losses['denoising'] = learner.consistency_loss(
                self._teacher, self._labels[rows], t, eps, known)
        losses['value'] = learner.value_loss(x_0, value_t, eps, values)
        return learner.descend(losses | learner.dynamics_losses(x_0))

    def resume(self, file: Path) -> None:
        """
        Go on from a checkpoint.

        :raises ModelError: if the checkpoint was made with other settings or another robot.
        """
        saved = load_checkpoint(file)
        free = {'checkpoint_every', 'device', 'n_threads'}
        self._check_same(file, saved, asdict(self.learner.config).keys() - free,
                         'resume with the same {} or choose another folder')
        self.learner.restore(saved)

    def _check_same(self, file: Path, saved: dict[str, Any], settings: Collection[str],
                    remedy: str) -> None:
        """
        Refuse a checkpoint that differs in some settings, in the robot or in the data.

        :param remedy: what to do instead; ``{}`` stands for what has to be the same.
        """
        mine = asdict(self.learner.config)
        # A setting that is newer than the checkpoint had its default.
        for name, value in (asdict(TrainConfig()) | saved['config']).items():
            if name in settings and value != mine[name]:
                raise ModelError(
                    f'{file}: was trained with {name} {value!r}, now {mine[name]!r}; '
                    f'{remedy.format("settings")}')
        if saved['robot'] != self.learner.robot.to_dict():
            raise ModelError(f"{file}: was trained for robot '{saved['robot'].get('name')}', "
                             f"expected '{self.learner.robot.name}' with the same layout; "
                             f'{remedy.format("robot")}')
        # Returns are sums, which another machine may round in another way.
        normalizer = self.learner.value_normalizer
        values = [normalizer.mean[0], normalizer.std[0]]
        if (saved['data_sha256'] != self.learner.data_sha256
                or not np.allclose([saved['value_mean'], saved['value_std']], values)):
            raise ModelError(f'{file}: was trained on other data; '
                             f'{remedy.format("data sets")}')


def train(trainer: Trainer, folder: Path, facts: dict[str, Any], *,
          on_update: Callable[[int, dict[str, Tensor]], None]) -> Path:
    """
    Train to the end, saving ``folder/checkpoint.pt`` at intervals.

    :param facts: what is known of the data, for the bundle.
    :param on_update: called with the update's number and its losses; if it raises
        KeyboardInterrupt, the checkpoint is saved as well.
    :return: the checkpoint.
    :raises OutputError: if it cannot be written.
    """
    file, config = folder / CHECKPOINT_FILE, trainer.learner.config
    while trainer.n_updates < config.n_updates:
        losses = trainer.update()
        try:
            on_update(trainer.n_updates, losses)
        except KeyboardInterrupt:
            trainer.learner.save(file, facts)
            raise
        if (trainer.n_updates % config.checkpoint_every == 0
                or trainer.n_updates == config.n_updates):
            trainer.learner.save(file, facts)
    return file
