"""What the graph of whole plans is given, where it can do what the settings ask for."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .planner_config import PlannerConfig
from .samplers import FACTORS, SAMPLERS


class CompiledPlan:
    """
    The inputs of a bundle's graph of whole plans that follow from the settings.

    The graph computes what ``Planner`` computes in its general loop, from the same noise.
    """

    def __init__(self, bundle: Bundle, config: PlannerConfig) -> None:
        levels = bundle.schedule.levels(config.n_denoise_steps)
        factors_of = FACTORS[SAMPLERS[config.sampler]]
        times = [t for t, _ in levels[:-1]]
        scale = config.guidance_scale * config.guide_weights[0]
        variance = bundle.schedule.posterior_variance
        steps = [[*factors_of(alpha_bar_t, alpha_bar_s), scale * variance[t]]
                 for (t, alpha_bar_t), (_, alpha_bar_s) in pairwise(levels)]
        n_guided = config.n_denoise_steps - config.n_unguided_steps if scale else 0
        low, high = bundle.row_limits
        self._inputs = {
            'times': np.array(times, dtype=np.int64)[:, None],
            'steps': np.array(steps, dtype=np.float32),
            'n_guided': np.array(n_guided, dtype=np.int64),
            'bound': np.array(config.clip_denoised, dtype=np.float32), 'low': low, 'high': high}
        # Nobody would notice the noise after the last step that has some.
        n_noisy = max((k + 1 for k, step in enumerate(steps) if step[2]), default=0)
        self._shape = 1 + n_noisy, config.n_candidates, bundle.horizon, bundle.row_dim

    @staticmethod
    def serves(bundle: Bundle, config: PlannerConfig) -> bool:
        """Whether the bundle has such a graph, and the settings are those that it knows."""
        return (bundle.has_plan and SAMPLERS[config.sampler] in FACTORS
                and config.guides == ('learned_value',) and config.states == 'denoised')

    def inputs(self, known: NDArray, mask: NDArray, *, seed: int | Sequence[int]
               ) -> dict[str, NDArray]:
        """
        Return all inputs of ``Bundle.plan``.

        :param known: normalised values, shape (H, D); ``mask`` says where they hold.
        :param seed: of the noise.
        """
        draws = np.random.default_rng(seed).standard_normal(self._shape, dtype=np.float32)
        return {'draws': draws, 'known': known, 'mask': mask, **self._inputs}
