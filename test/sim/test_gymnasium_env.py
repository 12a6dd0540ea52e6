# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What PPO learns on is Gymnasium's Walker2d-v5, number by number, and our simulation alone."""

from dataclasses import replace
from itertools import pairwise
import pickle

import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest
from walker import Walker2D

from diffusion_planner_ros.errors import ModelError
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.behaviour import behaviour_policy
from diffusion_planner_ros.sim.behaviour.gaussian_policy import GaussianPolicy
from diffusion_planner_ros.sim.behaviour.gymnasium_env import GymnasiumEnv
from diffusion_planner_ros.sim.mujoco_environment import MujocoEnvironment


@pytest.fixture
def ours():
    return GymnasiumEnv(lambda seed: Walker2D())


@pytest.fixture
def theirs():
    env = gymnasium.make('Walker2d-v5')
    yield env
    env.close()


def test_states_rewards_and_ends_are_those_of_gymnasium(ours, theirs):
    rng, n_ends = np.random.default_rng(0), 0
    for seed in range(12):
        observation, _ = ours.reset(seed=seed)
        expected, _ = theirs.reset(seed=seed)
        assert_array_equal(observation, expected)
        is_over = False
        while not is_over:
            action = rng.uniform(-1.0, 1.0, 6).astype(np.float32)
            *found, info = ours.step(action)
            *wanted, _ = theirs.step(action)
            assert_allclose(found[0], wanted[0], rtol=0, atol=1e-9)
            assert found[1] == pytest.approx(wanted[1], abs=1e-6)  # theirs squares in float32
            assert found[2:] == wanted[2:]
            assert info == {}
            is_over = found[2]
        n_ends += 1
    assert n_ends == 12


def test_spaces_and_time_limit_are_those_of_gymnasium(ours, theirs, monkeypatch):
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert Walker2D().max_episode_steps == gymnasium.spec('Walker2d-v5').max_episode_steps
    monkeypatch.setattr(MujocoEnvironment, 'max_episode_steps', 3)
    for _ in range(2):  # a reset forgets the time
        ours.reset(seed=0)
        ends = [ours.step(np.zeros(6))[2:4] for _ in range(3)]
        assert ends == [(False, False), (False, False), (False, True)]


@pytest.mark.filterwarnings('ignore:.*Box observation space')
def test_gymnasium_finds_nothing_to_complain_about(ours):
    check_env(ours, skip_render_check=True)


def test_episodes_without_a_seed_differ_and_follow_from_the_first_one(ours):
    def first_states():
        return [ours.reset(seed=7)[0], ours.reset()[0], ours.reset()[0]]

    once = first_states()
    assert_array_equal(once, first_states())
    assert len({state.tobytes() for state in once}) == 3


def test_a_recorder_takes_the_row_of_its_environment():
    mean, episodes = behaviour_policy.PolicyMean(), []
    recorder = behaviour_policy.EpisodeRecorder(
        GymnasiumEnv(lambda seed: Walker2D()), episodes, mean, 1)
    recorder.reset(seed=0)
    own, is_over = [], False
    while not is_over:
        mean.latest = np.array([[9.0] * 6, [0.1 * len(own), -3.0, 0.0, 0.0, 0.0, 0.0]])
        own.append([min(0.1 * len(own), 1.0), -1.0, 0.0, 0.0, 0.0, 0.0])
        *_, is_over, _, _ = recorder.step(np.full(6, 0.5, dtype=np.float32))
    episode, = episodes
    assert_allclose(episode.policy_actions, own)
    assert_array_equal(episode.actions, np.full((len(own), 6), 0.5))


@pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')
def test_a_teacher_goes_on_as_it_was_and_learns_when_its_value_has(monkeypatch):
    monkeypatch.setattr(behaviour_policy, 'N_ENVS', 2)
    monkeypatch.setattr(behaviour_policy, 'ROLLOUT_STEPS', 64)
    monkeypatch.setattr(behaviour_policy, 'CHECKPOINT_ROLLOUTS', 1)
    monkeypatch.setattr(behaviour_policy, 'VALUE_ROLLOUTS', 3)
    teacher = GaussianPolicy.load(share_file('models/walker2d-teacher.npz'))
    run = behaviour_policy.PpoRun('walker2d', teacher=teacher, n_transitions=4 * 128, seed=0)
    learned = run.learn(lambda n, ret: None)
    assert len(learned.checkpoints) == 4
    states = np.random.default_rng(0).standard_normal((5, 17))
    means = [c.policy.distribution(states)[0] for c in learned.checkpoints]
    for mean in means[:3]:
        assert_allclose(mean, teacher.distribution(states)[0], atol=1e-2)
    assert np.abs(means[3] - means[2]).max() > 1e-3
    assert {c.share for c in learned.checkpoints} == {1.0}


@pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')
@pytest.mark.parametrize('has_teacher', [False, True], ids=['new', 'teacher'])
def test_an_interrupted_run_goes_on_with_all_that_it_had(monkeypatch, tmp_path, has_teacher):
    monkeypatch.setattr(behaviour_policy, 'N_ENVS', 2)
    monkeypatch.setattr(behaviour_policy, 'ROLLOUT_STEPS', 64)
    monkeypatch.setattr(behaviour_policy, 'CHECKPOINT_ROLLOUTS', 2)
    monkeypatch.setattr(behaviour_policy, 'VALUE_ROLLOUTS', 4)
    teacher = GaussianPolicy.load(share_file('models/walker2d-teacher.npz'))
    file, again, settings, seen = tmp_path / 'run.pkl', tmp_path / 'again.pkl', {'seed': 0}, []

    def make_run():
        return behaviour_policy.PpoRun('walker2d', teacher=teacher if has_teacher else None,
                                       n_transitions=6 * 128, seed=0)

    def on_progress(n_done, recent_return):
        seen.append(n_done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    first, second = make_run(), make_run()
    with pytest.raises(KeyboardInterrupt):
        first.learn(on_progress)
    first.save(file, settings)
    second.restore(file, settings)
    second.save(again, settings)
    before, after = (pickle.loads(f.read_bytes()) for f in (file, again))
    for name, weight in before['parameters']['policy'].items():
        assert_array_equal(after['parameters']['policy'][name], weight)
    momenta, restored = (saved['parameters']['policy.optimizer']['state']
                         for saved in (before, after))
    assert momenta
    for number, momentum in momenta.items():
        assert_array_equal(restored[number]['exp_avg'], momentum['exp_avg'])
    for kept, expected in zip(after['statistics'], before['statistics'], strict=True):
        assert_array_equal(kept.mean, expected.mean)
        assert kept.count == expected.count
    learned = second.learn(on_progress)
    assert seen == [128 * n for n in range(1, 7)]
    assert [c.transitions for c in learned.checkpoints] == [256, 512, 768]
    if not has_teacher:  # the teacher does not fall in so short a run
        assert 0 < learned.checkpoints[0].n_episodes < learned.checkpoints[2].n_episodes
    states = np.random.default_rng(0).standard_normal((5, 17))
    means = [c.policy.distribution(states)[0] for c in learned.checkpoints]
    changes = [np.abs(after - before).max() for before, after in pairwise(means)]
    assert changes[1] > 1e-3
    assert (changes[0] < 1e-2) == has_teacher  # its value learns alone at first
    with pytest.raises(ModelError, match='was interrupted with seed 0, now 1'):
        second.restore(file, {'seed': 1})


def test_a_file_that_is_no_run_is_refused(tmp_path):
    run = behaviour_policy.PpoRun('walker2d', n_transitions=128, seed=0)
    file = tmp_path / 'run.pkl'
    with pytest.raises(ModelError, match='no such file, expected a run that was interrupted'):
        run.restore(file, {})
    file.write_bytes(b'no pickle')
    with pytest.raises(ModelError, match='is no run that this version has interrupted'):
        run.restore(file, {})


def test_a_teacher_of_another_size_is_refused():
    teacher = GaussianPolicy.load(share_file('models/walker2d-teacher.npz'))
    other = replace(teacher, weights=(teacher.weights[0][:64], *teacher.weights[1:]))
    with pytest.raises(ModelError, match=r'policy_net.0.weight has shape \(64, 17\), expected '
                                         r'\(128, 17\)'):
        behaviour_policy.PpoRun('walker2d', teacher=other, n_transitions=128, seed=0)


@pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')
def test_what_ppo_saw_holds_the_policys_own_actions_beside_the_executed_ones(monkeypatch):
    monkeypatch.setattr(behaviour_policy, 'N_ENVS', 2)
    monkeypatch.setattr(behaviour_policy, 'ROLLOUT_STEPS', 64)
    monkeypatch.setattr(behaviour_policy, 'CHECKPOINT_ROLLOUTS', 1)
    learned = behaviour_policy.PpoRun('walker2d', n_transitions=128, seed=0).learn(
        lambda n, ret: None)
    assert len(learned.episodes) >= 2
    for episode in learned.episodes:
        assert episode.policy_actions.shape == episode.actions.shape
        assert np.abs(episode.policy_actions).max() <= 1.0
        noise = (episode.actions - episode.policy_actions)[np.abs(episode.actions) < 1.0]
        # exp(-0.5) at the start of learning, cut off at the limits
        assert 0.2 < noise.std() < 0.8
        assert np.abs(episode.policy_actions).std() < 0.2  # an untrained network chooses little
