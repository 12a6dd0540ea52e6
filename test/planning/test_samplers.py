# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The denoising loop against diffusers, and against the exact answer on a Gaussian."""

from dataclasses import dataclass
from pathlib import Path

from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
import numpy as np
from numpy.testing import assert_allclose
import pytest
import torch
from torch import nn

from diffusion_planner_ros.learning.diffusion import Diffusion
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.samplers import ddim_step, ddpm_step, SAMPLERS
from diffusion_planner_ros.schedule import MAX_AMPLIFICATION, NoiseSchedule

H, D = 4, 5
N = 8
T = 20
CLIP = 1.0  # low enough to be active, and the only bound that diffusers knows in DPM-Solver++
# Our names and those of diffusers.
PREDICTIONS = {'x0': 'sample', 'eps': 'epsilon', 'v': 'v_prediction'}
MEAN, STD = 0.7, 0.4
CORRELATION = 0.8
NOTHING = np.zeros((H, D), dtype=np.float32), np.zeros((H, D), dtype=bool)


class RandomNetwork(nn.Module):
    """A fixed random network."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(1)
        self.first, self.second = (torch.from_numpy(rng.normal(size=shape).astype(np.float32))
                                   for shape in ((H * D, 32), (32, H * D)))

    def forward(self, x_t, t, known):
        del known
        hidden = torch.tanh(x_t.flatten(1) @ self.first / 4.0 + t[:, None] / T)
        return (hidden @ self.second / 3.0).reshape(x_t.shape)


@dataclass(frozen=True)
class SmallModel:
    """A small denoiser; it is all that the denoising loop sees of a bundle."""

    schedule: NoiseSchedule
    prediction: str = 'x0'
    path: Path = Path('small')
    largest_entry: float = np.inf
    takes_speed: bool = False

    def denoise(self, x_t, t, known=None, **told):
        del known, told
        diffusion = Diffusion(RandomNetwork(), self.schedule, prediction=self.prediction,
                              seen=torch.ones(H, D, dtype=torch.bool))
        return diffusion(torch.from_numpy(x_t), torch.full((len(x_t),), t), None).numpy()

    def output(self, x_t, t):
        """Return what the network predicts: x_0, eps or v."""
        return RandomNetwork()(x_t, torch.full((len(x_t),), t), None)


@dataclass(frozen=True)
class GaussianDenoiser:
    """E[x_0 | x_t] for x_0 ~ N(MEAN, STD ** 2), entry by entry."""

    schedule: NoiseSchedule
    path: Path = Path('gaussian')
    largest_entry: float = np.inf
    takes_speed: bool = False

    def denoise(self, x_t, t, known=None, **told):
        del known, told
        share = self.schedule.alpha_bar[t]
        gain = np.sqrt(share) * STD ** 2 / (share * STD ** 2 + 1.0 - share)
        return MEAN + gain * (x_t - np.sqrt(share) * MEAN)


@dataclass(frozen=True)
class ConditionalDenoiser:
    """E[x_0 | x_t, first entry] of two correlated normal entries, the first of them known."""

    schedule: NoiseSchedule
    path: Path = Path('conditional')
    largest_entry: float = np.inf
    takes_speed: bool = False

    def denoise(self, x_t, t, known=None, **told):
        del known, told
        share, variance = self.schedule.alpha_bar[t], 1.0 - CORRELATION ** 2
        mean = CORRELATION * x_t[:, :, :1]
        gain = np.sqrt(share) * variance / (share * variance + 1.0 - share)
        second = mean + gain * (x_t[:, :, 1:] - np.sqrt(share) * mean)
        return np.concatenate([np.full_like(mean, 99.0), second], axis=2)


@dataclass(frozen=True)
class InexactNoise:
    """A denoiser of x_0 ~ N(0, 1) whose prediction of eps is wrong by ``error``."""

    schedule: NoiseSchedule
    error: float
    path: Path = Path('inexact')
    largest_entry: float = np.inf
    takes_speed: bool = False

    def denoise(self, x_t, t, known=None, **told):
        del known, told
        share = self.schedule.alpha_bar[t]
        eps = np.sqrt(1.0 - share) * x_t + self.error
        return (x_t - np.sqrt(1.0 - share) * eps) / np.sqrt(share)


def make_planner(model, **settings):
    return Planner(model, PlannerConfig(**{'n_candidates': N, 'clip_denoised': 100.0, **settings}))


def reference_scheduler(scheduler, prediction, **settings):
    return scheduler(T, beta_schedule='squaredcos_cap_v2', timestep_spacing='trailing',
                     prediction_type=PREDICTIONS[prediction], **settings)


def reference_samples(scheduler, model, n_denoise_steps, x_t, **step_settings):
    scheduler.set_timesteps(n_denoise_steps)
    sample = torch.from_numpy(x_t)
    for t in scheduler.timesteps.tolist():
        sample = scheduler.step(model.output(sample, t), t, sample, **step_settings).prev_sample
    return sample.numpy()


def assert_samples_are(expected, model, n_denoise_steps, **settings):
    planner = make_planner(model, n_denoise_steps=n_denoise_steps, clip_denoised=CLIP, **settings)
    # Rounding of single precision, which a predicted eps amplifies up to 400 times.
    atol = 1e-5 if model.prediction == 'x0' else 2e-4
    assert_allclose(planner.denoise(*NOTHING, seeds=[3]), expected, rtol=0, atol=atol)


# diffusers takes the next time of its DDIM to be T // n lower, so n has to divide T.
@pytest.mark.parametrize('prediction', PREDICTIONS)
@pytest.mark.parametrize('n_denoise_steps', [1, 2, 4, 5, 10, 20])
def test_ddim_is_that_of_diffusers(prediction, n_denoise_steps):
    model = SmallModel(NoiseSchedule('cosine', T), prediction)
    x_t = np.random.default_rng(3).standard_normal((N, H, D), dtype=np.float32)
    scheduler = reference_scheduler(DDIMScheduler, prediction, clip_sample=True,
                                    clip_sample_range=CLIP)
    expected = reference_samples(scheduler, model, n_denoise_steps, x_t,
                                 use_clipped_model_output=True)
    assert_samples_are(expected, model, n_denoise_steps)


@pytest.mark.parametrize('prediction', PREDICTIONS)
@pytest.mark.parametrize('n_denoise_steps', [1, 2, 3, 4, 7, 10, 20])
def test_ddpm_is_that_of_diffusers(prediction, n_denoise_steps, monkeypatch):
    model = SmallModel(NoiseSchedule('cosine', T), prediction)
    rng = np.random.default_rng(3)
    x_t, *noise = (rng.standard_normal((N, H, D), dtype=np.float32)
                   for _ in range(n_denoise_steps + 1))
    left = iter(noise)
    monkeypatch.setattr('diffusers.schedulers.scheduling_ddpm.randn_tensor',
                        lambda *args, **settings: torch.from_numpy(next(left)))
    scheduler = reference_scheduler(DDPMScheduler, prediction, clip_sample=True,
                                    clip_sample_range=CLIP)
    expected = reference_samples(scheduler, model, n_denoise_steps, x_t)
    assert_samples_are(expected, model, n_denoise_steps, sampler='ddpm')


@pytest.mark.filterwarnings('ignore:__array__ implementation')  # of torch, to diffusers
@pytest.mark.parametrize('prediction', PREDICTIONS)
@pytest.mark.parametrize('n_denoise_steps', [1, 2, 3, 4, 7, 10, 20])
def test_dpm_solver_is_that_of_diffusers(prediction, n_denoise_steps):
    model = SmallModel(NoiseSchedule('cosine', T), prediction)
    x_t = np.random.default_rng(3).standard_normal((N, H, D), dtype=np.float32)
    scheduler = reference_scheduler(DPMSolverMultistepScheduler, prediction, thresholding=True,
                                    sample_max_value=CLIP)
    expected = reference_samples(scheduler, model, n_denoise_steps, x_t)
    assert_samples_are(expected, model, n_denoise_steps, sampler='dpm_solver')


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_the_comparison_with_diffusers_is_one_of_clipped_predictions(sampler):
    model = SmallModel(NoiseSchedule('cosine', T))
    settings = {'sampler': sampler, 'n_denoise_steps': 4}
    clipped = make_planner(model, clip_denoised=CLIP, **settings).denoise(*NOTHING, seeds=[3])
    free = make_planner(model, **settings).denoise(*NOTHING, seeds=[3])
    assert np.abs(clipped).max() <= CLIP < np.abs(free).max()


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('name', ['cosine', 'linear'])
def test_samples_of_the_optimal_denoiser_have_mean_and_deviation_of_the_gaussian(sampler, name):
    model = GaussianDenoiser(NoiseSchedule(name, 1000))
    planner = make_planner(model, sampler=sampler, n_denoise_steps=1000, n_candidates=256)
    x_0 = planner.denoise(np.zeros((8, 16), np.float32), np.zeros((8, 16), bool), seeds=[0])
    # 32,768 samples: the bounds are 4.5 standard errors, plus 1 % for steps that are not
    # infinitely small.
    assert_allclose(x_0.mean(), MEAN, rtol=0, atol=4.5 * STD / np.sqrt(x_0.size))
    assert_allclose(x_0.std(), STD, rtol=0.01 + 4.5 / np.sqrt(2 * x_0.size))


def sample_inexactly(error, max_amplification, n_steps=T, **settings):
    model = InexactNoise(NoiseSchedule('cosine', n_steps, max_amplification), error)
    planner = make_planner(model, n_candidates=64, **settings)
    return planner.denoise(np.zeros((8, 16), np.float32), np.zeros((8, 16), bool), seeds=[0])


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('n_denoise_steps', [2, 5, 17])
def test_an_error_of_eps_is_not_amplified_more_than_the_schedule_allows(sampler, n_denoise_steps):
    settings = {'sampler': sampler, 'n_denoise_steps': n_denoise_steps, 'clip_denoised': 6.0}
    exact, bounded, free = (
        sample_inexactly(error, bound, **settings)
        for error, bound in ((0.0, MAX_AMPLIFICATION), (0.1, MAX_AMPLIFICATION), (0.1, np.inf)))
    assert_allclose(bounded, exact, rtol=0, atol=0.1 * MAX_AMPLIFICATION)
    if n_denoise_steps == 2:  # an error of 6, the bound of x_0, half of which is left
        assert np.abs(free - exact).mean() > 1.0


def test_normalized_data_are_sampled_from_less_than_the_most_noise():
    x_0 = sample_inexactly(0.0, MAX_AMPLIFICATION, n_steps=1000, n_denoise_steps=800)
    assert_allclose(x_0.mean(), 0.0, rtol=0, atol=4.5 / np.sqrt(x_0.size))
    assert_allclose(x_0.std(), 1.0, rtol=0.01 + 4.5 / np.sqrt(2 * x_0.size))


def deviation_error(sampler, n_denoise_steps):
    """Return how far the deviation of samples of the optimal denoiser is from the Gaussian's."""
    planner = make_planner(GaussianDenoiser(NoiseSchedule('cosine', 1000)), sampler=sampler,
                           n_denoise_steps=n_denoise_steps, n_candidates=1)
    # The map from noise to sample is affine, so its slope is the deviation, without chance.
    shape = (1, 2)
    x_0 = planner.denoise(np.zeros(shape, np.float32), np.zeros(shape, bool), seeds=[0])[0, 0]
    noise = np.random.default_rng(0).standard_normal((1, *shape), dtype=np.float32)[0, 0]
    return abs((x_0[1] - x_0[0]) / (noise[1] - noise[0]) - STD)


