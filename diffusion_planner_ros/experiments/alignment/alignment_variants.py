# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Alignments to compare: the improved one, Algorithm 2 as written, and what each part is worth."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from ...learning.align_config import AlignConfig
from ...planning.planner_config import PlannerConfig

IMPROVED = AlignConfig()


@dataclass(frozen=True)
class Variant:
    """A way to align a model, and to plan with it."""

    align: AlignConfig
    states: Literal['denoised', 'forecast'] = 'forecast'
    """As ``PlannerConfig.states``, while the model is aligned and evaluated."""
    is_ranked: bool = True
    """Whether several candidates are ranked; otherwise the one that is denoised is executed."""

    def before(self, planner: PlannerConfig) -> PlannerConfig:
        """Return how the model before is evaluated, from how the study plans."""
        return planner if self.is_ranked else replace(planner, n_candidates=1)

    def after(self, planner: PlannerConfig) -> PlannerConfig:
        """Return how the guard plans, and how the aligned model is evaluated."""
        return replace(self.before(planner), states=self.states)


def variants(horizon: int) -> dict[str, Variant]:
    """
    Return the variants by name, all with the same number of steps.

    All but the first two are the improved alignment with one part of it taken away or changed.

    Algorithm 2 (Hu 2024) denoises one plan, ranks nothing, executes all of it, and learns from all
    that was executed alike: the denoiser and the value from (tau^t, t).

    :param horizon: of the model.
    """
    plain = replace(IMPROVED, n_execute=horizon, n_candidates=1, exploration=0.0,
                    offline_share=0.0, recent_steps=0, weighting='none', value_times='even',
                    settle_steps=0)
    changes: dict[str, dict[str, Any]] = {
        'no-offline-data': {'offline_share': 0.0}, 'no-exploration': {'exploration': 0.0},
        'no-weighting': {'weighting': 'none'}, 'no-settling': {'settle_steps': 0},
        'all-steps': {'recent_steps': 0}, 'value-first': {'value_first_steps': 20_000},
        'recovery': {'recovery_push': 2.0}, 'one-action': {'n_execute': 1}}
    return {'improved': Variant(IMPROVED), 'plain': Variant(plain, 'denoised', is_ranked=False),
            'denoised-states': Variant(IMPROVED, 'denoised'),
            **{name: Variant(replace(IMPROVED, **perturbation)) for name,
               perturbation in changes.items()}}


def scaled(config: AlignConfig, n_steps: int) -> AlignConfig:
    """
    Make an alignment shorter or longer: all its numbers of steps in proportion.

    What is 0 and so switched off stays so.

    :param n_steps: steps of the robot to learn from.
    """
    ratio = n_steps / config.n_steps
    numbers: dict[str, Any] = {}
    for field in fields(config):
        if field.name.endswith('_steps'):
            number = getattr(config, field.name)
            numbers[field.name] = max(1, round(ratio * number)) if number else 0
    return replace(config, **numbers | {'n_steps': n_steps})
