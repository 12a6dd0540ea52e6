# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour cloning: a network that imitates the actions of the data."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor
from torch.optim.lr_scheduler import LambdaLR

from ....files import written
from ....learning.learner import CHECKPOINT_FILE
from ....learning.trainer import cosine_rate
from .policy_file import write_policy
from .transitions import Transitions

WIDTH, DEPTH, BATCH_SIZE, LEARNING_RATE = 256, 3, 256, 1e-3
SMALLEST_STD = 1e-3  # of a state entry, as in d3rlpy's scaler


class ClonedPolicy(nn.Module):
    """An MLP from states to actions, with the statistics of the states inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, action_dim: int) -> None:
        super().__init__()
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)
        layers: list[nn.Module] = []
        for n_inputs in (len(mean), *[WIDTH] * (DEPTH - 1)):
            layers += [nn.Linear(n_inputs, WIDTH), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(WIDTH, action_dim), nn.Tanh())

    def forward(self, state: Tensor) -> Tensor:
        """Map states (B, S) to actions (B, A) in [-1, 1]."""
        return self.layers((state - self.mean) / self.std)


class BehaviourCloning:
    """
    A training of it: least squares with AdamW, warm-up and cosine decay.

    :param n_updates: gradient steps, at the end of which the learning rate is 0.
    """

    def __init__(self, transitions: Transitions, *, seed: int, n_updates: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self._states = torch.as_tensor(transitions.states)
        self._actions = torch.as_tensor(transitions.actions)
        self._policy = ClonedPolicy(
            self._states.mean(dim=0), self._states.std(dim=0) + SMALLEST_STD,
            self._actions.shape[1])
        self._optimizer = torch.optim.AdamW(self._policy.parameters(), lr=LEARNING_RATE)
        self._scheduler = LambdaLR(self._optimizer, cosine_rate(n_updates))
        self._rng = np.random.default_rng(seed)
        self.n_done = 0

    @property
    def n_parameters(self) -> int:
        """Weights of the policy."""
        return sum(p.numel() for p in self._policy.parameters())

    def update(self) -> None:
        """Take one gradient step."""
        picked = torch.as_tensor(self._rng.integers(len(self._states), size=BATCH_SIZE))
        loss = ((self._policy(self._states[picked]) - self._actions[picked]) ** 2).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._scheduler.step()
        self.n_done += 1

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        content = BytesIO()
        torch.save({'n_done': self.n_done, 'policy': self._policy.state_dict(),
                    'optimizer': self._optimizer.state_dict(),
                    'scheduler': self._scheduler.state_dict()}, content)
        with written(folder / CHECKPOINT_FILE) as scratch:
            scratch.write_bytes(content.getbuffer())

    def restore(self, folder: Path) -> None:
        """Go on from a checkpoint, with batches that are drawn anew."""
        saved = torch.load(folder / CHECKPOINT_FILE, weights_only=True)
        self._policy.load_state_dict(saved['policy'])
        self._optimizer.load_state_dict(saved['optimizer'])
        self._scheduler.load_state_dict(saved['scheduler'])
        self.n_done = saved['n_done']
        self._rng = np.random.default_rng((int(self._rng.integers(2**31)), self.n_done))

    def export(self, folder: Path) -> None:
        """Write the policy as ONNX."""
        write_policy(self._policy, self._states[:100], folder)
