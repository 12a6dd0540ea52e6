"""
Samplers: from noise to trajectories in a few denoising steps.

A sampler is a generator over ``model(x_t, t)``, which predicts x_0. It yields every diffusion
time with its x_t, the last one being ``CLEAN``, and may keep a history between steps. Whoever
iterates may change x_t in place before the next step: conditions put back what is known, guides
push. So no sampler knows of either, and a new one is a function and a line in ``SAMPLERS``; with
another one in ``FACTORS`` it may run as a compiled plan, which is faster.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Model = Callable[[NDArray, int], NDArray]
"""Predicts x_0 (B, H, D) from x_t (B, H, D) and its diffusion time, all normalised."""


class Sampler(Protocol):
    """Denoise trajectories step by step."""

    def __call__(self, model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]],
                 rng: np.random.Generator) -> Iterator[tuple[int, NDArray]]:
        """
        Yield (t, x_t), from the noise that is given to ``CLEAN`` trajectories.

        :param model: predicts x_0.
        :param x_t: noise, shape (B, H, D), float32.
        :param levels: diffusion times and their ``alpha_bar``, see ``NoiseSchedule.levels``.
        :param rng: of all noise that is added on the way.
        """
        ...


def ddim(model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]],
         rng: np.random.Generator) -> Iterator[tuple[int, NDArray]]:
    """Deterministic: Song et al. (2021), https://arxiv.org/abs/2010.02502, with sigma = 0."""
    del rng
    for (t, alpha_bar_t), (_, alpha_bar_s) in pairwise(levels):
        yield t, x_t
        x_t = ddim_step(x_t, model(x_t, t), alpha_bar_t, alpha_bar_s)
    yield levels[-1][0], x_t


def ddpm(model: Model, x_t: NDArray, levels: Sequence[tuple[int, float]],
         rng: np.random.Generator) -> Iterator[tuple[int, NDArray]]:
    """Ancestral: Ho et al. (2020), https://arxiv.org/abs/2006.11239, Algorithm 2."""
    for (t, alpha_bar_t), (_, alpha_bar_s) in pairwise(levels):
        yield t, x_t
        x_0 = model(x_t, t)
        noise = rng.standard_normal(x_t.shape, dtype=np.float32)
        x_t = ddpm_step(x_t, x_0, alpha_bar_t, alpha_bar_s, noise)
    yield levels[-1][0], x_t


SAMPLERS: dict[str, Sampler] = {'ddim': ddim, 'ddpm': ddpm}
"""By the name that ``PlannerConfig.sampler`` takes."""


def ddim_factors(alpha_bar_t: float, alpha_bar_s: float) -> tuple[float, float, float]:
    """Return the factors of x_0, x_t and noise in the x_s of ``ddim_step``."""
    of_eps = sqrt((1.0 - alpha_bar_s) / (1.0 - alpha_bar_t))
    return sqrt(alpha_bar_s) - of_eps * sqrt(alpha_bar_t), of_eps, 0.0


def ddpm_factors(alpha_bar_t: float, alpha_bar_s: float) -> tuple[float, float, float]:
    """Return the factors of x_0, x_t and noise in the x_s of ``ddpm_step``."""
    alpha = alpha_bar_t / alpha_bar_s
    beta, left = 1.0 - alpha, (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    return (sqrt(alpha_bar_s) * beta / (1.0 - alpha_bar_t), sqrt(alpha) * left, sqrt(beta * left))


FACTORS: dict[Sampler, Callable[[float, float], tuple[float, float, float]]] = {
    ddim: ddim_factors, ddpm: ddpm_factors}
"""
Of samplers whose steps are x_s = a x_0 + b x_t + c noise: a, b and c between two ``alpha_bar``.

Such a sampler draws noise in every step, or c is 0 in all of them. It may run as a compiled plan;
the others run in the general loop of the planner.
"""


def ddim_step(x_t: NDArray, x_0: NDArray, alpha_bar_t: float, alpha_bar_s: float) -> NDArray:
    """
    Step from x_t to x_s, s < t, without new noise: eq. 12 of Song et al. (2021), sigma = 0.

    :param x_t: shape (B, H, D).
    :param x_0: as it was predicted from x_t, shape (B, H, D).
    """
    eps = (x_t - sqrt(alpha_bar_t) * x_0) / sqrt(1.0 - alpha_bar_t)
    return sqrt(alpha_bar_s) * x_0 + sqrt(1.0 - alpha_bar_s) * eps


def ddpm_step(x_t: NDArray, x_0: NDArray, alpha_bar_t: float, alpha_bar_s: float,
              noise: NDArray) -> NDArray:
    """
    Step from x_t to x_s: eqs. 6 and 7 of Ho et al. (2020), also between times further apart.

    :param x_t: shape (B, H, D).
    :param x_0: as it was predicted from x_t, shape (B, H, D).
    :param noise: standard normal, shape (B, H, D).
    """
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1.0 - alpha
    mean = (sqrt(alpha_bar_s) * beta * x_0
            + sqrt(alpha) * (1.0 - alpha_bar_s) * x_t) / (1.0 - alpha_bar_t)
    variance = beta * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    return mean + sqrt(variance) * noise
