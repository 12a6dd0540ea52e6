"""One denoising step from x_t to x_s, s < t, given the prediction of x_0."""

from math import sqrt

from numpy.typing import NDArray


def ddim_step(x_t: NDArray, x_0: NDArray, alpha_bar_t: float, alpha_bar_s: float) -> NDArray:
    """Deterministic step: eq. 12 of Song et al. (2021), arxiv.org/abs/2010.02502, sigma = 0."""
    eps = (x_t - sqrt(alpha_bar_t) * x_0) / sqrt(1.0 - alpha_bar_t)
    return sqrt(alpha_bar_s) * x_0 + sqrt(1.0 - alpha_bar_s) * eps


def ddpm_step(x_t: NDArray, x_0: NDArray, alpha_bar_t: float, alpha_bar_s: float,
              noise: NDArray) -> NDArray:
    """Ancestral step: eqs. 6 and 7 of Ho et al. (2020), also between times further apart."""
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1.0 - alpha
    mean = (sqrt(alpha_bar_s) * beta * x_0
            + sqrt(alpha) * (1.0 - alpha_bar_s) * x_t) / (1.0 - alpha_bar_t)
    variance = beta * (1.0 - alpha_bar_s) / (1.0 - alpha_bar_t)
    return mean + sqrt(variance) * noise
