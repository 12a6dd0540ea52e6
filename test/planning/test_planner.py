# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The planner: what is fixed stays fixed, and the same seed gives the same plan."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import onnxruntime
import pytest

from diffusion_planner_ros.errors import ConfigError, ProviderError, StateError
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.conditions import Condition
from diffusion_planner_ros.planning.planner import Planner, Start
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.providers import PROVIDERS
from diffusion_planner_ros.planning.samplers import ddpm_step, SAMPLERS
from diffusion_planner_ros.settings import settings_of

H, S, A = 8, 17, 6
T = 10
SETTINGS = list(settings_of(PlannerConfig))
WITH_RANGE = [k for k in SETTINGS if k.low is not None]
WITH_CHOICES = [k for k in SETTINGS if k.choices]


@pytest.fixture
def make_planner(bundle):
    def make(**settings):
        return Planner(bundle, PlannerConfig(**{'n_candidates': 8, **settings}))
    return make


@pytest.fixture
def state(recorded):
    """A state that the robot really was in."""
    return recorded.episodes[0].observations[5].copy()


def make_condition(*entries):
    """Fix entries, each of them (row, column, value)."""
    known, mask = np.full((H, A + S), np.nan), np.zeros((H, A + S), dtype=bool)
    for row, column, value in entries:
        known[row, column], mask[row, column] = value, True
    return Condition(known, mask)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_the_same_seed_state_and_step_give_the_same_plan(make_planner, state, sampler):
    settings = {'sampler': sampler, 'seed': 3, 'guidance_strength': 1.0}
    first = make_planner(**settings).plan(state, step=7)
    planner = make_planner(**settings)
    planner.plan(state, step=8)  # what was planned before does not matter
    again = planner.plan(state, step=7)
    assert_array_equal(again.candidates, first.candidates)
    assert_array_equal(again.values, first.values)


@pytest.mark.parametrize(('seed', 'step'), [(4, 7), (3, 8), (7, 3)])
def test_another_seed_or_step_gives_another_plan(make_planner, state, seed, step):
    plan = make_planner(seed=3).plan(state, step=7)
    other = make_planner(seed=seed).plan(state, step=step)
    assert np.all(np.abs(other.candidates - plan.candidates)[:, :, :A].max(axis=(1, 2)) > 1e-3)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_candidates_differ(make_planner, state, sampler):
    candidates = make_planner(sampler=sampler, n_candidates=6).plan(state).candidates
    assert len(np.unique(candidates[:, 0, 0])) == 6


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('guidance_strength', [0.0, 50.0])
def test_every_candidate_starts_in_the_measured_state(
        make_planner, state, sampler, guidance_strength):
    planner = make_planner(sampler=sampler, guidance_strength=guidance_strength)
    candidates = planner.plan(state).candidates
    assert candidates.shape == (8, H, A + S)
    assert_allclose(candidates[:, 0, A:], np.tile(state, (8, 1)), rtol=1e-5, atol=1e-5)


def test_velocities_of_the_first_state_are_clipped_and_positions_are_not(make_planner, state):
    state[0], state[8], state[16] = 5.0, 40.0, -40.0
    first = make_planner().plan(state).candidates[:, 0, A:]
    assert_allclose(first[:, 0], 5.0, rtol=1e-5)
    assert_allclose(first[:, 8], 10.0, rtol=1e-5)
    assert_allclose(first[:, 16], -10.0, rtol=1e-5)


def test_the_plan_depends_on_the_state(make_planner, state, recorded):
    planner = make_planner()
    other = recorded.episodes[-1].observations[10]
    assert np.abs(planner.plan(state).actions - planner.plan(other).actions).max() > 0.1  # [N m]


def test_the_state_given_is_not_changed(make_planner, state):
    state[8] = 40.0  # will be clipped
    given = state.copy()
    make_planner().plan(given)
    assert_array_equal(given, state)


