# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The policy that acts is the one that PPO learned, number by number."""

import gymnasium
import numpy as np
from numpy.testing import assert_allclose
import pytest
from stable_baselines3 import PPO
import torch

from diffusion_planner_ros.errors import ModelError
from diffusion_planner_ros.sim.behaviour.gaussian_policy import GaussianPolicy


@pytest.fixture(scope='module')
def ppo():
    return PPO('MlpPolicy', gymnasium.make('Pendulum-v1'), seed=3, device='cpu',
               policy_kwargs={'net_arch': [32, 16], 'log_std_init': -0.3})


@pytest.fixture
def policy(ppo):
    return GaussianPolicy.from_parameters(
        ppo.policy.state_dict(), np.array([0.1, -0.2, 3.0]), np.array([1.0, 0.5, 2.0]))


def test_actions_are_those_of_stable_baselines(ppo, policy, tmp_path):
    states = np.random.default_rng(0).normal(size=(50, 3)) * 30.0
    observed = np.clip((states - policy.mean) / policy.std, -10.0, 10.0)
    with torch.no_grad():
        expected = ppo.policy.get_distribution(torch.as_tensor(observed).float()).distribution
    policy.save(tmp_path / 'teacher.npz')
    for one in (policy, GaussianPolicy.load(tmp_path / 'teacher.npz')):
        mean, std = one.distribution(states)
        assert_allclose(mean, expected.mean.numpy(), atol=1e-5)
        assert_allclose(std, expected.stddev.numpy(), rtol=1e-6)


def test_parameters_are_those_that_it_was_read_from(ppo, policy):
    expected = ppo.policy.state_dict()
    given = policy.parameters(smallest_std=0.1)
    assert set(given) == {name for name in expected
                          if 'policy_net' in name or 'action_net' in name or name == 'log_std'}
    for name, array in given.items():
        assert_allclose(array, expected[name].numpy(), rtol=1e-6)
    # exp(-0.3) is less.
    assert_allclose(policy.parameters(smallest_std=0.9)['log_std'], np.log(0.9))


def test_a_file_that_is_no_policy_is_refused(tmp_path):
    file = tmp_path / 'teacher.npz'
    for write in (lambda: None, lambda: file.write_text('no'), lambda: np.savez(file, mean=1.0)):
        write()
        with pytest.raises(ModelError, match=r'teacher.npz: not a policy'):
            GaussianPolicy.load(file)
