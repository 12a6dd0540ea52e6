# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
CQL, AWAC, IQL and TD3+BC of the library d3rlpy (Seno and Imai 2022).

Kumar et al. 2020, https://arxiv.org/abs/2006.04779; Nair et al. 2020,
https://arxiv.org/abs/2006.09359; Kostrikov et al. 2021, https://arxiv.org/abs/2110.06169;
Fujimoto and Gu 2021, https://arxiv.org/abs/2106.06860. Their settings are those with which the
library reproduces the papers on D4RL, the same for all data sets.
"""

from contextlib import redirect_stderr
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from ....errors import ConfigError
from ....files import written
from ....learning.learner import CHECKPOINT_FILE
from .policy_file import write_policy
from .transitions import Transitions


def _config(name: str, transitions: Transitions, n_updates: int) -> Any:
    """Return the library's configuration of an algorithm."""
    try:
        with redirect_stderr(StringIO()):  # the library imports gym, which asks to be replaced
            from d3rlpy import algos, models, optimizers, preprocessing
    except ModuleNotFoundError as error:
        raise ConfigError(f"baseline '{name}' needs the library d3rlpy, which is not installed "
                          f"('{error.name}' is missing); pip install "
                          "'diffusion_planner_ros[compare]'") from error

    def layers(n: int) -> Any:
        return models.VectorEncoderFactory([256] * n)

    if name == 'cql':
        return algos.CQLConfig(
            actor_learning_rate=1e-4, critic_learning_rate=3e-4, temp_learning_rate=1e-4,
            alpha_learning_rate=0.0, conservative_weight=5.0, actor_encoder_factory=layers(3),
            critic_encoder_factory=layers(3))
    if name == 'awac':
        return algos.AWACConfig(
            actor_optim_factory=optimizers.AdamFactory(weight_decay=1e-4), lam=1.0,
            actor_encoder_factory=layers(4), critic_encoder_factory=layers(4))
    if name == 'iql':
        returns = transitions.returns
        return algos.IQLConfig(
            # The actor's learning rate ends with the training.
            actor_optim_factory=optimizers.AdamFactory(
                lr_scheduler_factory=optimizers.CosineAnnealingLRFactory(T_max=n_updates)),
            weight_temp=3.0, max_weight=100.0, expectile=0.7,
            reward_scaler=preprocessing.ReturnBasedRewardScaler(
                return_max=float(returns.max()), return_min=float(returns.min()),
                multiplier=1000.0))
    states = transitions.states
    return algos.TD3PlusBCConfig(
        alpha=2.5, target_smoothing_sigma=0.2, target_smoothing_clip=0.5, update_actor_interval=2,
        observation_scaler=preprocessing.StandardObservationScaler(
            mean=states.mean(axis=0), std=states.std(axis=0)))


class GreedyPolicy(nn.Module):
    """The library's policy without noise, with the statistics of the states inside."""

    def __init__(self, algorithm: Any) -> None:
        super().__init__()
        self.policy = algorithm.impl.policy
        self.scaler = algorithm.observation_scaler

    def forward(self, state: Tensor) -> Tensor:
        """Map states (B, S) to actions (B, A) in [-1, 1]."""
        if self.scaler is not None:
            state = self.scaler.transform(state)
        return self.policy(state).squashed_mu


class D3rlpyTraining:
    """
    A training with the library, on batches of ours: its own way to draw them takes longer.

    :param name: ``cql``, ``awac``, ``iql`` or ``td3-bc``.
    :param n_updates: gradient steps, at the end of which a learning rate that decays is 0.
    :raises ConfigError: if the library is not installed.
    """

    def __init__(self, name: str, transitions: Transitions, *, seed: int, n_updates: int) -> None:
        config = _config(name, transitions, n_updates)
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self._transitions = transitions
        self._algorithm = config.create(device='cpu:0')
        self._algorithm.create_impl(transitions.states.shape[1:], transitions.actions.shape[1])
        self._batch_size = config.batch_size
        self._rng = np.random.default_rng(seed)

    @property
    def n_done(self) -> int:
        """Gradient steps so far."""
        return self._algorithm.grad_step

    @property
    def n_parameters(self) -> int:
        """Weights of the policy; those of the critics only help to learn it."""
        return sum(p.numel() for p in self._algorithm.impl.policy.parameters())

    def update(self) -> None:
        """Take one gradient step of every network."""
        from d3rlpy.dataset import TransitionMiniBatch

        data = self._transitions
        picked = self._rng.integers(len(data), size=self._batch_size)
        actions = data.actions[picked]
        self._algorithm.update(TransitionMiniBatch(
            observations=data.states[picked], actions=actions, rewards=data.rewards[picked],
            next_observations=data.next_states[picked], next_actions=np.zeros_like(actions),
            terminals=data.falls[picked], intervals=np.ones_like(data.falls[picked]),
            transitions=()))  # none of these algorithms asks for next actions or transitions

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        content = BytesIO()
        self._algorithm.impl.save_model(content)
        content.seek(0)
        networks = torch.load(content)
        content = BytesIO()
        torch.save({**networks, 'n_done': self.n_done}, content)
        with written(folder / CHECKPOINT_FILE) as scratch:
            scratch.write_bytes(content.getbuffer())

    def restore(self, folder: Path) -> None:
        """Go on from a checkpoint, with batches and noise that are drawn anew."""
        content = BytesIO((folder / CHECKPOINT_FILE).read_bytes())
        self._algorithm.set_grad_step(torch.load(content)['n_done'])
        content.seek(0)
        self._algorithm.impl.load_model(content)
        self._rng = np.random.default_rng((int(self._rng.integers(2**31)), self.n_done))

    def export(self, folder: Path) -> None:
        """Write the policy as ONNX."""
        states = torch.as_tensor(self._transitions.states[:100])
        write_policy(GreedyPolicy(self._algorithm), states, folder)