@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('guidance_strength', [0.0, 50.0])
def test_a_goal_and_a_committed_action_are_put_back(make_planner, state, sampler,
                                                    guidance_strength):
    condition = make_condition((H - 1, A + 0, 1.1), (H - 1, A + 8, 2.5), (0, 2, -33.0),
                               (3, 5, 44.0))
    planner = make_planner(sampler=sampler, guidance_strength=guidance_strength)
    plan = planner.plan(state, condition=condition)
    found = plan.candidates[:, condition.mask]
    # Single precision is what the networks work in.
    assert_allclose(found, np.tile(condition.known[condition.mask], (8, 1)), rtol=1e-5)
    free = planner.plan(state).candidates[:, condition.mask]
    assert np.all(np.abs(free - found) > 1e-3)


def test_a_condition_changes_what_is_free(make_planner, state):
    planner = make_planner()
    plan = planner.plan(state, condition=make_condition((0, 0, 80.0), (0, 1, -80.0)))
    free = planner.plan(state)
    assert np.abs(plan.states[1:] - free.states[1:]).max() > 1e-3


def test_a_condition_does_not_replace_the_measured_state(make_planner, state):
    plan = make_planner().plan(state, condition=make_condition((0, A, 9.0)))
    assert_allclose(plan.candidates[:, 0, A], state[0], rtol=1e-5)


def test_a_condition_is_not_changed(make_planner, state):
    condition = make_condition((2, 1, 5.0))
    make_planner().plan(state, condition=condition)
    expected = make_condition((2, 1, 5.0))
    assert_array_equal(condition.known, expected.known)
    assert_array_equal(condition.mask, expected.mask)


@pytest.mark.parametrize('name', ['known', 'mask'])
def test_a_condition_of_another_shape_is_refused(make_planner, state, name):
    condition = make_condition()
    wrong = Condition(**{'known': condition.known, 'mask': condition.mask,
                         name: getattr(condition, name)[:-1]})
    with pytest.raises(ConfigError, match=rf"condition's {name} has shape \(7, 23\), expected "
                                          r'\(8, 23\)'):
        make_planner().plan(state, condition=wrong)


def test_a_condition_that_is_not_finite_is_refused(make_planner, state):
    with pytest.raises(ConfigError, match='condition'):
        make_planner().plan(state, condition=make_condition((2, 1, np.nan)))


def test_torques_are_within_the_limits_even_if_they_are_asked_for_beyond(make_planner, state):
    plan = make_planner().plan(state, condition=make_condition((0, 0, 500.0), (1, 3, -500.0)))
    assert np.abs(plan.candidates[:, :, :A]).max() <= 100.0
    assert_array_equal(plan.candidates[:, 0, 0], 100.0)
    assert_array_equal(plan.candidates[:, 1, 3], -100.0)


def test_the_chosen_candidate_is_the_one_of_the_highest_value(make_planner, state):
    plan = make_planner(n_candidates=16).plan(state)
    assert plan.values.shape == (16,)
    assert plan.value == max(plan.values)
    index = plan.values.tolist().index(plan.value)
    assert_array_equal(plan.actions, plan.candidates[index, :, :A])
    assert_array_equal(plan.states, plan.candidates[index, :, A:])
    assert (plan.actions.shape, plan.states.shape) == ((H, A), (H, S))


def test_values_are_those_of_the_candidates_in_units_of_the_return(make_planner, bundle, state):
    plan = make_planner(clip_denoised=1.0).plan(state)
    assert np.abs(plan.candidates[:, :, :A]).max() < 100.0  # no torque was clipped afterwards
    normalized = bundle.normalizer.normalize(plan.candidates).astype(np.float32)
    expected = bundle.value_normalizer.unnormalize(bundle.clean_value(normalized))
    assert_allclose(plan.values, expected, rtol=1e-4)


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_guidance_raises_the_value(make_planner, state, sampler):
    settings = {'sampler': sampler, 'n_candidates': 64, 'n_denoise_steps': T}
    means = [make_planner(guidance_strength=scale, **settings).plan(state).values.mean()
             for scale in (0.0, 0.03, 0.3)]
    assert means[0] < means[1] < means[2]


def test_guidance_is_off_in_the_last_steps(make_planner, state):
    steps = {'n_denoise_steps': 4, 'guidance_strength': 0.3}
    plans = [make_planner(**steps, n_unguided_steps=n).plan(state) for n in (0, 2, 3)]
    plans.append(make_planner(n_denoise_steps=4).plan(state))
    for plan, other in pairwise(plans):
        assert np.abs(plan.candidates - other.candidates).max() > 1e-3
    # The value is pushed up by each guided step.
    means = [plan.values.mean() for plan in plans]
    assert means == sorted(means, reverse=True)


