# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A Gaussian policy: a small network with the observation statistics that it was trained with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...files import written

BOUND = 10.0  # of a normalised observation, as stable-baselines3 clips it


@dataclass(frozen=True)
class GaussianPolicy:
    """
    The policy of stable-baselines3's PPO with tanh layers, without torch.

    A file of it is a few arrays, which any version of any library reads.
    """

    mean: NDArray
    """Of the observations, shape (S,)."""
    std: NDArray
    """Of the observations, shape (S,)."""
    weights: tuple[NDArray, ...]
    """Of each layer, shape (out, in)."""
    biases: tuple[NDArray, ...]
    """Of each layer, shape (out,)."""
    action_std: NDArray
    """Exploration noise [torque limits], shape (A,)."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], mean: NDArray, std: NDArray
                        ) -> 'GaussianPolicy':
        """
        Copy the policy out of ``ActorCriticPolicy.state_dict()``.

        :param mean: of the observations, shape (S,).
        :param std: of the observations, shape (S,).
        """
        layers = [name.removesuffix('.weight') for name in parameters
                  if name.startswith('mlp_extractor.policy_net.') and name.endswith('.weight')]
        layers.append('action_net')
        arrays = {name: value.double().numpy().copy() for name, value in parameters.items()}
        return cls(mean.copy(), std.copy(), tuple(arrays[f'{layer}.weight'] for layer in layers),
                   tuple(arrays[f'{layer}.bias'] for layer in layers), np.exp(arrays['log_std']))

    def parameters(self, *, smallest_std: float) -> dict[str, NDArray]:
        """
        Return what ``from_parameters`` reads.

        :param smallest_std: of the exploration noise [torque limits]: less is raised to it.
        """
        named = {'log_std': np.log(np.maximum(self.action_std, smallest_std))}
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            # Every second layer of stable-baselines3's is an activation.
            layer = 'action_net' if i == last else f'mlp_extractor.policy_net.{2 * i}'
            named |= {f'{layer}.weight': weight, f'{layer}.bias': bias}
        return named

    def distribution(self, states: NDArray) -> tuple[NDArray, NDArray]:
        """
        Return mean and standard deviation of the actions [torque limits], (B, A) each.

        :param states: shape (B, S).
        :return: the mean is not clipped.
        """
        x = np.clip((states - self.mean) / self.std, -BOUND, BOUND)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(x @ weight.T + bias)
        mean = x @ self.weights[-1].T + self.biases[-1]
        return mean, np.broadcast_to(self.action_std, mean.shape)

    def save(self, file: Path) -> None:
        """
        Write the policy as an ``.npz`` file, in single precision.

        :raises OutputError: if it cannot be written.
        """
        arrays = {'mean': self.mean, 'std': self.std, 'action_std': self.action_std}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays |= {f'weight_{i}': weight, f'bias_{i}': bias}
        with written(file) as scratch, scratch.open('wb') as stream:
            # numpy's hint takes any name for `allow_pickle`.
            np.savez(stream, **{  # type: ignore[arg-type]
                k: v.astype(np.float32) for k, v in arrays.items()})

    @classmethod
    def load(cls, file: Path) -> 'GaussianPolicy':
        """
        Read a policy that ``save`` wrote.

        :raises ModelError: if it is missing or not such a file.
        """
        try:
            with np.load(file) as stored:
                arrays = {name: stored[name].astype(np.float64) for name in stored.files}
            n_layers = sum(name.startswith('weight_') for name in arrays)
            return cls(arrays['mean'], arrays['std'],
                       tuple(arrays[f'weight_{i}'] for i in range(n_layers)),
                       tuple(arrays[f'bias_{i}'] for i in range(n_layers)), arrays['action_std'])
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f'{file}: not a policy that collect wrote ({error})') from error
