# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the graph of whole plans is given, where it can do what the settings ask for."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..schedule import CLEAN
from .bundle import Bundle
from .guides.guidance import push_factors
from .guides.learned_value import LearnedValue
from .planner_config import PlannerConfig
from .samplers import FACTORS, Noise, SAMPLERS


class CompiledPlan:
    """
    The inputs of a bundle's graph of whole plans that follow from the settings.

    The graph computes what ``Planner`` computes in its general loop, from the same noise.
    """

    def __init__(self, bundle: Bundle, config: PlannerConfig) -> None:
        levels = bundle.schedule.levels(config.n_denoise_steps)
        factors_of = FACTORS[SAMPLERS[config.sampler]]
        unit = LearnedValue(bundle, config).unit * config.guide_weights[0]
        pushes = push_factors(config.guidance, config.guidance_strength * unit,
                              config.n_unguided_steps, levels)
        steps = []
        for ((_, alpha_bar_t), (_, alpha_bar_s)), push in zip(
                pairwise(levels), pushes, strict=True):
            of_x_0, of_x_t, of_noise = factors_of(alpha_bar_t, alpha_bar_s)
            is_before = push == 0 or config.guidance == 'hu'
            noise = (of_noise, 0.0) if is_before else (0.0, of_noise)
            steps.append([of_x_0, of_x_t, *noise, push])
        n_guided = sum(push != 0 for push in pushes)
        bound = min(config.clip_denoised, bundle.largest_entry)
        low, high = bundle.row_limits
        self._inputs: dict[str, NDArray] = {
            'times': np.array([t for t, _ in levels], dtype=np.int64)[:, None],
            'steps': np.array(steps, dtype=np.float32),
            'n_guided': np.array(n_guided, dtype=np.int64),
            'bound': np.array(bound, dtype=np.float32), 'low': low, 'high': high}
        # Nobody would notice the noise after the last step that has some.
        n_noisy = max((k + 1 for k, step in enumerate(steps) if any(step[2:4])), default=0)
        self._temperature = np.float32(config.temperature)
        self._shape = 1 + n_noisy, config.n_candidates, bundle.horizon, bundle.row_dim

    @staticmethod
    def serves(bundle: Bundle, config: PlannerConfig) -> bool:
        """Whether the bundle has such a graph, and the settings are those that it knows."""
        return (bundle.has_plan and SAMPLERS[config.sampler] in FACTORS
                and config.guides == ('learned_value',) and config.states == 'denoised'
                and config.n_guide_steps == 1 and bundle.value_clean_time == CLEAN)

    def inputs(self, known: NDArray, mask: NDArray, *, seeds: Sequence[int | Sequence[int]]
               ) -> dict[str, NDArray]:
        """
        Return all inputs of ``Bundle.plan``.

        :param known: normalised values, shape (1, H, D) or, of several plans, (B, H, D); ``mask``
            says where they hold.
        :param seeds: of the noise, one for each plan, which has N candidates.
        """
        draws = Noise(seeds).draw(self._shape)
        if self._temperature != 1:
            draws *= self._temperature
        return {'draws': draws, 'known': known, 'mask': mask, **self._inputs}
