"""Guides: what they prefer is pushed for while denoising and ranked by afterwards."""

import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.guides.guide_registry import GUIDES
from diffusion_planner_ros.planning.guides.learned_value import LearnedValue
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file

A, HEIGHT = 6, 6  # action entries, and the column of the torso's height


class Height:
    """Prefers trajectories with a high torso."""

    def __init__(self, bundle):
        del bundle

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
def height(monkeypatch):
    monkeypatch.setitem(GUIDES, 'height', Height)


def test_a_registered_guide_ranks_the_candidates(bundle, state, height):
    plan = Planner(bundle, PlannerConfig(guides=('height',))).plan(state)
    heights = plan.candidates[:, :, HEIGHT].mean(axis=1)
    assert plan.best == np.argmax(heights)
    by_value = Planner(bundle, PlannerConfig()).plan(state)
    assert_allclose(plan.values, by_value.values, rtol=1e-5)  # still the predicted return


def test_the_scores_are_the_weighted_sum_of_the_guides(bundle, state, height):
    config = {'n_candidates': 16}
    both = Planner(bundle, PlannerConfig(guides=('learned_value', 'height'),
                                         guide_weights=(2.0, -3.0), **config)).plan(state)
    value, high = (Planner(bundle, PlannerConfig(guides=(name,), **config)).plan(state).scores
                   for name in ('learned_value', 'height'))
    assert_allclose(both.scores, 2.0 * value - 3.0 * high, rtol=1e-5, atol=1e-5)


def test_a_guide_pushes_while_denoising(bundle, state, height):
    def height_of(scale):
        config = PlannerConfig(guides=('height',), guidance_scale=scale,
                               sampler='ddpm', n_denoise_steps=5)
        return Planner(bundle, config).plan(state).candidates[:, 1:, HEIGHT].mean()
    assert height_of(100.0) > height_of(50.0) > height_of(0.0)


def test_the_gradient_of_the_learned_value_is_that_of_finite_differences(bundle):
    guide, rng = LearnedValue(bundle), np.random.default_rng(0)
    x_0 = rng.standard_normal((1, bundle.horizon, bundle.row_dim)).astype(np.float32)
    direction = rng.standard_normal(x_0.shape).astype(np.float32)
    step = np.float32(1e-2)
    slope = (guide.value(x_0 + step * direction) - guide.value(x_0 - step * direction)) / 2 / step
    gradient = guide.gradient(x_0, bundle.value_clean_time)
    assert_allclose(np.sum(gradient * direction), slope[0], rtol=0.02, atol=1e-3)


@pytest.mark.parametrize('states', ['denoised', 'forecast'])
def test_what_is_ranked_is_what_will_be_executed(state, states):
    bundle = Bundle.load(share_file('models/walker2d'))
    plan = Planner(bundle, PlannerConfig(n_candidates=32, states=states)).plan(state)
    assert plan.clamped.any()
    executed = bundle.normalizer.normalize(plan.candidates).astype(np.float32)
    assert_allclose(plan.scores, bundle.clean_value(executed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('settings', 'words'), [
    ({'guides': ('other',)}, "guides is .*'other'.*one of learned_value"),
    ({'guides': ('learned_value', 'learned_value'), 'guide_weights': (1.0, 1.0)},
     'each name once'),
    ({'guide_weights': (1.0, 2.0)}, 'guide_weights is .*expected 1, one for each of guides')])
def test_guides_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        PlannerConfig(**settings)
