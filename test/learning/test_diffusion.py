# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Forward process, loss and networks of a diffusion of trajectories."""

from collections import Counter

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import onnxruntime
import pytest
import torch
from torch import nn

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.learning.diffusion import Diffusion, loss_weight
from diffusion_planner_ros.learning.networks.builders import (
    build_diffusion,
    build_networks,
    build_value,
)
from diffusion_planner_ros.learning.networks.denoiser_registry import DENOISERS
from diffusion_planner_ros.learning.onnx_export import TrainedModel, WeightWriter
from diffusion_planner_ros.learning.random_conditions import first_states, random_conditions
from diffusion_planner_ros.learning.train_config import TrainConfig
from diffusion_planner_ros.planning.bundle import NETWORK_FILES
from diffusion_planner_ros.schedule import CLEAN, NoiseSchedule
from diffusion_planner_ros.settings import settings_of

H, A, S = 4, 2, 3
D = A + S
T = 20
SCHEDULE = NoiseSchedule('cosine', T)
ALL = torch.ones(H, D, dtype=torch.bool)
BUILT_IN = tuple(DENOISERS)


class Given(nn.Module):
    """A network whose answer is given, whatever it sees."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x_t, t, known):
        del x_t, t, known
        return self.answer


def make_diffusion(answer=None, *, prediction='x0'):
    return Diffusion(Given(answer), SCHEDULE, prediction=prediction, seen=ALL)


def random_rows(batch_size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch_size, H, D, generator=generator)


def awakened(network):
    """Give what is zero until it has learned some value, as a few updates do."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return network


def noised(diffusion, x_0, t, eps):
    return diffusion.noised(x_0, t, eps, first_states(x_0, A))