def test_guidance_of_diffuser_pushes_the_mean_and_that_of_hu_what_was_drawn(
        make_planner, state, bundle):
    """With one guided step of ddpm, written out."""
    settings = {'sampler': 'ddpm', 'n_denoise_steps': 2, 'n_candidates': 2, 'clip_denoised': 100.0}
    (t, alpha_bar_t), (s, alpha_bar_s), _ = bundle.schedule.levels(2)
    n_action, rng = bundle.robot.action_dim, np.random.default_rng((0, 0))
    unit = bundle.value_normalizer.std[0] / bundle.reward_scale

    mask = np.zeros((H, A + S), dtype=bool)
    mask[0, A:] = True

    def known(x):
        x[:, 0, n_action:] = bundle.normalizer.normalize_state(state)
        return x.astype(np.float32)
    x_t, noise = (rng.standard_normal((2, H, A + S), dtype=np.float32) for _ in range(2))
    x_t = known(x_t)
    mean, std = ddpm_step(x_t, bundle.denoise(x_t, t, mask), alpha_bar_t, alpha_bar_s)
    drawn, mean = known(mean + std * noise), known(mean)
    beta = 1 - alpha_bar_t / alpha_bar_s
    hu = known(drawn + 3.0 * unit * beta * bundle.value_gradient(drawn, s))
    diffuser = mean
    for _ in range(2):
        push = 3.0 * unit * std ** 2 * bundle.value_gradient(diffuser, s)
        diffuser = known(diffuser + push)
    diffuser = known(diffuser + std * noise)
    for guidance, n_guide_steps, expected in (('hu', 1, hu), ('diffuser', 2, diffuser)):
        seen = []
        make_planner(guidance=guidance, guidance_strength=3.0, n_guide_steps=n_guide_steps,
                     n_unguided_steps=1, **settings).plan(
                         state, on_step=lambda t, x_t, seen=seen: seen.append(x_t))
        assert_allclose(seen[1], expected, rtol=0, atol=2e-5)
    assert np.abs(hu - diffuser).max() > 1e-2


@pytest.mark.parametrize('n_unguided_steps', [2, 3])
def test_guidance_that_guides_nothing_is_refused(n_unguided_steps):
    settings = {'n_denoise_steps': 2, 'n_unguided_steps': n_unguided_steps}
    with pytest.raises(ConfigError, match=f'n_unguided_steps is {n_unguided_steps} and n_denoise'
                                          "_steps 2: with guidance 'hu' no step would be guided"):
        PlannerConfig(guidance_strength=1.0, **settings)
    off = {'guidance_strength': 0.0}
    assert PlannerConfig(**off, **settings).decisive == PlannerConfig(**off).decisive


@pytest.mark.parametrize(('settings', 'words'), [
    ({'guidance': 'diffuser', 'n_denoise_steps': 1}, "with guidance 'diffuser' no step would be"),
    ({'guide_weights': (0.0,)}, r'guide_weights is \(0\.0,\): nothing would be guided')])
def test_guidance_without_effect_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        PlannerConfig(guidance_strength=1.0, **settings)
    PlannerConfig(guidance_strength=0.0, **settings)


def test_denoised_entries_are_bounded(make_planner, bundle, state):
    plan = make_planner(clip_denoised=1.0).plan(state)
    free = bundle.normalizer.normalize(plan.candidates)
    free[:, 0, A:] = 0.0  # the measured state is not bounded
    assert np.abs(free).max() <= 1.0 + 1e-5


@pytest.mark.parametrize('n_denoise_steps', [1, 3, T])
def test_any_number_of_steps_up_to_those_of_the_model_gives_a_plan(
        make_planner, state, n_denoise_steps):
    plan = make_planner(n_denoise_steps=n_denoise_steps).plan(state)
    assert np.all(np.isfinite(plan.candidates))


def test_more_steps_than_the_model_has_are_refused(make_planner):
    with pytest.raises(ConfigError, match=f'n_denoise_steps is {T + 1}, expected at most {T}'):
        make_planner(n_denoise_steps=T + 1)


