# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What training and alignment share: networks, optimiser, averages, checkpoints."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from ..errors import ConfigError, ModelError
from ..files import written
from ..normalizer import Normalizer
from ..robot import Robot
from ..schedule import CLEAN
from .diffusion import Diffusion, loss_weight
from .networks.builders import build_networks
from .networks.model_networks import ModelNetworks
from .objectives.consistency import consistency_target
from .objectives.expectile import bootstrapped_returns, expectile_loss
from .random_conditions import first_states, random_conditions
from .train_config import TrainConfig

WARMUP_UPDATES = 500
MAX_GRADIENT_NORM = 1.0
CHECKPOINT_FILE = 'checkpoint.pt'
STATEFUL = ('networks', 'averages', 'optimizer', 'scheduler')
CHECKPOINT_KEYS = {'config', 'robot', 'facts', 'mean', 'std', 'value_mean', 'value_std',
                   'reward_scale', 'data_sha256', 'n_updates', *STATEFUL, 'generator'}


class Averages(AveragedModel):
    """Averages of a model's weights over the updates."""

    module: ModelNetworks


def averages_of(networks: ModelNetworks, decay: Callable[[], float]) -> Averages:
    """
    Return exponential averages of the weights, which begin as the weights are now.

    :param decay: called at every update, for the share of the average that stays.
    """
    def move(averaged: Sequence[Tensor], current: Sequence[Tensor],
             n_averaged: Tensor | int) -> None:
        del n_averaged
        for slow, fast in zip(averaged, current, strict=True):
            slow.lerp_(fast, 1.0 - decay())

    averages = Averages(networks, multi_avg_fn=move)
    averages.update_parameters(networks)  # torch copies the first weights instead of averaging
    return averages


def open_device(name: str) -> torch.device:
    """
    Return a torch device that works.

    :raises ConfigError: if there is no such device on this machine.
    """
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device is '{name}', which torch cannot use here ({reason}); expected "
                          "'cpu', or 'cuda' with a CUDA build of torch and a GPU") from error


