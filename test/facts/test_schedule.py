# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Noise schedules against diffusers and against the definitions."""

from itertools import pairwise

from diffusers import DDIMScheduler, DDPMScheduler
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import torch

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.planning.samplers import ddim_step
from diffusion_planner_ros.schedule import (
    MAX_AMPLIFICATION,
    NoiseSchedule,
    posterior_variance,
    SCHEDULES,
    step_variance,
)

N_STEPS = (20, 100, 1000)


def reference_schedule(name, n_steps, scheduler=DDPMScheduler, **settings):
    """Return diffusers' schedule."""
    names = {'cosine': 'squaredcos_cap_v2', 'linear': 'linear'}
    return scheduler(n_steps, beta_schedule=names[name], **settings)


@pytest.mark.parametrize('n_steps', N_STEPS)
def test_cosine_variances_are_those_of_diffusers(n_steps):
    schedule, reference = NoiseSchedule('cosine', n_steps), reference_schedule('cosine', n_steps)
    # diffusers computes in single precision.
    assert_allclose(schedule.beta, reference.betas, rtol=1e-5, atol=2e-7)
    assert_allclose(schedule.alpha_bar, reference.alphas_cumprod, rtol=1e-4, atol=1e-6)


def test_linear_variances_are_those_of_the_paper():
    schedule, reference = NoiseSchedule('linear', 1000), reference_schedule('linear', 1000)
    assert_allclose(schedule.beta, reference.betas, rtol=1e-5)
    assert_allclose(schedule.alpha_bar, reference.alphas_cumprod, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('n_steps', [2, 3, 5, 7, 10, 20, 50, 100, 333, 999])
def test_fewer_linear_steps_are_those_that_diffusers_takes_of_the_paper(n_steps):
    reference = reference_schedule('linear', 1000, timestep_spacing='trailing')
    reference.set_timesteps(n_steps)
    expected = reference.alphas_cumprod[reference.timesteps].flip(0)
    assert_allclose(NoiseSchedule('linear', n_steps).alpha_bar, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('name', SCHEDULES)
@pytest.mark.parametrize('n_steps', [2, 3, 20, 1000])
def test_noise_grows_from_little_to_almost_all(name, n_steps):
    schedule = NoiseSchedule(name, n_steps)
    assert schedule.beta.shape == schedule.alpha_bar.shape == (n_steps,)
    assert np.all((schedule.beta > 0) & (schedule.beta < 1))
    assert np.all(np.diff(schedule.alpha_bar) < 0)
    assert 0 < schedule.alpha_bar[-1] < 0.01


def test_any_number_of_linear_steps_is_the_same_process():
    for n_steps in range(2, 1001):
        alpha_bar = NoiseSchedule('linear', n_steps).alpha_bar
        u = np.arange(1, n_steps + 1) / n_steps
        assert np.all(np.diff(alpha_bar) < 0)
        assert_allclose(alpha_bar[-1], NoiseSchedule('linear', 1000).alpha_bar[-1], rtol=1e-9)
        # What infinitely small steps do, eq. 33 of Song et al. (2021),
        # https://arxiv.org/abs/2011.13456. Times are rounded to a step of the paper, 0.001.
        assert_allclose(np.log(alpha_bar), -0.1 * u - 9.95 * u ** 2, rtol=0.01, atol=0.012)


@pytest.mark.parametrize('name', SCHEDULES)
@pytest.mark.parametrize('n_steps', [2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000])
def test_a_gaussian_is_sampled_with_any_number_of_steps(name, n_steps):
    mean, std = 0.7, 0.4
    levels = NoiseSchedule(name, n_steps).levels(n_steps)
    x = np.array([0.0, 1.0])  # noise; the map from noise to samples is affine
    for (_, share), (_, next_share) in pairwise(levels):
        gain = np.sqrt(share) * std ** 2 / (share * std ** 2 + 1.0 - share)
        x_0 = mean + gain * (x - np.sqrt(share) * mean)  # of the optimal denoiser
        x = ddim_step(x, x_0, share, next_share)
    assert_allclose(x[0], mean, rtol=0, atol=0.005)
    # DDIM is of first order, and its steps narrow what is sampled.
    assert 1.0 - 4.0 / n_steps < (x[1] - x[0]) / std < 1.001


def levels(schedule):
    """Return alpha_bar after and before every step, none left to 1 at the first."""
    return schedule.alpha_bar, np.concatenate([[1.0], schedule.alpha_bar[:-1]])


def noise_variance(reference, t):
    """Return the variance of the noise that diffusers adds in one step, here to zero."""
    zero = torch.zeros(1, 1)
    noise = torch.randn(1, 1, generator=torch.manual_seed(0))
    step = reference.step(zero, t, zero, generator=torch.manual_seed(0))
    return float(step.prev_sample / noise) ** 2


@pytest.mark.parametrize('name', SCHEDULES)
def test_posterior_variance_is_that_of_diffusers(name):
    schedule = NoiseSchedule(name, 50)
    reference = DDPMScheduler(50, trained_betas=schedule.beta)
    expected = [noise_variance(reference, t) for t in range(50)]
    assert_allclose(posterior_variance(*levels(schedule)), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('name', SCHEDULES)
def test_posterior_variance_is_that_of_the_product_of_two_gaussians(name):
    schedule = NoiseSchedule(name, 20)
    after, before = levels(schedule)
    # q(x_s | x_t, x_0) is proportional to q(x_t | x_s) q(x_s | x_0): precisions add up.
    precision = (1.0 - schedule.beta) / schedule.beta + 1.0 / np.maximum(1.0 - before, 1e-300)
    assert_allclose(posterior_variance(after, before), 1.0 / precision, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize('name', SCHEDULES)
def test_the_variance_of_a_step_is_what_the_schedule_adds_in_it(name):
    schedule = NoiseSchedule(name, 20)
    assert_allclose(step_variance(*levels(schedule)), schedule.beta, rtol=1e-9)


@pytest.mark.parametrize('n_steps', [20, 100])
@pytest.mark.parametrize('n_denoise_steps', [1, 2, 3, 4, 5, 7, 10, 13, 19, 20])
def test_times_of_fewer_steps_are_those_of_diffusers(n_steps, n_denoise_steps):
    reference = reference_schedule('cosine', n_steps, DDIMScheduler, timestep_spacing='trailing')
    reference.set_timesteps(n_denoise_steps)
    found = NoiseSchedule('cosine', n_steps).ddim_steps(n_denoise_steps)
    assert_array_equal(found, reference.timesteps)


@pytest.mark.parametrize('n_steps', [2, 7, 20, 50, 1000])
def test_times_fall_from_the_most_noise_and_are_as_many_as_asked(n_steps):
    schedule = NoiseSchedule('cosine', n_steps)
    for n_denoise_steps in range(1, min(n_steps, 100) + 1):
        times = schedule.ddim_steps(n_denoise_steps)
        assert len(times) == n_denoise_steps
        assert times[0] == n_steps - 1
        assert np.all(np.diff(times) < 0)
        assert times[-1] >= 0


@pytest.mark.parametrize('name', SCHEDULES)
@pytest.mark.parametrize('n_steps', [2, 3, 10, 20, 100, 1000])
def test_where_eps_is_predicted_sampling_begins_where_x_0_can_be_computed_from_it(name, n_steps):
    every = NoiseSchedule(name, n_steps)
    schedule = NoiseSchedule(name, n_steps, max_amplification=MAX_AMPLIFICATION)
    assert 1 <= schedule.n_sampled < every.n_sampled == n_steps
    first = schedule.levels(1)[0]
    assert first == every.levels(n_steps)[n_steps - schedule.n_sampled]
    assert first[1] ** -0.5 <= MAX_AMPLIFICATION < schedule.alpha_bar[schedule.n_sampled] ** -0.5
    assert schedule.levels(schedule.n_sampled) == every.levels(n_steps)[-schedule.n_sampled - 1:]


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ConfigError, match="'sigmoid', expected one of linear, cosine"):
        NoiseSchedule('sigmoid', 20)


@pytest.mark.parametrize('n_steps', [-1, 0, 1, 1001])
def test_a_wrong_number_of_steps_is_refused(n_steps):
    with pytest.raises(ConfigError, match=f'is {n_steps}, expected 2 to 1000'):
        NoiseSchedule('cosine', n_steps)
