# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Guidance: trajectories are pushed along the gradient of what the guides prefer.

A guide's value is the logarithm of a probability, up to a constant, so that guided denoising draws
from p(tau | s) exp(scale * value), and a scale of 1 weighs data and preference equally. For that,
a push is the gradient times a variance: the noise of the step from diffusion time t to s. The
same scale so means the same with any number of steps.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from ...schedule import posterior_variance, step_variance

FORMS: dict[str, Callable[[float, float], float]] = {
    'hu': step_variance, 'diffuser': posterior_variance}
"""
The variance between two ``alpha_bar`` that scales the push, by the form of guidance.

- ``hu``: Hu (2024), Algorithm 3: denoise, then push x_s, also after the last step.
- ``diffuser``: Janner et al. (2022), Algorithm 1, https://arxiv.org/abs/2205.09991: push the mean
  of x_s, then add the noise. The last step has no noise, and so no push.
"""


def push_factors(form: str, scale: float | np.floating, n_unguided_steps: int,
                 levels: Sequence[tuple[int, float]]) -> list[float | np.floating]:
    """
    Return the factor on the gradient in every denoising step; 0 where nothing is pushed.

    :param form: one of ``FORMS``.
    :param scale: factor on what the guides prefer.
    :param n_unguided_steps: last steps without guidance.
    :param levels: see ``NoiseSchedule.levels``.
    """
    variances = [FORMS[form](alpha_bar_t, alpha_bar_s)
                 for (_, alpha_bar_t), (_, alpha_bar_s) in pairwise(levels)]
    n_guided = max(0, len(variances) - n_unguided_steps)
    return [scale * variance if i < n_guided else 0.0 for i, variance in enumerate(variances)]
