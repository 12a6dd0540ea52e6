# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Windows of states or actions alone, wanted returns, improved values, and one step for many."""

from dataclasses import replace

from mass import follow, ROBOT, trained
import numpy as np
from numpy.testing import assert_allclose
import pytest
import torch

from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.errors import ConfigError, ModelError
from diffusion_planner_ros.learning.align_config import AlignConfig
from diffusion_planner_ros.learning.alignment import Aligner
from diffusion_planner_ros.learning.objectives.consistency import consistency_target
from diffusion_planner_ros.learning.objectives.expectile import (
    bootstrapped_returns,
    expectile_loss,
)
from diffusion_planner_ros.learning.onnx_export import TrainedModel
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.planning.bundle import (
    Bundle,
    DYNAMICS_FILE,
    INVERSE_FILE,
    read_facts,
    write_facts,
)
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig

H = 4
CONFIG = TrainConfig(
    width=64, depth=1, value_width=32, value_depth=1, dynamics_width=32, horizon=H, n_updates=400,
    batch_size=128, learning_rate=5e-3, ema_decay=0.98, discount=0.9, fall_penalty=0.0)
# As Decision Diffuser and diffusion policies are: what is exported is tested together.
STATES = {'window': 'states', 'return_share': 0.75}
ACTIONS = {'window': 'actions', 'value_target': 'expectile', 'expectile': 0.95}
SETTINGS = {'states': STATES, 'actions': ACTIONS}
PLANNER = PlannerConfig(n_candidates=64, n_denoise_steps=4)


@pytest.fixture(scope='module')
def episodes():
    """A mass under random forces, rewarded for its velocity."""
    rng, episodes = np.random.default_rng(0), []
    for _ in range(200):
        forces = np.clip(rng.uniform(-1.0, 1.0) + rng.uniform(-0.5, 0.5, (20, 1)), -1.0, 1.0)
        states = follow(rng.normal(0.0, 0.3, 2), forces[:, 0])
        episodes.append(Episode(states, forces, states[1:, 1], False))
    return episodes


@pytest.fixture(scope='module')
def model_of(episodes, tmp_path_factory):
    """Train once for all settings that are asked for; return checkpoint and bundle."""
    known = {}

    def model(teacher=None, **changes):
        key = teacher, tuple(sorted(changes.items()))
        if key not in known:
            known[key] = trained(replace(CONFIG, **changes), episodes,
                                 tmp_path_factory.mktemp('model'), teacher)
        return known[key]
    return model


def errors_of_execution(bundle, planner=PLANNER):
    """Return how far states of plans are from where their forces lead [standard deviations]."""
    errors = []
    for step, state in enumerate(np.random.default_rng(1).normal(0.0, 0.2, (10, 2))):
        plan = Planner(bundle, planner).plan(state, step=step)
        for candidate in plan.candidates:
            errors.append(candidate[:, 1:] - follow(state, candidate[:-1, 0]))
    return np.sqrt(np.mean(np.square(errors / bundle.normalizer.std[1:]), axis=(0, 1)))


@pytest.mark.parametrize('window', ['states', 'actions'])
def test_what_a_window_is_without_follows_from_the_rest(model_of, window):
    _, bundle = model_of(**SETTINGS[window])
    assert bundle.window == window
    assert not bundle.has_plan
    assert (errors_of_execution(bundle) < 0.15).all()


def test_plans_of_states_alone_have_forces_that_differ(model_of):
    _, bundle = model_of(**STATES)
    plan = Planner(bundle, PLANNER).plan(np.zeros(2))
    assert plan.candidates[:, 0, 0].std() > 0.05
    assert_allclose(plan.candidates[:, -1, 0], plan.candidates[:, -2, 0])


@pytest.mark.parametrize(('window', 'shown'), [('states', [1, 2]), ('actions', [0])])
def test_networks_see_only_the_window(model_of, window, shown):
    file, _ = model_of(**SETTINGS[window])
    model = TrainedModel.load(file)
    x_t, t = model.example(3)
    known = torch.zeros_like(x_t, dtype=torch.bool)
    other = x_t.clone()
    hidden = [i for i in range(3) if i not in shown]
    other[:, 1:, hidden] += 1.0
    if window == 'states':
        other[:, 0, hidden] += 1.0
    denoiser = model.networks['diffusion']
    assert torch.equal(denoiser(other, t, known), denoiser(x_t, t, known))
    assert torch.equal(model.value(other, t), model.value(x_t, t))
    assert (denoiser(x_t, t, known)[:, 1:, hidden] == 0).all()


@pytest.mark.parametrize(
    ('window', 'file'), [('states', INVERSE_FILE), ('actions', DYNAMICS_FILE)])
def test_a_window_without_the_network_that_completes_it_is_refused(model_of, tmp_path, window,
                                                                   file):
    _, bundle = model_of(**SETTINGS[window])
    for name in bundle.facts['sha256']:
        if name != file:
            (tmp_path / name).write_bytes((bundle.path / name).read_bytes())
    write_facts(tmp_path, {k: v for k, v in read_facts(bundle.path).items() if k != 'sha256'})
    with pytest.raises(ModelError, match=f"window is '{window}', which needs {file}"):
        Bundle.load(tmp_path)


def test_a_wanted_return_is_followed(model_of):
    _, bundle = model_of(**STATES)

    def speed(**settings):
        plan = Planner(bundle, replace(PLANNER, **settings)).plan(np.zeros(2))
        return plan.candidates[:, -1, 2].mean()
    low, high = (speed(return_weight=1.0, wanted_return=wanted) for wanted in (-1.0, 1.0))
    assert low < speed() < high
    assert speed(return_weight=2.0, wanted_return=1.0) > high


