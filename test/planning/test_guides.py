# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Guides: what they prefer is pushed for while denoising and ranked by afterwards."""

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.normalizer import Normalizer
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.guides.guide_registry import GUIDES
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.schedule import CLEAN
from diffusion_planner_ros.share import share_file

A, HEIGHT = 6, 6  # action entries, and the column of the torso's height


class Tall:
    """Prefers trajectories with a high torso."""

    def __init__(self, bundle, config):
        del bundle, config

    def value(self, x_0):
        return x_0[:, :, HEIGHT].mean(axis=1)

    def gradient(self, x_t, t):
        del t
        gradient = np.zeros_like(x_t)
        gradient[:, :, HEIGHT] = 1.0 / x_t.shape[1]
        return gradient


@pytest.fixture(scope='module')
def bundle(bundle_of):
    return Bundle.load(bundle_of('mlp', 'x0'))


@pytest.fixture
def state(recorded):
    return recorded.episodes[0].observations[3].copy()


@pytest.fixture
def tall(monkeypatch):
    monkeypatch.setitem(GUIDES, 'tall', Tall)


def test_a_registered_guide_ranks_the_candidates(bundle, state, tall):
    plan = Planner(bundle, PlannerConfig(guides=('tall',))).plan(state)
    heights = plan.candidates[:, :, HEIGHT].mean(axis=1)
    assert plan.best == np.argmax(heights)
    by_value = Planner(bundle, PlannerConfig()).plan(state)
    assert_allclose(plan.values, by_value.values, rtol=1e-5)  # still the predicted return


def test_the_scores_are_the_weighted_sum_of_the_guides(bundle, state, tall):
    config = {'n_candidates': 16}
    both = Planner(bundle, PlannerConfig(guides=('learned_value', 'tall'),
                                         guide_weights=(2.0, -3.0), **config)).plan(state)
    value, high = (Planner(bundle, PlannerConfig(guides=(name,), **config)).plan(state).scores
                   for name in ('learned_value', 'tall'))
    assert_allclose(both.scores, 2.0 * value - 3.0 * high, rtol=1e-5, atol=1e-5)


def test_a_guide_pushes_while_denoising(bundle, state, tall):
    def height_of(scale):
        config = PlannerConfig(guides=('tall',), guidance_strength=scale,
                               sampler='ddpm', n_denoise_steps=5)
        return Planner(bundle, config).plan(state).candidates[:, 1:, HEIGHT].mean()
    assert height_of(100.0) > height_of(50.0) > height_of(0.0)


TARGETS = {'target_speed': 3.0, 'target_height': 1.1, 'target_state': (0.3,) * 17}


@pytest.mark.parametrize('name', sorted(GUIDES.keys() - {'walls', 'obstacles'}))
def test_the_gradient_of_a_guide_is_that_of_finite_differences(bundle, name):
    guide, rng = GUIDES[name](bundle, PlannerConfig(**TARGETS)), np.random.default_rng(0)
    x_0 = rng.standard_normal((2, bundle.horizon, bundle.row_dim)).astype(np.float32)
    direction = rng.standard_normal(x_0.shape).astype(np.float32)
    step = np.float32(1e-2)
    slope = (guide.value(x_0 + step * direction) - guide.value(x_0 - step * direction)) / 2 / step
    gradient = guide.gradient(x_0, CLEAN)
    assert gradient.dtype == np.float32
    assert_allclose(np.sum(gradient * direction, axis=(1, 2)), slope, rtol=0.03, atol=3e-2)


def executed(plan):
    """Return what the guides prefer, mean over the candidates, from a plan in SI units."""
    states, torques = plan.candidates[:, :, A:], plan.candidates[:, :, :A]
    return {'speed': -np.square(states[:, :, 8] - TARGETS['target_speed']).sum(axis=1).mean(),
            'height': -np.square(states[:, :, 0] - TARGETS['target_height']).sum(axis=1).mean(),
            'effort': -np.square(torques / 100.0).sum(axis=(1, 2)).mean(),
            'smoothness': -np.square(np.diff(torques / 100.0, axis=1)).sum(axis=(1, 2)).mean()}