def test_the_error_of_ddim_falls_with_the_step():
    n_denoise_steps = (25, 50, 100, 200)
    errors = [deviation_error('ddim', n) for n in n_denoise_steps]
    order = -np.polyfit(np.log(n_denoise_steps), np.log(errors), 1)[0]
    assert 0.8 < order < 1.3, f'DDIM is a method of first order, found {order:.2f}'


@pytest.mark.parametrize(('n_denoise_steps', 'factor'), [(10, 1.5), (20, 4), (40, 10)])
def test_dpm_solver_is_more_exact_than_ddim_with_the_same_steps(n_denoise_steps, factor):
    error, error_of_ddim = (deviation_error(name, n_denoise_steps)
                            for name in ('dpm_solver', 'ddim'))
    assert error < error_of_ddim / factor


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_samples_given_the_first_entry_are_those_of_the_conditional_gaussian(sampler):
    model = ConditionalDenoiser(NoiseSchedule('cosine', 200))
    planner = make_planner(model, sampler=sampler, n_denoise_steps=200, n_candidates=256)
    known = np.tile(np.array([1.5, 0.0], np.float32), (64, 1))
    mask = np.tile([True, False], (64, 1))
    x_0 = planner.denoise(known, mask, seeds=[0])
    assert np.all(x_0[:, :, 0] == 1.5)
    assert_allclose(x_0[:, :, 1].mean(), 1.5 * CORRELATION, rtol=0, atol=0.02)
    assert_allclose(x_0[:, :, 1].std(), 0.6, rtol=0, atol=0.02)