def test_a_model_that_knows_no_returns_refuses_a_wanted_one(model_of):
    _, bundle = model_of()
    with pytest.raises(ConfigError, match=r'return_weight is 1\.0, expected 0: .* return_share'):
        Planner(bundle, replace(PLANNER, return_weight=1.0))


def test_a_low_temperature_makes_plans_alike(model_of):
    _, bundle = model_of()

    def spread(**settings):
        planner = Planner(bundle, replace(PLANNER, sampler='ddpm', **settings))
        compiled = planner.plan(np.zeros(2)).candidates
        general = planner.plan(np.zeros(2), on_step=lambda t, x_t: None).candidates
        assert_allclose(compiled, general, atol=1e-4)
        return compiled[:, :, 0].std()
    assert spread(temperature=0.3) < 0.6 * spread()


def test_the_expectile_of_outcomes_is_what_its_loss_finds():
    outcomes = torch.tensor([0.0, 0.0, 0.0, 1.0])
    guesses = torch.linspace(0, 1, 1001)
    best = [float(guesses[torch.stack([expectile_loss(outcomes - g, tau) for g in guesses])
                          .argmin()]) for tau in (0.5, 0.9)]
    assert_allclose(best, [0.25, 0.75], atol=1e-3)  # 0.9 * 1 (1 - g) = 0.1 * 3 g


def test_a_window_is_worth_its_rewards_and_what_is_expected_at_its_end():
    rewards, discount = np.array([1.0, 2.0, 3.0]), 0.9
    after, expected = 7.0, 10.0
    recorded = sum(r * discount**k for k, r in enumerate(rewards)) + discount**3 * after
    found = bootstrapped_returns(
        torch.tensor([recorded] * 2), torch.tensor([after] * 2), torch.tensor([expected] * 2),
        torch.tensor([False, True]), discount**3)
    assert_allclose(found, [recorded + discount**3 * (expected - after), recorded], rtol=1e-6)


def test_an_upper_expectile_values_plans_above_what_was_achieved(model_of):
    _, mean = model_of()
    _, upper = model_of(**ACTIONS)

    def value(bundle):
        plan = Planner(bundle, PLANNER).plan(np.zeros(2))
        return plan.values.mean()
    assert value(upper) > value(mean) + 0.1


def test_windows_that_turn_out_better_are_imitated_rather(model_of):
    """The mass is rewarded for its velocity, and its recorded forces have a mean of zero."""
    _, bundle = model_of(value_target='expectile', expectile=0.5, weighting='advantage',
                         temperature=0.3, n_updates=600)
    plan = Planner(bundle, PLANNER).plan(np.zeros(2))
    assert plan.candidates[:, :-1, 0].mean() > 0.25


def test_windows_are_weighted_only_by_values_of_what_can_follow():
    with pytest.raises(ConfigError, match=r"weighting is 'advantage', .* but value_target is "
                                          "'returns', expected 'expectile'"):
        TrainConfig(weighting='advantage')


@pytest.mark.parametrize(('name', 'remedy'), [
    ('expectile', "value_target 'expectile', or expectile 0.7"),
    ('temperature', "weighting 'advantage', or temperature 1.0")])
def test_a_setting_that_changes_nothing_is_refused(name, remedy):
    with pytest.raises(ConfigError, match=f'{name} is 0.4, .* expected {remedy}$'):
        TrainConfig(**{name: 0.4})


def candidates(bundle, state, n_denoise_steps):
    config = replace(PLANNER, n_denoise_steps=n_denoise_steps)
    return Planner(bundle, config).plan(state).candidates


def test_one_step_of_a_student_leads_where_many_of_its_teacher_do(model_of):
    file, teacher = model_of()
    _, student = model_of(teacher=file)
    rng = np.random.default_rng(0)
    errors = []
    for state in rng.normal(0.0, 0.3, (5, 2)):
        many = candidates(teacher, state, 20)
        errors.append([np.abs(candidates(bundle, state, 1) - many).mean()
                       for bundle in (teacher, student)])
    of_teacher, of_student = np.mean(errors, axis=0)
    assert of_student < 0.5 * of_teacher


def test_the_last_step_of_a_teacher_ends_at_its_own_prediction(model_of):
    file, _ = model_of()
    diffusion = TrainedModel.load(file).denoiser
    x_t, _ = TrainedModel.load(file).example(2)
    t, known = torch.zeros(2, dtype=torch.long), torch.zeros_like(x_t, dtype=torch.bool)
    target = consistency_target(diffusion, diffusion, x_t, t, known)
    assert_allclose(target, diffusion(x_t, t, known).detach())


def test_a_teacher_of_another_shape_is_refused(model_of, episodes, tmp_path):
    file, _ = model_of()
    with pytest.raises(ModelError, match='was trained with width 64, now 32; learn from a teacher '
                                         'with the same settings'):
        trained(replace(CONFIG, width=32), episodes, tmp_path, file)


def test_a_student_does_not_weight_windows(model_of, episodes, tmp_path):
    file, _ = model_of()
    with pytest.raises(ConfigError, match=r"weighting is 'advantage', but a student imitates its "
                                          r"teacher \(.*checkpoint.pt\), expected 'none'"):
        trained(replace(CONFIG, value_target='expectile', weighting='advantage'), episodes,
                tmp_path, file)


def test_only_joint_windows_can_be_aligned(model_of):
    file, _ = model_of(**STATES)
    with pytest.raises(ModelError, match="trained with window 'states', expected 'joint'"):
        Aligner(file, AlignConfig(), [])


def test_the_robot_is_a_mass(model_of):
    assert model_of()[1].robot == ROBOT