@pytest.mark.parametrize('t', [0, 5, T // 2, T - 1])
def test_noised_rows_have_mean_and_variance_of_the_forward_process(t):
    n = 20_000
    x_0 = random_rows(1).expand(n, H, D)
    eps = random_rows(n, seed=1)
    x_t = noised(make_diffusion(), x_0, torch.full((n,), t), eps)
    share = SCHEDULE.alpha_bar[t]
    is_noised = np.ones((H, D), dtype=bool)
    is_noised[0, A:] = False
    # Bounds of five standard errors.
    assert_allclose(x_t.mean(0)[is_noised], np.sqrt(share) * x_0[0][is_noised], rtol=0,
                    atol=5 * np.sqrt((1 - share) / n))
    assert_allclose(x_t.var(0)[is_noised], 1 - share, rtol=5 * np.sqrt(2 / n))


def test_the_closed_form_is_that_of_all_steps_taken_one_by_one():
    n, t = 100_000, 7
    rng = np.random.default_rng(0)
    x = np.full(n, 1.7)
    for beta in SCHEDULE.beta[:t + 1]:  # eq. 2 of Ho et al. (2020)
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * rng.standard_normal(n)
    x_0 = torch.full((n, 1, 1), 1.7)
    diffusion = Diffusion(Given(None), SCHEDULE, prediction='x0', seen=ALL)
    eps = torch.randn(n, 1, 1, generator=torch.Generator().manual_seed(0))
    x_t = diffusion.noised(x_0, torch.full((n,), t), eps, torch.zeros(n, 1, 1, dtype=torch.bool))
    assert_allclose(x_t.mean(), x.mean(), rtol=0, atol=6 * np.sqrt(1 / n))
    assert_allclose(x_t.std(), x.std(), rtol=6 / np.sqrt(n))


def test_the_first_state_is_never_noised():
    x_0, eps = random_rows(T), random_rows(T, seed=1)
    x_t = noised(make_diffusion(), x_0, torch.arange(T), eps)
    is_kept = (x_t == x_0).numpy()
    expected = np.zeros((T, H, D), dtype=bool)
    expected[:, 0, A:] = True
    assert_array_equal(is_kept, expected)


def test_a_clean_window_stays_as_it_is_beside_noised_ones():
    x_0, eps = random_rows(3), random_rows(3, seed=1)
    x_t = noised(make_diffusion(), x_0, torch.tensor([CLEAN, 0, CLEAN]), eps)
    assert_array_equal(x_t[::2], x_0[::2])
    assert_array_equal(x_t[1:2], noised(make_diffusion(), x_0[1:2], torch.tensor([0]), eps[1:2]))
    assert not torch.equal(x_t[1], x_0[1])


def test_every_window_is_noised_at_its_own_time():
    x_0, eps = random_rows(3), random_rows(3, seed=1)
    t = torch.tensor([0, 19, 7])
    together = noised(make_diffusion(), x_0, t, eps)
    for i in range(3):
        alone = noised(make_diffusion(), x_0[i:i + 1], t[i:i + 1], eps[i:i + 1])
        assert_array_equal(together[i:i + 1], alone)


def test_noising_does_not_change_its_input():
    x_0, eps = random_rows(2), random_rows(2, seed=1)
    noised(make_diffusion(), x_0, torch.tensor([3, 4]), eps)
    assert_array_equal(x_0, random_rows(2))
    assert_array_equal(eps, random_rows(2, seed=1))


def target_of(prediction, x_0, t, eps):
    """Return what a network is to predict; v is a turn of x_0 and eps by a right angle."""
    alpha_bar = torch.as_tensor(SCHEDULE.alpha_bar, dtype=torch.float32)[t][:, None, None]
    v = alpha_bar.sqrt() * eps - (1.0 - alpha_bar).sqrt() * x_0
    return {'x0': x_0, 'eps': eps, 'v': v}[prediction]


@pytest.mark.parametrize('prediction', ['eps', 'v'])
def test_a_network_that_knows_the_noise_finds_the_clean_rows(prediction):
    x_0, eps = random_rows(T), random_rows(T, seed=1)
    t = torch.arange(T)
    diffusion = make_diffusion(target_of(prediction, x_0, t, eps), prediction=prediction)
    found = diffusion(noised(diffusion, x_0, t, eps), t, first_states(x_0, A))
    # What the sampler knows anyway, the first state, does not count. The noise that is divided
    # by sqrt(alpha_bar) amplifies the rounding of single precision.
    tolerance = 1e-5 / np.sqrt(SCHEDULE.alpha_bar)
    error = (found - x_0).abs()
    error[:, 0, A:] = 0.0
    assert np.all(error.flatten(1).max(1).values.numpy() < tolerance)


def test_a_network_that_predicts_x_0_is_taken_at_its_word():
    x_0, eps = random_rows(T), random_rows(T, seed=1)
    t = torch.arange(T)
    diffusion = make_diffusion(x_0)
    assert_array_equal(diffusion(noised(diffusion, x_0, t, eps), t, first_states(x_0, A)), x_0)


@pytest.mark.parametrize('prediction', ['x0', 'eps', 'v'])
def test_the_loss_of_a_perfect_network_is_zero(prediction):
    x_0, eps = random_rows(8), random_rows(8, seed=1)
    t = torch.randint(T, (8,), generator=torch.Generator().manual_seed(0))
    diffusion = make_diffusion(target_of(prediction, x_0, t, eps), prediction=prediction)
    assert diffusion.loss(x_0, t, eps, first_states(x_0, A), torch.ones(H, D)) == 0.0


@pytest.mark.parametrize('prediction', ['x0', 'eps', 'v'])
def test_the_loss_is_the_weighted_mean_square(prediction):
    x_0, eps, answer = (random_rows(8, seed=i) for i in range(3))
    t = torch.zeros(8, dtype=torch.long)
    weight = torch.rand(H, D, generator=torch.Generator().manual_seed(0))
    diffusion = make_diffusion(answer, prediction=prediction)
    target = target_of(prediction, x_0, t, eps).numpy()
    known = first_states(x_0, A)
    known[3, 2] = True
    error = np.where(known, 0.0, answer.numpy() - target)
    expected = np.mean(weight.numpy() * error ** 2)
    assert_allclose(diffusion.loss(x_0, t, eps, known, weight), expected, rtol=1e-6)


def test_weights_stress_the_first_action():
    weight = loss_weight(H, D, A, 5.0).numpy()
    assert_array_equal(weight[0], [5.0, 5.0, 1.0, 1.0, 1.0])
    assert_array_equal(weight[1:], np.ones((H - 1, D)))


def kind_of(known):
    """Say what is known of a window (H, D) besides its first state, which must be."""
    assert known[0, A:].all()
    more = known.copy()
    more[0, A:] = False
    actions, states = more[:, :A], more[:, A:]
    if actions.any():
        n = int(actions[:, 0].sum())
        assert not states.any()
        assert actions[:n].all()
        assert not actions[n:].any()
        return 'actions'
    rows = states.any(axis=1)
    if not rows.any():
        return 'nothing'
    if not states[rows].all():
        return 'entries'
    return 'last' if rows[-1] and rows.sum() == 1 else 'rows'


def test_of_some_windows_more_is_known_than_the_first_state():
    x_0, n = random_rows(4000), 4000
    generator = torch.Generator().manual_seed(0)
    known = random_conditions(x_0, A, 0.4, generator).numpy()
    counts = Counter(kind_of(window) for window in known)
    assert counts.keys() == {'nothing', 'actions', 'last', 'rows', 'entries'}
    # Of the kinds that are drawn evenly, some draws know nothing more.
    assert counts['actions'] == pytest.approx(0.1 * n, rel=0.2)
    assert counts['last'] > 0.09 * n
    assert 0.6 * n < counts['nothing'] < 0.75 * n
    lengths = Counter(int(window[:, 0].sum()) for window in known if window[:, 0].any())
    assert lengths.keys() == set(range(1, H))


def test_without_a_share_only_the_first_state_is_known():
    x_0, generator = random_rows(8), torch.Generator().manual_seed(0)
    known = random_conditions(x_0, A, 0.0, generator)
    assert_array_equal(known, first_states(x_0, A))
    assert_array_equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_a_robot_with_goals_is_told_most_often_where_it_comes_to_rest():
    n, moving, horizon = 2000, 4, 8
    x_0 = torch.cat([random_rows(n), random_rows(n, seed=1)], dim=1)
    x_0[:, moving:, A:] = x_0[:, -1:, A:] + 0.1 * torch.rand(n, horizon - moving, S)
    x_0[:, moving - 1, A] = x_0[:, -1, A] + 1.0
    goal_entries = torch.arange(S) < 2
    known = random_conditions(x_0, A, 1.0, torch.Generator().manual_seed(0), goal_entries).numpy()
    goals = [w[:, A:A + 2].all(1) for w in known
             if w[-1, A:A + 2].all() and not w[1:, A + 2:].any() and not w[:, :A].any()]
    assert len(goals) == pytest.approx(0.8 * n, rel=0.05)
    first_rows = Counter(int(np.argmax(rows[1:])) + 1 for rows in goals)
    for row in range(moving, horizon):
        assert first_rows[row] == pytest.approx(len(goals) / (horizon - moving), rel=0.15)


@pytest.mark.parametrize('denoiser', BUILT_IN)
@pytest.mark.parametrize('horizon', [4, 8, 32])
@pytest.mark.parametrize('batch_size', [1, 5])
def test_denoisers_map_windows_to_windows(config_of, robot, denoiser, horizon, batch_size):
    diffusion = build_diffusion(config_of(denoiser, horizon=horizon), robot)
    x_t = torch.randn(batch_size, horizon, 23)
    found = diffusion(x_t, torch.zeros(batch_size, dtype=torch.long), first_states(x_t, 6))
    assert found.shape == x_t.shape


@pytest.mark.parametrize('denoiser', BUILT_IN)
def test_denoisers_are_told_time_every_entry_and_what_is_known(config_of, robot, denoiser):
    torch.manual_seed(0)
    diffusion = awakened(build_diffusion(config_of(denoiser), robot))
    x_t = torch.randn(1, 8, 23)
    known, everything = first_states(x_t, 6), torch.ones(1, 8, 23, dtype=torch.bool)
    untrained = (diffusion(x_t, torch.tensor([0]), mask) for mask in (known, everything))
    torch.testing.assert_close(*untrained)  # it does not learn to use what is known
    torch.manual_seed(0)
    diffusion = awakened(build_diffusion(config_of(denoiser, condition_share=0.3), robot))
    early, late = (diffusion(x_t, torch.tensor([t]), known) for t in (0, 9))
    assert (early - late).abs().max() > 1e-3
    more = known.clone()
    more[0, 7, 22] = True
    assert (early - diffusion(x_t, torch.tensor([0]), more)).abs().max() > 1e-4
    # How much the first action depends on every entry, the last state's among them.
    x_t.requires_grad_(True)
    gradient, = torch.autograd.grad(diffusion(x_t, torch.tensor([3]), known)[0, 0, 0], x_t)
    assert (gradient[0] != 0).all()


@pytest.mark.parametrize('denoiser', BUILT_IN)
def test_windows_of_a_batch_do_not_mix(config_of, robot, denoiser):
    torch.manual_seed(0)
    diffusion = awakened(build_diffusion(config_of(denoiser), robot))
    x_t, t = torch.randn(4, 8, 23), torch.tensor([0, 3, 6, 9])
    known = torch.rand(x_t.shape) < 0.3
    together = diffusion(x_t, t, known)
    for i in range(4):
        alone = diffusion(x_t[i:i + 1], t[i:i + 1], known[i:i + 1])
        torch.testing.assert_close(together[i:i + 1], alone, rtol=1e-4, atol=1e-5)


def test_the_value_of_a_window_is_one_number(config_of, robot):
    value = build_value(config_of(), robot)
    assert value(torch.randn(5, 8, 23), torch.zeros(5, dtype=torch.long)).shape == (5,)


@pytest.mark.parametrize('horizon', [2, 6, 7, 9])
def test_a_horizon_that_the_unet_cannot_halve_twice_is_refused(config_of, robot, horizon):
    with pytest.raises(ConfigError, match=f'horizon is {horizon}, expected a multiple of 4'):
        build_diffusion(config_of('unet', horizon=horizon), robot)


def test_a_width_that_the_unet_cannot_group_is_refused(config_of, robot):
    with pytest.raises(ConfigError, match='width is 20, expected a multiple of 8'):
        build_diffusion(config_of('unet', width=20), robot)


def test_a_width_that_the_transformer_cannot_divide_into_heads_is_refused(config_of, robot):
    with pytest.raises(ConfigError, match='width is 48, expected a multiple of 32, the width of '
                                          'a head'):
        build_diffusion(config_of('transformer', width=48), robot)


def test_the_transformer_computes_what_torch_calls_attention(config_of, robot):
    torch.manual_seed(0)
    network = build_diffusion(config_of('transformer', width=96), robot).network
    attention = network.layers[0].layer
    expected = nn.MultiheadAttention(96, 3, batch_first=True)
    expected.load_state_dict({
        'in_proj_weight': attention.entry.weight, 'in_proj_bias': attention.entry.bias,
        'out_proj.weight': attention.exit.weight, 'out_proj.bias': attention.exit.bias})
    h = torch.randn(2, 8, 96)
    torch.testing.assert_close(attention(h), expected(h, h, h)[0], rtol=1e-5, atol=1e-5)


def test_a_row_of_the_transformer_knows_its_place(config_of, robot):
    torch.manual_seed(0)
    diffusion = awakened(build_diffusion(config_of('transformer'), robot))
    x_t, t = torch.randn(1, 8, 23), torch.tensor([3])
    known = torch.zeros(1, 8, 23, dtype=torch.bool)
    forwards, backwards = diffusion(x_t, t, known), diffusion(x_t.flip(1), t, known).flip(1)
    assert (forwards - backwards).abs().max() > 1e-4


def build_scaled(config, row_dim):
    """Build a denoiser of another package; a test registers it as ``test_diffusion``'s."""
    return Scaled(config.horizon, row_dim)


class Scaled(nn.Module):
    """Scales every entry by a number that it computes from a weight, and knows an integer."""

    def __init__(self, horizon, row_dim):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(horizon, row_dim))
        self.register_buffer('n_rows', torch.tensor(horizon))

    def forward(self, x_t, t, known):
        del known
        return self.log_scale.exp() * x_t + t[:, None, None] / self.n_rows


@pytest.fixture
def scaled(monkeypatch):
    monkeypatch.setitem(DENOISERS, 'scaled', f'{__name__}:build_scaled')


def test_a_registered_denoiser_is_a_choice_and_is_built(config_of, robot, scaled):
    choices = {setting.name: setting.choices for setting in settings_of(TrainConfig)}
    assert choices['denoiser'] == (*BUILT_IN, 'scaled')
    diffusion = build_diffusion(config_of(denoiser='scaled'), robot)
    assert isinstance(diffusion.network, Scaled)


def test_a_denoiser_that_is_not_registered_is_refused_with_the_names_of_the_others(config_of):
    with pytest.raises(ConfigError, match="denoiser is 'scaled', expected one of mlp, unet, "):
        config_of(denoiser='scaled')


def test_weights_that_others_are_computed_from_are_written_under_their_names(
        config_of, robot, scaled, tmp_path):
    config = config_of(denoiser='scaled')
    models = []
    for seed in (0, 1, 2):
        torch.manual_seed(seed)
        networks = build_networks(config, robot).eval().requires_grad_(False)
        networks['diffusion'].network.log_scale.normal_()
        models.append(TrainedModel(networks, robot, config, facts={}))
    names = NETWORK_FILES
    writer = WeightWriter(models[0], tmp_path, names)
    for model in models[1:]:
        writer.write(model, tmp_path)
        x_t, t = model.example(5)
        inputs, known = {'x_t': x_t.numpy(), 'times': t.numpy()}, first_states(x_t, 6)
        x_0, = onnxruntime.InferenceSession(tmp_path / names[0]).run(
            None, {**inputs, 'known': known.numpy()})
        value, gradient = onnxruntime.InferenceSession(tmp_path / names[1]).run(None, inputs)
        expected = model.value_and_gradient(x_t, t)
        assert_allclose(x_0, model.denoiser(x_t, t, known), rtol=1e-5, atol=1e-5)
        assert_allclose(value, expected[0], rtol=1e-4, atol=1e-4)
        assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-4)
