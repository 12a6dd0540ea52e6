# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Noise schedule of a diffusion model: how much of a trajectory is left at diffusion time t."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError

SCHEDULES = ('linear', 'cosine')
MAX_BETA = 0.999
# of errors of a predicted eps in x_0: measured, see docs/concepts/trajectories.md
MAX_AMPLIFICATION = 5.0
CLEAN = -1  # diffusion time of a trajectory without noise: the one before the first step


def trailing_times(n_steps: int, n_visited: int) -> NDArray:
    """
    Return the diffusion times that fewer steps visit, from T - 1 downwards, shape (n_visited,).

    Evenly spaced and always beginning with the most noise (Lin et al. 2024,
    https://arxiv.org/abs/2305.08891: "trailing").

    :param n_steps: T.
    :param n_visited: 1 to T.
    """
    spacing = n_steps / n_visited
    return np.round(np.arange(n_steps, 0, -spacing)[:n_visited]).astype(int) - 1


def linear_beta(n_steps: int) -> NDArray:
    """
    Linear schedule of Ho et al. (2020), https://arxiv.org/abs/2006.11239.

    The bounds of the paper (1e-4 to 0.02) belong to 1,000 steps. Of fewer steps, each adds what
    several of those add, so that any number of them destroys as much.

    :param n_steps: 1 to 1,000.
    """
    alpha_bar = np.cumprod(1.0 - np.linspace(1e-4, 0.02, 1000))
    after = alpha_bar[trailing_times(1000, n_steps)[::-1]]
    return 1.0 - after / np.append(1.0, after[:-1])


def cosine_beta(n_steps: int) -> NDArray:
    """Cosine schedule of Nichol and Dhariwal (2021), eq. 17, https://arxiv.org/abs/2102.09672."""
    s = 0.008
    u = np.arange(n_steps + 1) / n_steps
    f = np.cos((u + s) / (1 + s) * np.pi / 2) ** 2
    return np.clip(1.0 - f[1:] / f[:-1], 0.0, MAX_BETA)


def step_variance(alpha_bar_t: float, alpha_bar_s: float) -> float:
    """Return the variance of q(x_t | x_s), s < t: what the forward process adds in between."""
    return 1.0 - alpha_bar_t / alpha_bar_s


def posterior_variance(alpha_bar_t: float, alpha_bar_s: float) -> float:
    """Return the variance of q(x_s | x_t, x_0), s < t, eq. 7 of Ho et al. (2020)."""
    return step_variance(alpha_bar_t, alpha_bar_s) * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)


@dataclass(frozen=True)
class NoiseSchedule:
    """Variances of the forward process q(x_t | x_0), for t = 0 (least noise) to T - 1."""

    name: str
    n_steps: int
    """Number of diffusion steps, T."""
    max_amplification: float = float('inf')
    """
    Bound of ``1 / sqrt(alpha_bar)`` at the times that are sampled.

    By that factor x_0 has larger errors than the eps that it is computed from (Ho et al. 2020,
    eq. 15). Infinite where x_0 itself is predicted.
    """

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ConfigError(f"noise schedule is '{self.name}', expected one of "
                              f'{", ".join(SCHEDULES)}')
        if not 2 <= self.n_steps <= 1000:
            raise ConfigError(f'number of diffusion steps is {self.n_steps}, expected 2 to 1000')

    @property
    def beta(self) -> NDArray:
        """Variance that step t adds, shape (T,)."""
        return linear_beta(self.n_steps) if self.name == 'linear' else cosine_beta(self.n_steps)

    @property
    def alpha_bar(self) -> NDArray:
        """Share of x_0 left in x_t (as variance), shape (T,)."""
        return np.cumprod(1.0 - self.beta)

    @property
    def n_sampled(self) -> int:
        """Number of diffusion times that can be sampled: T, or fewer of the least noise."""
        return int(np.sum(self.alpha_bar ** -0.5 <= self.max_amplification))

    def ddim_steps(self, n_denoise_steps: int) -> NDArray:
        """
        Return the diffusion times that a sampler of fewer steps visits, see ``trailing_times``.

        They begin with the most noise that can be sampled, as the sampler begins with pure noise:
        normalised data have about unit variance, and so has x_t at any time.

        :param n_denoise_steps: 1 to ``n_sampled``.
        """
        return trailing_times(self.n_sampled, n_denoise_steps)

    def levels(self, n_denoise_steps: int) -> list[tuple[int, float]]:
        """
        Return diffusion times and their ``alpha_bar``, from the most noise to none.

        Python numbers: numpy would turn single precision arrays into double with its own.

        :param n_denoise_steps: 1 to ``n_sampled``.
        :return: those of ``ddim_steps``, and ``CLEAN`` with 1 at the end.
        """
        alpha_bar = self.alpha_bar.tolist()
        times = self.ddim_steps(n_denoise_steps).tolist()
        return [*((t, alpha_bar[t]) for t in times), (CLEAN, 1.0)]
