"""How a planner plans: everything that may change without training again."""

from dataclasses import dataclass
from typing import Literal

from ..settings import check_settings, document_settings, setting


@document_settings
@dataclass(frozen=True)
class PlannerConfig:
    """Settings of a planner; a wrong value is refused when this is built."""

    n_candidates: int = setting(
        8, 'Trajectories denoised together, N; the one of the highest value '
        'is chosen.', low=1, high=256)
    sampler: Literal['ddim', 'ddpm'] = setting(
        'ddim', 'Deterministic (DDIM) or ancestral (DDPM) denoising.')
    n_denoise_steps: int = setting(
        2, 'Denoising steps; at most those of the model.',
        low=1, high=1000)
    guidance_scale: float = setting(
        0.0, "Weight of the value's gradient (times the posterior variance) while denoising; 0 "
        'switches it off.', low=0.0, high=100.0)
    n_unguided_steps: int = setting(1, 'Last denoising steps without guidance.', low=0, high=1000)
    states: Literal['denoised', 'forecast'] = setting(
        'denoised', "States of the candidates, which the value ranks: as they were denoised, or "
        "as the bundle's dynamics model forecasts them from the candidates' actions.")
    clip_denoised: float = setting(
        6.0, 'Bound of every normalised entry of a denoised trajectory.',
        unit='standard deviations', low=1.0, high=100.0)
    seed: int = setting(
        0, 'Seed of the noise; the same seed, state and time give the same plan.',
        low=0, high=2**31 - 1)
    provider: Literal['cpu', 'cuda', 'tensorrt', 'auto'] = setting(
        'cpu', "onnxruntime execution provider; 'auto' takes the fastest one that is there.",
        read_only=True)
    n_threads: int = setting(
        1, 'Threads of onnxruntime on the CPU.', low=1, high=64,
        read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
