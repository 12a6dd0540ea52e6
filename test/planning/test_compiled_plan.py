# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The compiled plan is that of the general loop, and serves only what it computes."""

import shutil

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.errors import ModelError, StateError
from diffusion_planner_ros.learning.networks.denoiser_registry import DENOISERS
from diffusion_planner_ros.planning.bundle import Bundle, read_facts, write_facts
from diffusion_planner_ros.planning.compiled_plan import CompiledPlan
from diffusion_planner_ros.planning.conditions import Condition
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.samplers import ddim, SAMPLERS

H, S, A = 8, 17, 6


@pytest.fixture(scope='module')
def general(bundle):
    """The same bundle without the graph of whole plans: only the general loop is left."""
    return bundle.without_plan()


@pytest.fixture
def state(recorded):
    return recorded.episodes[0].observations[5].copy()


@pytest.fixture
def condition():
    """An action that is committed, a torque beyond its limit, and a goal."""
    known, mask = np.full((H, A + S), np.nan), np.zeros((H, A + S), dtype=bool)
    for row, column, value in ((0, 2, -33.0), (1, 3, 500.0), (H - 1, A, 1.1)):
        known[row, column], mask[row, column] = value, True
    return Condition(known, mask)


def assert_same_plan(bundle, general, config, state, condition=None, step=3, tolerance=2e-5):
    assert CompiledPlan.serves(bundle, config)
    assert not CompiledPlan.serves(general, config)
    found, expected = (Planner(b, config).plan(state, step=step, condition=condition)
                       for b in (bundle, general))
    normalized = [bundle.normalizer.normalize(plan.candidates) for plan in (found, expected)]
    assert_allclose(*normalized, rtol=0, atol=tolerance)
    assert_array_equal(found.clamped, expected.clamped)
    for name in ('values', 'scores'):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=5 * tolerance,
                        atol=5 * tolerance)
    return found


@pytest.mark.parametrize('sampler', ['ddim', 'ddpm'])
@pytest.mark.parametrize('n_denoise_steps', [1, 2, 5])
@pytest.mark.parametrize('n_candidates', [1, 8])
@pytest.mark.parametrize(('guidance', 'guidance_strength'), [
    ('hu', 0.0), ('hu', 3.0), ('diffuser', 3.0)])
def test_the_plan_is_that_of_the_general_loop(
        bundle, general, state, condition, sampler, n_denoise_steps, n_candidates, guidance,
        guidance_strength):
    if guidance == 'diffuser' and n_denoise_steps == 1:
        pytest.skip('guides nothing')
    config = PlannerConfig(sampler=sampler, n_denoise_steps=n_denoise_steps, seed=2,
                           n_candidates=n_candidates, guidance=guidance,
                           guidance_strength=guidance_strength)
    assert_same_plan(bundle, general, config, state)
    plan = assert_same_plan(bundle, general, config, state, condition)
    assert plan.clamped[:, 1].all()


def test_the_last_steps_without_guidance_are_those_of_the_general_loop(bundle, general, state):
    settings = {'n_denoise_steps': 5, 'guidance_strength': 3.0, 'guide_weights': (-2.0,)}
    values = [assert_same_plan(bundle, general, PlannerConfig(n_unguided_steps=n, **settings),
                               state).values for n in (0, 3, 4)]
    assert np.abs(values[0] - values[1]).max() > 1e-2
    assert np.abs(values[1] - values[2]).max() > 1e-2


@pytest.mark.parametrize('denoiser', list(DENOISERS))
def test_the_plan_of_every_denoiser_is_that_of_the_general_loop(
        bundle_of, state, condition, denoiser):
    bundle = Bundle.load(bundle_of(denoiser, 'eps'))
    config = PlannerConfig(n_denoise_steps=5, guidance_strength=3.0)
    # An x_0 that is computed from eps at much noise has its rounding errors many times over.
    assert_same_plan(bundle, bundle.without_plan(), config, state, condition, tolerance=1e-3)


def test_a_low_bound_is_that_of_the_general_loop(bundle, general, state):
    assert_same_plan(bundle, general, PlannerConfig(clip_denoised=1.0), state)


def other_sampler(model, x_t, levels):
    """Take the steps of DDIM, without saying so."""
    yield from ddim(model, x_t, levels)


def test_settings_that_the_graph_does_not_know_run_in_the_general_loop(
        bundle, general, state, monkeypatch):
    monkeypatch.setitem(SAMPLERS, 'other', other_sampler)
    for settings in ({'sampler': 'other'}, {'states': 'forecast'}, {'guides': ('effort',)},
                     {'n_guide_steps': 2}):
        config = PlannerConfig(**settings)
        assert not CompiledPlan.serves(bundle, config)
        found, expected = (Planner(b, config).plan(state) for b in (bundle, general))
        assert_array_equal(found.candidates, expected.candidates)
        assert_array_equal(found.values, expected.values)


def test_whoever_watches_the_steps_sees_those_of_the_same_plan(bundle, state):
    seen = []
    planner = Planner(bundle, PlannerConfig())
    watched = planner.plan(state, on_step=lambda t, x_t: seen.append(x_t))
    assert len(seen) == 3
    assert_allclose(watched.candidates, planner.plan(state).candidates, rtol=1e-3, atol=1e-3)


def test_a_plan_that_is_not_finite_is_refused(bundle, state):
    """NaN must go through clipping to where it is noticed."""
    state[0] = 1e300
    for guidance_strength in (0.0, 1.0):
        with pytest.raises(StateError, match='the plan has values that are not finite'):
            Planner(bundle, PlannerConfig(guidance_strength=guidance_strength)).plan(state)


@pytest.fixture
def copy(bundle_of, tmp_path):
    """Folder of a bundle that a test may damage."""
    return shutil.copytree(bundle_of('mlp', 'x0'), tmp_path / 'copy')


def test_a_bundle_without_the_graph_plans_all_the_same(bundle, copy, state):
    (copy / 'plan.onnx').unlink()
    write_facts(copy, read_facts(copy))
    without = Bundle.load(copy)
    assert not without.has_plan
    with pytest.raises(ModelError, match=r'plan\.onnx: no such file in this bundle'):
        without.plan({})
    found, expected = (Planner(b, PlannerConfig()).plan(state) for b in (without, bundle))
    assert_allclose(found.candidates, expected.candidates, rtol=1e-3, atol=1e-3)


def test_another_graph_in_its_place_is_refused(copy):
    shutil.copy(copy / 'denoiser.onnx', copy / 'plan.onnx')
    write_facts(copy, read_facts(copy))
    with pytest.raises(ModelError, match=r'plan\.onnx: inputs are x_t, times, known, expected dr'):
        Bundle.load(copy)
