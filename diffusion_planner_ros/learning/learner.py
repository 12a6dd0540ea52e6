"""What training and alignment share: networks, optimiser, averages, checkpoints."""

import copy
from dataclasses import asdict
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
from .diffusion import loss_weight
from .networks.registry import build_diffusion, build_dynamics_model, build_value
from .train_config import TrainConfig

WARMUP_UPDATES = 500
MAX_GRADIENT_NORM = 1.0
CHECKPOINT_FILE = 'checkpoint.pt'
NETWORKS = ('diffusion', 'value', 'dynamics_model')
STATEFUL = (*NETWORKS, *(f'averaged_{name}' for name in NETWORKS), 'optimizer', 'scheduler')
CHECKPOINT_KEYS = {'config', 'robot', 'facts', 'mean', 'std', 'value_mean', 'value_std',
                   'data_sha256', 'n_updates', *STATEFUL, 'generator'}


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


class Learner:
    """
    Networks of a model, their averages, and one optimiser for all.

    All randomness after the first weights comes from one CPU generator, which is saved with the
    weights: a run that was interrupted goes on as if it had not been, on a CPU or a GPU.
    """

    data_sha256: str
    """Identifies the data that are learned from."""

    def __init__(self, config: TrainConfig, robot: Robot, normalizer: Normalizer,
                 value_normalizer: Normalizer) -> None:
        self.config = config
        self.robot = robot
        self.normalizer = normalizer
        self.value_normalizer = value_normalizer
        self.device = open_device(config.device)
        torch.set_num_threads(config.n_threads)
        torch.manual_seed(config.seed)
        self.diffusion = build_diffusion(config, robot).to(self.device)
        self.value = build_value(config, robot).to(self.device)
        # Last, so that the other networks start as they would without it.
        self.dynamics_model = build_dynamics_model(config, robot).to(self.device)
        self.optimizer = torch.optim.AdamW([
            {'params': self.diffusion.parameters(), 'lr': config.learning_rate,
             'weight_decay': 1e-5},
            {'params': self.value.parameters(), 'lr': config.value_learning_rate,
             'weight_decay': 1e-4},
            {'params': self.dynamics_model.parameters(), 'lr': config.dynamics_learning_rate,
             'weight_decay': 1e-4}], fused=True)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.n_updates = 0
        for name in NETWORKS:
            setattr(self, f'averaged_{name}', copy.deepcopy(getattr(self, name)))
        row_dim = robot.action_dim + robot.state_dim
        self._weight = loss_weight(config.horizon, row_dim, robot.action_dim,
                                   config.first_action_weight).to(self.device)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=self.device)

    def _rate(self, update: int) -> float:
        """Return the factor on the learning rates: warm-up, then a cosine down to nothing."""
        warmup = min(1.0, (update + 1) / WARMUP_UPDATES)
        return warmup * 0.5 * (1.0 + math.cos(math.pi * min(1.0, update / self.config.n_updates)))

    def noised(self, x_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw diffusion times (B,) and noise (B, H, D); return x_t and both."""
        t = torch.randint(self.config.n_diffusion_steps, (len(x_0),),
                          generator=self.generator).to(self.device)
        eps = torch.randn(x_0.shape, generator=self.generator).to(self.device)
        return self.diffusion.noised(x_0, t, eps), t, eps

    def denoising_loss(self, x_0: Tensor, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """Loss of the denoiser on windows (B, H, D), see ``Diffusion.loss``."""
        return self.diffusion.loss(x_0, x_t, t, eps, self._weight)

    def value_loss(self, x_t: Tensor, t: Tensor, values: Tensor) -> Tensor:
        """Mean squared error of the value of noised windows; ``values`` (B,) normalised."""
        return ((self.value(x_t, t) - values) ** 2).mean()

    def dynamics_loss(self, x_0: Tensor) -> Tensor:
        """Loss of the dynamics model on windows (B, H, D)."""
        # First and last pair of a window: nearly independent, and no end of an episode is missed.
        before, after = x_0[:, [0, -2]].flatten(0, 1), x_0[:, [1, -1]].flatten(0, 1)
        return self.dynamics_model.loss(before, after[:, self.robot.action_dim:])

    def descend(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take one gradient step on the sum of losses; return them detached."""
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        # The networks share no weight, so each is clipped on its own.
        for name in NETWORKS:
            nn.utils.clip_grad_norm_(getattr(self, name).parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.scheduler.step()
        # The average forgets its random start quickly, then slowly.
        decay = min(self.config.ema_decay, (1 + self.n_updates) / (10 + self.n_updates))
        for name in NETWORKS:
            ema_update(getattr(self, f'averaged_{name}'), getattr(self, name), decay)
        self.n_updates += 1
        return {name: loss.detach() for name, loss in losses.items()}

    def save(self, file: Path, facts: dict[str, Any]) -> None:
        """
        Write a checkpoint from which learning goes on and a bundle is exported.

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

    def restore(self, saved: dict[str, Any]) -> None:
        """Take everything that changes while learning from a checkpoint."""
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