@pytest.mark.parametrize('guidance', ['hu', 'diffuser'])
@pytest.mark.parametrize('name', ['speed', 'height', 'effort', 'smoothness'])
def test_a_guide_makes_plans_more_as_it_prefers(state, name, guidance):
    bundle = Bundle.load(share_file('models/walker2d'))
    weight = {'height': 100.0}.get(name, 1.0)
    free, guided = (
        Planner(bundle, PlannerConfig(
            guides=(name,), guide_weights=(weight,), guidance=guidance, guidance_strength=strength,
            n_denoise_steps=4, n_candidates=64, **TARGETS)).plan(state)
        for strength in (0.0, 1.0))
    assert executed(guided)[name] > executed(free)[name]
    # What is ranked is the same preference, in SI units.
    assert_allclose(free.scores.mean(), weight / 2 * executed(free)[name], rtol=1e-3)


def test_a_distance_is_measured_in_deviations_of_the_data(bundle, state):
    target = bundle.normalizer.mean[A:] + 2 * bundle.normalizer.std[A:]
    guide = GUIDES['state'](bundle, PlannerConfig(target_state=tuple(target)))
    x_0 = np.zeros((1, bundle.horizon, bundle.row_dim), dtype=np.float32)
    assert_allclose(guide.value(x_0), -0.5 * 4 * 17 * bundle.horizon, rtol=1e-5)


@pytest.mark.parametrize(('settings', 'words'), [
    ({'guides': ('speed',), 'speed_joint': 'wheel'},
     "joint 'wheel' has no velocity in the state of walker2d, expected one of rootx, rootz"),
    ({'guides': ('height',), 'height_joint': 'rootx'}, "joint 'rootx' has no position"),
    ({'guides': ('state',)}, 'target_state has 1 entries, expected 17')])
def test_a_target_that_the_robot_does_not_have_is_refused(bundle, settings, words):
    with pytest.raises(ConfigError, match=words):
        Planner(bundle, PlannerConfig(**settings))


def test_the_strength_means_the_same_with_any_unit_of_the_value(bundle, state, monkeypatch):
    """A network that gives a tenth of the value, with a normaliser ten times as wide."""
    bundle, settings = bundle.without_plan(), PlannerConfig(guidance_strength=0.1, n_candidates=4)
    plan = Planner(bundle, settings).plan(state)
    for name in ('value', 'value_gradient'):
        method = getattr(Bundle, name)
        monkeypatch.setattr(Bundle, name,
                            lambda self, x_t, t, method=method: method(self, x_t, t) / 10)
    wide = Normalizer(bundle.value_normalizer.mean, 10 * bundle.value_normalizer.std)
    other = Planner(replace(bundle, value_normalizer=wide), settings).plan(state)
    assert_allclose(other.candidates, plan.candidates, rtol=1e-3, atol=1e-3)
    assert_allclose(other.scores, plan.scores, rtol=1e-3, atol=1e-3)


def test_the_strength_means_about_the_same_with_any_number_of_steps(state):
    bundle = Bundle.load(share_file('models/walker2d'))
    pushes = []
    for n_denoise_steps in (2, 4, 10, 20):
        free, guided = (
            Planner(bundle, PlannerConfig(
                guidance_strength=strength, n_denoise_steps=n_denoise_steps, n_candidates=64)
            ).plan(state).candidates[:, 0, :A] for strength in (0.0, 1.0))
        pushes.append(np.sqrt(np.mean(np.square(guided - free))))
    # With more steps the denoiser hears more often of what it was pushed to.
    assert max(pushes) < 3.0 * min(pushes), pushes


@pytest.mark.parametrize('states', ['denoised', 'forecast'])
def test_what_is_ranked_is_what_will_be_executed(state, states):
    bundle = Bundle.load(share_file('models/walker2d'))
    plan = Planner(bundle, PlannerConfig(n_candidates=32, states=states)).plan(state)
    assert plan.clamped.any()
    executed = bundle.normalizer.normalize(plan.candidates).astype(np.float32)
    unit = bundle.value_normalizer.std[0] / bundle.reward_scale
    assert_allclose(plan.scores, unit * bundle.clean_value(executed), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(('settings', 'words'), [
    ({'guides': ('other',)}, "guides is .*'other'.*one of learned_value"),
    ({'guides': ('learned_value', 'learned_value'), 'guide_weights': (1.0, 1.0)},
     'each name once'),
    ({'guide_weights': (1.0, 2.0)}, 'guide_weights is .*expected 1, one for each of guides')])
def test_guides_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        PlannerConfig(**settings)
