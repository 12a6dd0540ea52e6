"""Noise schedules against diffusers and against the definitions."""

from diffusers import DDIMScheduler, DDPMScheduler
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
import torch

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.schedule import (
    NoiseSchedule,
    posterior_variance,
    SCHEDULES,
    step_variance,
)

N_STEPS = (20, 100, 1000)


def reference_schedule(name, n_steps, scheduler=DDPMScheduler, **settings):
    """Return diffusers' schedule; the bounds of the linear one are scaled to fewer steps."""
    if name == 'cosine':
        return scheduler(n_steps, beta_schedule='squaredcos_cap_v2', **settings)
    scale = 1000 / n_steps
    return scheduler(n_steps, beta_schedule='linear', beta_start=scale * 1e-4,
                     beta_end=min(scale * 0.02, 1.0), **settings)


@pytest.mark.parametrize('n_steps', N_STEPS)
def test_cosine_variances_are_those_of_diffusers(n_steps):
    schedule, reference = NoiseSchedule('cosine', n_steps), reference_schedule('cosine', n_steps)
    # diffusers computes in single precision.
    assert_allclose(schedule.beta, reference.betas, rtol=1e-5, atol=2e-7)
    assert_allclose(schedule.alpha_bar, reference.alphas_cumprod, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('n_steps', [25, 100, 1000])
def test_linear_variances_are_those_of_diffusers(n_steps):
    schedule, reference = NoiseSchedule('linear', n_steps), reference_schedule('linear', n_steps)
    assert_allclose(schedule.beta, reference.betas, rtol=1e-5)
    assert_allclose(schedule.alpha_bar, reference.alphas_cumprod, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('name', SCHEDULES)
@pytest.mark.parametrize('n_steps', [2, 3, 20, 1000])
def test_noise_grows_from_little_to_almost_all(name, n_steps):
    schedule = NoiseSchedule(name, n_steps)
    assert schedule.beta.shape == schedule.alpha_bar.shape == (n_steps,)
    assert np.all((schedule.beta > 0) & (schedule.beta <= 0.999))
    assert np.all(np.diff(schedule.alpha_bar) < 0)
    assert 0 < schedule.alpha_bar[-1] < 0.01


def test_fewer_linear_steps_destroy_as_much():
    few, many = NoiseSchedule('linear', 200), NoiseSchedule('linear', 1000)
    # log(alpha_bar) is minus the sum of beta, up to the squares of beta.
    assert_allclose(np.log(few.alpha_bar), np.log(many.alpha_bar[4::5]), rtol=0.1, atol=1e-3)


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
    schedule, reference = NoiseSchedule(name, 50), reference_schedule(name, 50)
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


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ConfigError, match="'sigmoid', expected one of linear, cosine"):
        NoiseSchedule('sigmoid', 20)


@pytest.mark.parametrize('n_steps', [-1, 0, 1, 1001])
def test_a_wrong_number_of_steps_is_refused(n_steps):
    with pytest.raises(ConfigError, match=f'is {n_steps}, expected 2 to 1000'):
        NoiseSchedule('cosine', n_steps)