class Learner:
    """
    Networks of a model, their averages, and one optimiser for all.

    All randomness after the first weights comes from one CPU generator, which is saved with the
    weights: a run that was interrupted goes on as if it had not been, on a CPU or a GPU.

    :param normalizer: of rows ``[a | s]``.
    :param value_normalizer: of the return-to-go.
    :param reward_scale: root mean square of the rewards that were learned from.
    :param data_sha256: identifies the data that are learned from.
    :param rate: factor on the learning rates, by the number of updates so far.
    :raises ConfigError: if torch cannot use the device.
    """

    def __init__(self, config: TrainConfig, robot: Robot, normalizer: Normalizer,
                 value_normalizer: Normalizer, *, reward_scale: float, data_sha256: str,
                 rate: Callable[[int], float]) -> None:
        self.config = config
        self.robot = robot
        self.normalizer = normalizer
        self.value_normalizer = value_normalizer
        self.reward_scale = reward_scale
        self.data_sha256 = data_sha256
        self.n_updates = 0
        self.device = open_device(config.device)
        torch.set_num_threads(config.n_threads)
        torch.manual_seed(config.seed)
        self.networks = build_networks(config, robot).to(self.device)
        self.averages = averages_of(self.networks, self._decay)
        rates = {'diffusion': config.learning_rate, 'value': config.value_learning_rate,
                 'dynamics_model': config.dynamics_learning_rate,
                 'inverse_dynamics': config.dynamics_learning_rate,
                 'state_value': config.value_learning_rate}
        self.optimizer = torch.optim.AdamW([
            {'params': network.parameters(), 'lr': rates[name],
             'weight_decay': 1e-5 if name == 'diffusion' else 1e-4}
            for name, network in self.networks.items()], fused=True)
        self.scheduler = LambdaLR(self.optimizer, rate)
        self.generator = torch.Generator().manual_seed(config.seed)
        self._goal_entries = None if robot.goal is None else torch.as_tensor(robot.goal.fixed)
        row_dim = robot.action_dim + robot.state_dim
        self._weight = loss_weight(config.horizon, row_dim, robot.action_dim,
                                   config.first_action_weight).to(self.device)

    @property
    def averaged(self) -> ModelNetworks:
        """The networks with their averaged weights, which are the ones to be exported."""
        return self.averages.module

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array in single precision on the device."""
        return torch.as_tensor(array, dtype=torch.float32, device=self.device)

    def _decay(self) -> float:
        # The average forgets its random start quickly, then slowly.
        return min(self.config.ema_decay, (1 + self.n_updates) / (10 + self.n_updates))

    def draw_noise(self, x_0: Tensor) -> tuple[Tensor, Tensor]:
        """Draw diffusion times 0 to T - 1 (B,) and noise (B, H, D) for windows (B, H, D)."""
        t = torch.randint(self.config.n_diffusion_steps, (len(x_0),),
                          generator=self.generator).to(self.device)
        return t, torch.randn(x_0.shape, generator=self.generator).to(self.device)

    def draw_conditions(self, x_0: Tensor) -> Tensor:
        """Draw what is known of windows (B, H, D) beforehand, true where it is, (B, H, D)."""
        return random_conditions(x_0, self.robot.action_dim, self.config.condition_share,
                                 self.generator, self._goal_entries)

    def draw_wanted(self, told: Tensor) -> Tensor | None:
        """
        Draw in which windows the denoiser is told what followed, or was commanded.

        :param told: normalised return-to-go of windows, or commanded speeds [m/s], shape (B,).
        :return: NaN where it is not told, shape (B,); None for a model that never is.
        """
        share = self.config.return_share
        if not share:
            return None
        is_told = torch.rand(told.shape, generator=self.generator).to(self.device) < share
        return torch.where(is_told, told, torch.nan)

    def denoising_loss(self, x_0: Tensor, t: Tensor, eps: Tensor, known: Tensor,
                       wanted: Tensor | None = None, *, weights: Tensor | None = None,
                       averaged: bool = False) -> Tensor:
        """
        Loss of the denoiser on windows, see ``Diffusion.loss``.

        :param x_0: normalised, shape (B, H, D).
        :param t: diffusion times, 0 to T - 1, shape (B,).
        :param eps: noise, shape (B, H, D).
        :param known: what is known beforehand, see ``draw_conditions``.
        :param wanted: returns that the denoiser is told, see ``draw_wanted``.
        :param weights: of the windows, shape (B,); None for all alike.
        :param averaged: whether of the averaged weights.
        """
        networks = self.averaged if averaged else self.networks
        weight = self._weight if weights is None else weights[:, None, None] * self._weight
        return networks.diffusion.loss(x_0, t, eps, known, weight, wanted)

    def consistency_loss(self, teacher: Diffusion, x_0: Tensor, t: Tensor, eps: Tensor,
                         known: Tensor) -> Tensor:
        """
        Loss of a denoiser that learns to denoise in one step from another one.

        :param teacher: a ``Diffusion``.
        :param x_0: normalised, shape (B, H, D).
        :param t: diffusion times, 0 to T - 1, shape (B,).
        :param eps: noise, shape (B, H, D).
        :param known: what is known beforehand, see ``draw_conditions``.
        """
        diffusion = self.networks.diffusion
        x_t = diffusion.noised(x_0, t, eps, known)
        target = consistency_target(teacher, self.averaged.diffusion, x_t, t, known)
        return diffusion.weighted_error(diffusion(x_t, t, known), target, known, self._weight)

    def value_loss(self, x_0: Tensor, t: Tensor, eps: Tensor, values: Tensor) -> Tensor:
        """
        Mean squared error of the value of windows that are noised but for the first state.

        :param x_0: normalised, shape (B, H, D).
        :param t: diffusion times, ``CLEAN`` to T - 1, shape (B,).
        :param eps: noise, shape (B, H, D).
        :param values: normalised return-to-go of their first rows, shape (B,).
        """
        known = first_states(x_0, self.robot.action_dim)
        x_t = self.networks.diffusion.noised(x_0, t, eps, known)
        return ((self.networks.value(x_t, t) - values) ** 2).mean()

    def improved_values(self, x_0: Tensor, values: Tensor, end_values: Tensor, fallen: Tensor
                        ) -> tuple[Tensor, Tensor, Tensor]:
        """
        Return what the value learns in place of recorded returns, and how good windows are.

        :param x_0: normalised windows, shape (B, H, D).
        :param values: normalised return-to-go of their first rows, shape (B,).
        :param end_values: that of their last rows, shape (B,).
        :param fallen: whether the robot has fallen in the last row, shape (B,).
        :return: normalised values (B,), the loss of the state value, and the normalised advantage
            of the windows over what can follow their first state (B,).
        """
        config, states = self.config, x_0[:, :, self.robot.action_dim:]
        clean = torch.full(values.shape, CLEAN, device=self.device)
        with torch.no_grad():
            expected = self.averaged.state_value(states[:, -1:], clean)
            achieved = self.averaged.value(x_0, clean)
        advantage = achieved - self.networks.state_value(states[:, :1], clean)
        return (bootstrapped_returns(values, end_values, expected, fallen,
                                     config.discount ** (config.horizon - 1)),
                expectile_loss(advantage, config.expectile), advantage.detach())

    def dynamics_losses(self, x_0: Tensor) -> dict[str, Tensor]:
        """Losses of the dynamics model and the inverse dynamics, if any, on windows (B, H, D)."""
        # First and last pair of a window: nearly independent, and no end of an episode is missed.
        before, after = x_0[:, [0, -2]].flatten(0, 1), x_0[:, [1, -1]].flatten(0, 1)
        n_action = self.robot.action_dim
        next_state = after[:, n_action:]
        losses = {'dynamics': self.networks.dynamics_model.loss(before, next_state)}
        if 'inverse_dynamics' in self.networks:
            losses['inverse_dynamics'] = self.networks.inverse_dynamics.loss(
                before[:, n_action:], next_state, before[:, :n_action])
        return losses

    def descend(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take one gradient step on the sum of losses; return them detached."""
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        # The networks share no weight, so each is clipped on its own.
        for network in self.networks.values():
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.scheduler.step()
        self.averages.update_parameters(self.networks)
        self.n_updates += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def save(self, file: Path, facts: dict[str, Any]) -> None:
        """
        Write a checkpoint from which learning goes on and a bundle is exported.

        :param facts: what is known of the data, for the bundle.
        :raises OutputError: if it cannot be written; a checkpoint that was there stays.
        """
        content = BytesIO()  # torch would turn a full disk into an error of its own
        torch.save({
            'config': asdict(self.config), 'robot': self.robot.to_dict(), 'facts': facts,
            'mean': self.normalizer.mean.tolist(), 'std': self.normalizer.std.tolist(),
            'value_mean': float(self.value_normalizer.mean[0]),
            'value_std': float(self.value_normalizer.std[0]), 'reward_scale': self.reward_scale,
            'data_sha256': self.data_sha256, 'n_updates': self.n_updates,
            **{name: getattr(self, name).state_dict() for name in STATEFUL},
            'generator': self.generator.get_state()}, content)
        with written(file) as scratch:
            scratch.write_bytes(content.getbuffer())

    def restore(self, saved: dict[str, Any]) -> None:
        """
        Take everything that changes while learning from a checkpoint.

        :param saved: as ``load_checkpoint`` returns it.
        """
        for name in STATEFUL:
            getattr(self, name).load_state_dict(saved[name])
        self.generator.set_state(saved['generator'])
        self.n_updates = saved['n_updates']


def load_checkpoint(file: Path) -> dict[str, Any]:
    """
    Read a checkpoint onto the CPU.

    :raises ModelError: if it is missing or not a checkpoint.
    """
    if not file.is_file():
        raise ModelError(f'{file}: no such checkpoint, expected a file that train wrote')
    try:
        saved = torch.load(file, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, KeyError, ValueError, OSError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f'{file}: not a checkpoint of this program ({reason})') from error
    missing = CHECKPOINT_KEYS - set(saved if isinstance(saved, dict) else ())
    if missing:
        raise ModelError(f'{file}: not a checkpoint of this version of the program (no '
                         f'{min(missing)!r} in it); train again')
    return saved
