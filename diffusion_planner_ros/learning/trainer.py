"""Train a diffusion model of trajectories, its value and a forward model on windows."""

from collections.abc import Callable
import copy
from dataclasses import asdict
import hashlib
import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from ..errors import ConfigError, ModelError
from ..normalizer import Normalizer
from ..robot import Robot
from .config import TrainConfig
from .dataset import Windows
from .diffusion import loss_weight
from .networks import build_diffusion, build_forward_model, build_value

WARMUP_UPDATES = 500
MAX_GRADIENT_NORM = 1.0
CHECKPOINT_FILE = 'checkpoint.pt'
NETWORKS = ('diffusion', 'value', 'forward_model')
STATEFUL = (*NETWORKS, *(f'averaged_{name}' for name in NETWORKS), 'optimizer', 'scheduler')
CHECKPOINT_KEYS = {'config', 'robot', 'facts', 'mean', 'std', 'value_mean', 'value_std',
                   'n_updates', *STATEFUL, 'generator'}


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the model's."""
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - decay)


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


class Trainer:
    """
    Everything that changes while training, and nothing else.

    All randomness after the first weights comes from one CPU generator, which is saved with the
    weights: a run that was interrupted goes on as if it had not been, on a CPU or a GPU.
    """

    def __init__(self, config: TrainConfig, robot: Robot, windows: Windows) -> None:
        self.config = config
        self.robot = robot
        self.device = open_device(config.device)
        torch.set_num_threads(config.n_threads)
        torch.manual_seed(config.seed)
        self.diffusion = build_diffusion(config, robot).to(self.device)
        self.value = build_value(config, robot).to(self.device)
        # Last, so that the other networks start as they would without it.
        self.forward_model = build_forward_model(config, robot).to(self.device)
        self.optimizer = torch.optim.AdamW([
            {'params': self.diffusion.parameters(), 'lr': config.learning_rate,
             'weight_decay': 1e-5},
            {'params': self.value.parameters(), 'lr': config.value_learning_rate,
             'weight_decay': 1e-4},
            {'params': self.forward_model.parameters(), 'lr': config.forward_learning_rate,
             'weight_decay': 1e-4}], fused=True)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.n_updates = 0

        self.normalizer = Normalizer.fit(windows.rows)
        self.value_normalizer = Normalizer.fit(windows.values[:, None])
        self.data_sha256 = hashlib.sha256(
            windows.rows.tobytes() + windows.starts.tobytes()).hexdigest()
        self._rows = self._tensor(self.normalizer.normalize(windows.rows))
        self._values = self._tensor(self.value_normalizer.normalize(windows.values[:, None])[:, 0])
        self._starts = torch.as_tensor(windows.starts)
        self._steps = torch.arange(config.horizon)
        self.forward_model.change_std.copy_(self._change_std())
        for name in NETWORKS:
            setattr(self, f'averaged_{name}', copy.deepcopy(getattr(self, name)))
        row_dim = robot.action_dim + robot.state_dim
        self._weight = loss_weight(config.horizon, row_dim, robot.action_dim,
                                   config.first_action_weight).to(self.device)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=self.device)

    def _change_std(self) -> Tensor:
        """Return the deviation of the change of every normalised state entry, shape (S,)."""
        changes = self._rows[self._starts + 1] - self._rows[self._starts]
        states = changes[:, self.robot.action_dim:].double().cpu().numpy()
        return self._tensor(Normalizer.fit(states).std)

    def _rate(self, update: int) -> float:
        warmup = min(1.0, (update + 1) / WARMUP_UPDATES)
        return warmup * 0.5 * (1.0 + math.cos(math.pi * min(1.0, update / self.config.n_updates)))

    def update(self) -> dict[str, Tensor]:
        """Take one gradient step on a random batch; return the losses."""
        config = self.config
        picked = self._starts[torch.randint(
            len(self._starts), (config.batch_size,), generator=self.generator)]
        rows = (picked[:, None] + self._steps).to(self.device)
        x_0 = self._rows[rows]  # (B, H, D)
        t = torch.randint(config.n_diffusion_steps, (config.batch_size,),
                          generator=self.generator).to(self.device)
        eps = torch.randn(x_0.shape, generator=self.generator).to(self.device)
        x_t = self.diffusion.noised(x_0, t, eps)
        denoising = self.diffusion.loss(x_0, x_t, t, eps, self._weight)
        value_error = self.value(x_t, t) - self._values[rows[:, 0]]
        value = (value_error ** 2).mean()
        # First and last pair of a window: nearly independent, and no end of an episode is missed.
        before, after = x_0[:, [0, -2]].flatten(0, 1), x_0[:, [1, -1]].flatten(0, 1)
        forward = self.forward_model.loss(before, after[:, self.robot.action_dim:])

        self.optimizer.zero_grad()
        (denoising + value + forward).backward()
        # The networks share no weight, so each is clipped on its own.
        for name in NETWORKS:
            nn.utils.clip_grad_norm_(getattr(self, name).parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.scheduler.step()
        # The average forgets its random start quickly, then slowly.
        decay = min(config.ema_decay, (1 + self.n_updates) / (10 + self.n_updates))
        for name in NETWORKS:
            ema_update(getattr(self, f'averaged_{name}'), getattr(self, name), decay)
        self.n_updates += 1
        return {'denoising': denoising.detach(), 'value': value.detach(),
                'forward': forward.detach()}

    def save(self, file: Path, facts: dict[str, Any]) -> None:
        """
        Write a checkpoint from which training goes on and a bundle is exported.

        :param facts: what is known of the data, for the bundle.
        """
        torch.save({
            'config': asdict(self.config), 'robot': self.robot.to_dict(), 'facts': facts,
            'mean': self.normalizer.mean.tolist(), 'std': self.normalizer.std.tolist(),
            'value_mean': float(self.value_normalizer.mean[0]),
            'value_std': float(self.value_normalizer.std[0]),
            'data_sha256': self.data_sha256, 'n_updates': self.n_updates,
            **{name: getattr(self, name).state_dict() for name in STATEFUL},
            'generator': self.generator.get_state()}, file.with_suffix('.tmp'))
        file.with_suffix('.tmp').replace(file)  # a reader never sees half a file

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
        if (saved.get('data_sha256') != self.data_sha256
                or not np.allclose([saved['value_mean'], saved['value_std']], values)):
            raise ModelError(f'{file}: was trained on other data; resume with the same data sets '
                             'or choose another folder')
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
        raise ModelError(f'{file}: no such checkpoint')
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