def test_more_steps_than_a_predicted_eps_allows_are_refused(bundle_of, state):
    bundle = Bundle.load(bundle_of('mlp', 'eps'))
    n_sampled = bundle.schedule.n_sampled
    with pytest.raises(ConfigError, match=f'n_denoise_steps is {T}, expected at most {n_sampled}, '
                                          rf'the .*_eps_bundle: of its {T}, those at which a '):
        Planner(bundle, PlannerConfig(n_denoise_steps=T))
    times = []
    planner = Planner(bundle, PlannerConfig(n_denoise_steps=n_sampled))
    planner.plan(state, on_step=lambda t, x_t: times.append(t))
    assert times == list(range(n_sampled, -1, -1))


@pytest.mark.parametrize('number', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(('index', 'name'), [
    (0, r"position of joint 'rootz' is .*finite number \[m\]"),
    (16, r"velocity of joint 'foot_left_joint' is .*finite number \[rad/s\]")])
def test_a_state_that_is_not_finite_is_refused_and_named(
        make_planner, state, index, name, number):
    state[index] = number
    with pytest.raises(StateError, match=name):
        make_planner().plan(state)


@pytest.mark.parametrize('shape', [(16,), (18,), (1, 17), ()])
def test_a_state_of_another_shape_is_refused(make_planner, shape):
    with pytest.raises(StateError, match=r'expected \(17,\)'):
        make_planner().plan(np.zeros(shape))


@pytest.mark.parametrize('name', ['position', 'velocity'])
def test_a_plan_is_finite_however_large_the_state(make_planner, state, name):
    """A number that single precision does not hold must not become a torque that is none."""
    state[{'position': 0, 'velocity': 8}[name]] = 1e300
    planner = make_planner()
    try:
        plan = planner.plan(state)
    except StateError:
        return
    assert np.all(np.isfinite(plan.candidates))


@pytest.mark.parametrize('setting', WITH_RANGE, ids=lambda k: k.name)
@pytest.mark.parametrize('side', ['below', 'above'])
def test_a_value_outside_its_range_is_refused_with_range_and_unit(setting, side):
    value = {'below': setting.low - 1, 'above': setting.high + 1}[side]
    value = (value,) if setting.is_list else value
    with pytest.raises(ConfigError) as caught:
        PlannerConfig(**{setting.name: value})
    message = str(caught.value)
    assert message.startswith(f'{setting.name} is {value!r}, expected ')
    bounds = [int(b) if setting.type is int else f'{b:g}' for b in (setting.low, setting.high)]
    assert f'from {bounds[0]} to {bounds[1]}' in message
    assert f'[{setting.unit}]' in message or not setting.unit


@pytest.mark.parametrize('setting', WITH_RANGE, ids=lambda k: k.name)
def test_both_ends_of_a_range_are_accepted(setting):
    for end in (setting.low, setting.high):
        value = (end,) if setting.is_list else end
        assert getattr(PlannerConfig(**{setting.name: value}), setting.name) == value


@pytest.mark.parametrize('setting', SETTINGS, ids=lambda k: k.name)
@pytest.mark.parametrize('value', [None, 'nonsense', True, 1.5j, float('nan'), float('inf')],
                         ids=str)
def test_a_value_of_another_kind_is_refused(setting, value):
    if setting.type is str and not setting.choices and isinstance(value, str):
        pytest.skip('any text will do')
    with pytest.raises(ConfigError, match=f'^{setting.name} is .*, expected '):
        PlannerConfig(**{setting.name: value})


@pytest.mark.parametrize('setting', WITH_CHOICES, ids=lambda k: k.name)
def test_an_unknown_choice_is_refused_and_all_are_named(setting):
    with pytest.raises(ConfigError, match=f'one of {", ".join(setting.choices)}'):
        PlannerConfig(**{setting.name: ('other',) if setting.is_list else 'other'})


def test_every_field_of_a_planner_is_a_setting():
    assert [k.name for k in SETTINGS] == [f.name for f in fields(PlannerConfig)]
    assert all(k.description.endswith('.') for k in SETTINGS)


@pytest.mark.parametrize('name', ['cuda', 'tensorrt'])
def test_a_provider_that_is_not_there_is_refused(bundle_of, name):
    if PROVIDERS[name] in onnxruntime.get_available_providers():
        pytest.skip(f'{name} is there')
    with pytest.raises(ProviderError, match=f"provider '{name}' is not available, expected one "
                                            'of .*cpu'):
        Bundle.load(bundle_of('mlp', 'x0'), provider=name)


def test_auto_reports_the_provider_in_use(bundle_of):
    bundle = Bundle.load(bundle_of('mlp', 'x0'), provider='auto')
    has_cuda = PROVIDERS['cuda'] in onnxruntime.get_available_providers()
    assert bundle.provider == ('cuda' if has_cuda else 'cpu')


@pytest.mark.parametrize('is_compiled', [True, False])
def test_a_plan_on_a_gpu_is_that_of_the_cpu(bundle_of, make_planner, state, is_compiled):
    if PROVIDERS['cuda'] not in onnxruntime.get_available_providers():
        pytest.skip('this onnxruntime has no CUDA')
    bundle = Bundle.load(bundle_of('mlp', 'x0'), provider='cuda')
    assert bundle.has_plan
    settings = {'n_candidates': 8, 'sampler': 'ddpm', 'guidance_strength': 1.0}
    planner = Planner(bundle if is_compiled else bundle.without_plan(), PlannerConfig(**settings))
    expected = make_planner(**settings).plan(state, step=4)
    found = planner.plan(state, step=4)
    # Seen where single precision is what it says: 4e-7 of the largest entry; with TF32: 5e-4.
    for name in ('candidates', 'values'):
        reference = getattr(expected, name)
        assert_allclose(getattr(found, name), reference, atol=1e-5 * np.abs(reference).max())


def test_threads_do_not_change_the_plan(bundle_of, make_planner, state):
    two = Planner(Bundle.load(bundle_of('mlp', 'x0'), n_threads=2), PlannerConfig(n_candidates=8))
    assert_allclose(two.plan(state).candidates, make_planner().plan(state).candidates, rtol=1e-3,
                    atol=1e-3)


@pytest.mark.parametrize('settings', [
    {}, {'sampler': 'ddpm', 'n_denoise_steps': 5, 'guidance_strength': 3.0},
    {'sampler': 'dpm_solver', 'n_denoise_steps': 4}, {'states': 'forecast'},
    {'n_candidates': 1}], ids=lambda settings: '_'.join(settings) or 'default')
@pytest.mark.parametrize('is_compiled', [True, False])
def test_plans_from_several_states_are_those_from_each(bundle, recorded, settings, is_compiled):
    planner = Planner(bundle if is_compiled else bundle.without_plan(), PlannerConfig(**settings))
    condition = make_condition((0, 2, -33.0), (H - 1, A, 1.1))
    starts = [Start(episode.observations[5], step, fixed) for episode, step, fixed in zip(
        recorded.episodes, (4, 9, 4), (None, condition, None), strict=False)]
    plans = planner.plans(starts)
    assert len(plans) == 3
    for start, plan in zip(starts, plans, strict=True):
        expected = planner.plan(start.state, step=start.step, condition=start.condition)
        scale = bundle.normalizer.std
        assert_allclose(plan.candidates / scale, expected.candidates / scale, rtol=0, atol=2e-5)
        assert_allclose(plan.values, expected.values, rtol=1e-4)
        assert_array_equal(plan.clamped, expected.clamped)


def test_a_plan_graph_of_one_state_is_not_asked_for_several(bundle, recorded):
    """Bundles before format 5.1 have one."""
    older = replace(bundle)
    older.__dict__['plans_several'] = False  # as a cached property is
    planner = Planner(older, PlannerConfig())
    starts = [Start(episode.observations[5]) for episode in recorded.episodes[:2]]
    general = Planner(bundle.without_plan(), PlannerConfig())
    for found, expected in zip(planner.plans(starts), general.plans(starts), strict=True):
        assert_array_equal(found.candidates, expected.candidates)


def test_one_state_among_several_that_is_not_finite_is_refused(make_planner, recorded):
    starts = [Start(episode.observations[5].copy()) for episode in recorded.episodes[:3]]
    starts[1].state[3] = np.nan
    with pytest.raises(StateError, match='is nan, expected a finite number'):
        make_planner().plans(starts)
