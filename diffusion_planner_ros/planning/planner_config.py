# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How a planner plans: everything that may change without training again."""

from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ConfigError
from ..settings import as_facts, check_settings, document_settings, setting
from .guides.guidance import FORMS
from .guides.guide_registry import GUIDES
from .guides.guide_targets import GuideTargets, TARGETS_OF
from .samplers import SAMPLERS


@document_settings
@dataclass(frozen=True)
class PlannerConfig(GuideTargets):
    """Settings of a planner; a wrong value is refused when this is built."""

    n_candidates: int = setting(
        8, 'Trajectories denoised together, N; the one that the guides prefer is chosen.', low=1,
        high=256)
    sampler: str = setting(
        'ddim', 'How noise becomes a trajectory: deterministic (ddim), ancestral (ddpm), or '
        'deterministic and of second order (dpm_solver).',
        choices=SAMPLERS)
    n_denoise_steps: int = setting(
        2, 'Denoising steps; at most those of the model.', low=1, high=1000)
    guides: tuple[str, ...] = setting(
        ('learned_value',), 'Preferences that rank the candidates and, with a guidance_strength, '
        'push them while they are denoised.', choices=GUIDES)
    guide_weights: tuple[float, ...] = setting(
        (1.0,), 'Weight of each guide, in the order of guides.', low=-1e6, high=1e6)
    guidance: str = setting(
        'hu', 'What guides push in a denoising step: its result, also that of the last step (hu, '
        'Hu 2024), or its mean, before noise is added (diffuser, Janner et al. 2022).',
        choices=FORMS)
    guidance_strength: float = setting(
        0.0, 'Factor on what the guides prefer while denoising: 1 takes it as the logarithm of a '
        'probability, 0 switches guidance off.', low=0.0, high=100.0, formerly='guidance_scale')
    return_weight: float = setting(
        0.0, 'How much a wanted_return counts where the model can be told one (classifier-free '
        'guidance): 0 not at all, 1 as the data say, more exaggerates it. A model that can be '
        'told a speed instead is told target_speed.', low=0.0, high=10.0)
    wanted_return: float = setting(
        1.5, 'Return that a model is told which can be told one, above the mean of the data; see '
        'return_weight.', unit='standard deviations', low=-10.0,
        high=10.0)
    temperature: float = setting(
        1.0, 'Factor on the standard deviation of all noise; below 1, plans are more usual and '
        'differ less.', low=0.0, high=10.0)
    n_guide_steps: int = setting(
        1, 'Pushes in every guided denoising step.', low=1, high=100)
    n_unguided_steps: int = setting(0, 'Last denoising steps without guidance.', low=0, high=1000)
    states: Literal['denoised', 'forecast'] = setting(
        'denoised', "States of the candidates, which the guides rank: as they were denoised, or "
        "as the bundle's dynamics model forecasts them from the candidates' actions.")
    clip_denoised: float = setting(
        6.0, 'Bound of every normalised entry of a denoised trajectory; a model that was '
        'trained with scaling limits has the bound 1.',
        unit='standard deviations', low=1.0, high=100.0)
    seed: int = setting(
        0, 'Seed of the noise; the same seed, state and time give the same plan.',
        low=0, high=2**31 - 1)
    provider: Literal['cpu', 'cuda', 'tensorrt', 'auto'] = setting(
        'cpu', "onnxruntime execution provider; 'auto' takes the fastest one that is there.",
        read_only=True)
    n_threads: int = setting(
        1, 'Threads of onnxruntime on the CPU.', low=1, high=64, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
        if len(self.guides) != len(self.guide_weights):
            raise ConfigError(f'guide_weights is {self.guide_weights}, expected '
                              f'{len(self.guides)}, one for each of guides: '
                              f'{", ".join(self.guides)}')
        if len(set(self.guides)) < len(self.guides):
            raise ConfigError(f'guides is {self.guides}, expected each name once')
        if self.guidance_strength > 0:
            self._check_guidance()

    def _check_guidance(self) -> None:
        instead = 'to plan without guidance, set guidance_strength to 0'
        # Diffuser's guidance scales with the noise of a step, and the last step has none.
        n_unguided = max(self.n_unguided_steps, self.guidance == 'diffuser')
        if n_unguided >= self.n_denoise_steps:
            raise ConfigError(
                f'n_unguided_steps is {self.n_unguided_steps} and n_denoise_steps '
                f"{self.n_denoise_steps}: with guidance '{self.guidance}' no step would be "
                f'guided; {instead}')
        if not any(self.guide_weights):
            raise ConfigError(f'guide_weights is {self.guide_weights}: nothing would be guided; '
                              f'{instead}')

    @property
    def decisive(self) -> dict[str, Any]:
        """Settings that decide how good a plan is, as YAML holds them: not noise nor threads."""
        idle = {'seed', 'provider', 'n_threads'}
        if self.guidance_strength == 0:
            idle |= {'guidance', 'n_guide_steps', 'n_unguided_steps'}
        if self.return_weight == 0:
            idle.add('wanted_return')
        for guide, names in TARGETS_OF.items():
            idle.update(names if guide not in self.guides else ())
        return {name: value for name, value in as_facts(self).items() if name not in idle}
