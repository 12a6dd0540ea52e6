# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Samplers: from noise to trajectories in a few denoising steps.

A sampler is a generator over ``model(x_t, t)``, which predicts x_0. For every step it yields the
next diffusion time s with mean and standard deviation of x_s, and is sent the x_s that was drawn,
into which conditions put back what is known and which guides have pushed. So no sampler knows of
either, and a new one is a function and a line in ``SAMPLERS``; with another one in ``FACTORS`` it
may run as a compiled plan, which is faster.
"""

from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from math import log, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..schedule import CLEAN, posterior_variance

Model = Callable[[NDArray, int], NDArray]
"""Predicts x_0 (B, H, D) from x_t (B, H, D) and its diffusion time, all normalised."""
Steps = Generator[tuple[int, NDArray, float], NDArray, None]
"""Yields s, mean and standard deviation of x_s; is sent the x_s (B, H, D) to go on from."""


class Noise:
    """
    Standard normal noise for the candidates of one plan or of several.

    :param seeds: one for each plan. So its noise is the same, whatever is planned beside it.
    """

    def __init__(self, seeds: Sequence[int | Sequence[int]]) -> None:
        self._rngs = [np.random.default_rng(seed) for seed in seeds]

    def draw(self, shape: tuple[int, ...]) -> NDArray:
        """
        Draw for all plans.

        :param shape: for each, (..., N, H, D).
        :return: float32, shape (..., B, H, D), B = N times the number of plans.
        """
        draws = [rng.standard_normal(shape, dtype=np.float32) for rng in self._rngs]
        return draws[0] if len(draws) == 1 else np.concatenate(draws, axis=-3)


class Sampler(Protocol):
    """Denoise trajectories step by step."""

    def __call__(self, model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]]) -> Steps:
        """
        Yield the steps from noise to ``CLEAN`` trajectories.

        :param model: predicts x_0.
        :param x_t: noise, shape (B, H, D), float32.
        :param levels: diffusion times and their ``alpha_bar``, see ``NoiseSchedule.levels``.
        """
        ...


def ddim(model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]]) -> Steps:
    """Deterministic: Song et al. (2021), https://arxiv.org/abs/2010.02502, with sigma = 0."""
    for (t, alpha_bar_t), (s, alpha_bar_s) in pairwise(levels):
        x_t = yield s, ddim_step(x_t, model(x_t, t), alpha_bar_t, alpha_bar_s), 0.0


def ddpm(model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]]) -> Steps:
    """Ancestral: Ho et al. (2020), https://arxiv.org/abs/2006.11239, Algorithm 2."""
    for (t, alpha_bar_t), (s, alpha_bar_s) in pairwise(levels):
        x_t = yield s, *ddpm_step(x_t, model(x_t, t), alpha_bar_t, alpha_bar_s)


def dpm_solver(model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]]) -> Steps:
    """
    Second order: Lu et al. (2022), https://arxiv.org/abs/2211.01095, Algorithm 2, 2M.

    A DDIM step from an x_0 that is extrapolated half a step from the last two predictions. The
    first step has but one of them, and the last step, to no noise at all, is infinitely long in
    lambda, so these two are those of DDIM.
    """
    before = None  # last prediction of x_0, and the step of lambda that followed it
    for (t, alpha_bar_t), (s, alpha_bar_s) in pairwise(levels):
        x_0 = extrapolated = model(x_t, t)
        if s != CLEAN:
            step = _half_log_snr(alpha_bar_s) - _half_log_snr(alpha_bar_t)
            if before is not None:
                x_0_before, step_before = before
                extrapolated = x_0 + step / step_before / 2.0 * (x_0 - x_0_before)
            before = x_0, step
        x_t = yield s, ddim_step(x_t, extrapolated, alpha_bar_t, alpha_bar_s), 0.0


def _half_log_snr(alpha_bar: float) -> float:
    """Return lambda of Lu et al. (2022): half the logarithm of the signal-to-noise ratio."""
    return log(alpha_bar / (1.0 - alpha_bar)) / 2.0


SAMPLERS: dict[str, Sampler] = {'ddim': ddim, 'ddpm': ddpm, 'dpm_solver': dpm_solver}
"""By the name that ``PlannerConfig.sampler`` takes."""


def ddim_factors(alpha_bar_t: float, alpha_bar_s: float) -> tuple[float, float, float]:
    """Return the factors of x_0, x_t and noise in the x_s of ``ddim_step``."""
    of_eps = sqrt((1.0 - alpha_bar_s) / (1.0 - alpha_bar_t))
    return sqrt(alpha_bar_s) - of_eps * sqrt(alpha_bar_t), of_eps, 0.0


def ddpm_factors(alpha_bar_t: float, alpha_bar_s: float) -> tuple[float, float, float]:
    """Return the factors of x_0, x_t and noise in the x_s of ``ddpm_step``."""
    alpha = alpha_bar_t / alpha_bar_s
    return (sqrt(alpha_bar_s) * (1.0 - alpha) / (1.0 - alpha_bar_t),
            sqrt(alpha) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t),
            sqrt(posterior_variance(alpha_bar_t, alpha_bar_s)))


FACTORS: dict[Sampler, Callable[[float, float], tuple[float, float, float]]] = {
    ddim: ddim_factors, ddpm: ddpm_factors}
"""
Of samplers whose steps are x_s = a x_0 + b x_t + c noise: a, b and c between two ``alpha_bar``.

Such a sampler may run as a compiled plan; the others run in the general loop of the planner.
"""


def ddim_step(x_t: NDArray, x_0: NDArray, alpha_bar_t: float, alpha_bar_s: float) -> NDArray:
    """
    Step from x_t to x_s, s < t, without new noise: eq. 12 of Song et al. (2021), sigma = 0.

    :param x_t: shape (B, H, D).
    :param x_0: as it was predicted from x_t, shape (B, H, D).
    """
    eps = (x_t - sqrt(alpha_bar_t) * x_0) / sqrt(1.0 - alpha_bar_t)
    return sqrt(alpha_bar_s) * x_0 + sqrt(1.0 - alpha_bar_s) * eps


def ddpm_step(x_t: NDArray, x_0: NDArray, alpha_bar_t: float, alpha_bar_s: float
              ) -> tuple[NDArray, float]:
    """
    Step from x_t to x_s: eqs. 6 and 7 of Ho et al. (2020), also between times further apart.

    :param x_t: shape (B, H, D).
    :param x_0: as it was predicted from x_t, shape (B, H, D).
    :return: mean (B, H, D) and standard deviation of x_s.
    """
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1.0 - alpha
    mean = (sqrt(alpha_bar_s) * beta * x_0
            + sqrt(alpha) * (1.0 - alpha_bar_s) * x_t) / (1.0 - alpha_bar_t)
    return mean, sqrt(posterior_variance(alpha_bar_t, alpha_bar_s))