def test_a_ddim_step_to_the_same_time_changes_nothing():
    x_t, x_0 = np.random.default_rng(0).normal(size=(2, N, H, D))
    assert_allclose(ddim_step(x_t, x_0, 0.3, 0.3), x_t, rtol=1e-12)


def test_the_last_step_is_the_prediction_without_noise():
    x_t, x_0 = np.random.default_rng(0).normal(size=(2, N, H, D))
    assert_allclose(ddim_step(x_t, x_0, 0.3, 1.0), x_0, rtol=1e-12)
    mean, std = ddpm_step(x_t, x_0, 0.3, 1.0)
    assert_allclose(mean, x_0, rtol=1e-12)
    assert std == 0.0


def test_an_ancestral_step_keeps_the_distribution_of_the_forward_process():
    """If x_t is drawn from q(x_t | x_0), x_s of one step is drawn from q(x_s | x_0)."""
    rng = np.random.default_rng(0)
    n, x_0, share_t, share_s = 200_000, 1.3, 0.3, 0.6
    x_t = np.sqrt(share_t) * x_0 + np.sqrt(1.0 - share_t) * rng.standard_normal(n)
    mean, std = ddpm_step(x_t, x_0, share_t, share_s)
    x_s = mean + std * rng.standard_normal(n)
    assert_allclose(x_s.mean(), np.sqrt(share_s) * x_0, rtol=0, atol=4.5 * np.sqrt(0.4 / n))
    assert_allclose(x_s.var(), 1.0 - share_s, rtol=4.5 * np.sqrt(2 / n))
