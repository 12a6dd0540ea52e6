# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The planner in PyTorch eager: what one would run without an export."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn, Tensor

from ...normalizer import Normalizer
from ...planning.guides.guidance import push_factors
from ...planning.planner_config import PlannerConfig
from ...planning.samplers import FACTORS, SAMPLERS
from ...schedule import CLEAN, NoiseSchedule


@dataclass(frozen=True)
class TorchPlanner:
    """
    Denoise candidates from one state and value them, as ``Planner`` does, in PyTorch.

    With the same networks and seeds the plans are the same.
    """

    denoiser: nn.Module
    """Predicts x_0 (N, H, D) from x_t (N, H, D), t (N,) and what is known (N, H, D)."""
    value: nn.Module
    """Predicts the normalised value (N,) from x_t (N, H, D) and t (N,)."""
    schedule: NoiseSchedule
    normalizer: Normalizer
    value_normalizer: Normalizer
    row_limits: tuple[NDArray, NDArray]
    """The smallest and the largest normalised row, both (D,)."""
    horizon: int
    value_unit: float
    """Normalised values in the unit of the guide ``LearnedValue``."""
    config: PlannerConfig
    """Settings with a sampler that has ``FACTORS``, guided by the value or not at all."""

    @torch.no_grad()
    def plan(self, state: NDArray, *, step: int) -> tuple[NDArray, NDArray]:
        """
        Plan from one state.

        :param state: in SI units, shape (S,).
        :param step: seeds the noise, with ``config.seed``.
        :return: candidates in SI units, torques within limits (N, H, D), and their values (N,).
        """
        config, rng = self.config, np.random.default_rng((self.config.seed, step))
        low, high = map(torch.from_numpy, self.row_limits)
        known = torch.zeros(self.horizon, len(low))
        known[0, -len(state):] = torch.from_numpy(self.normalizer.normalize_state(state))
        mask = torch.zeros_like(known, dtype=torch.bool)
        mask[0, -len(state):] = True

        def noise() -> Tensor:
            shape = config.n_candidates, *known.shape
            return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

        factors_of = FACTORS[SAMPLERS[config.sampler]]
        levels = self.schedule.levels(config.n_denoise_steps)
        pushes = push_factors(config.guidance, config.guidance_strength * self.value_unit,
                              config.n_unguided_steps, levels)
        x_t = torch.where(mask, known, noise())

        def push(x_s: Tensor, s: int, factor: float) -> Tensor:
            times = torch.full((len(x_s),), s)
            for _ in range(config.n_guide_steps):
                x_s = torch.where(mask, known, x_s + factor * self._gradient(x_s, times))
            return x_s

        for ((t, alpha_bar_t), (s, alpha_bar_s)), factor in zip(
                pairwise(levels), pushes, strict=True):
            x_0 = self.denoiser(x_t, torch.full((len(x_t),), t), mask.expand_as(x_t))
            x_0 = x_0.clamp(-config.clip_denoised, config.clip_denoised)
            of_x_0, of_x_t, of_noise = factors_of(alpha_bar_t, alpha_bar_s)
            x_t = torch.where(mask, known, of_x_0 * x_0 + of_x_t * x_t)
            if factor and config.guidance == 'diffuser':
                x_t = push(x_t, s, float(factor))
            if of_noise:
                x_t = torch.where(mask, known, x_t + of_noise * noise())
            if factor and config.guidance == 'hu':
                x_t = push(x_t, s, float(factor))
        x_0 = x_t.clamp(low, high)
        value = self.value(x_0, torch.full((len(x_0),), CLEAN))
        return (self.normalizer.unnormalize(x_0.double().numpy()),
                self.value_normalizer.unnormalize(value.double().numpy()))

    def _gradient(self, x_t: Tensor, times: Tensor) -> Tensor:
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_(True)
            gradient, = torch.autograd.grad(self.value(x_t, times).sum(), x_t)
        return gradient
