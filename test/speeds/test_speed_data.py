# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Data at commanded speeds: the commands, what the policy is told and paid, what is recorded."""

import json
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
import pytest

from diffusion_planner_ros.commands.learn.collect import collect
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.data.minari_format import read_metadata
from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.sim.behaviour import behaviour_policy, speed_data
from diffusion_planner_ros.sim.behaviour.behaviour_data import write_data_set
from diffusion_planner_ros.sim.behaviour.behaviour_policy import Checkpoint, Learned
from diffusion_planner_ros.sim.behaviour.commanded_env import CommandedEnv, unhurried
from diffusion_planner_ros.sim.behaviour.gaussian_policy import GaussianPolicy
from diffusion_planner_ros.sim.behaviour.gymnasium_env import GymnasiumEnv
from diffusion_planner_ros.sim.behaviour.speed_commands import (
    FOLLOWING_REWARD,
    following_reward,
    SpeedCommands,
)
from diffusion_planner_ros.sim.perturbation import UNPERTURBED

ROOTX_VELOCITY = 8  # state entry of Walker2D
PERIOD = 0.008
S, A = 17, 6


def drawn(seed, n=5000, **settings):
    return SpeedCommands(**settings).draw(seed, n_steps=n, control_period=PERIOD)


def runs(commands):
    """Return how long each command is held [control periods]; the last one may be cut."""
    edges = np.flatnonzero(np.diff(commands)) + 1
    return np.diff([0, *edges])


def leaning(gain):
    """Return a policy whose torques are the command, times a gain, and nothing else."""
    weight = np.zeros((A, S + 1))
    weight[:, -1] = gain
    return GaussianPolicy(np.zeros(S + 1), np.ones(S + 1), (weight,), (np.zeros(A),),
                          np.full(A, 0.1))


def test_commands_hold_for_a_while_and_are_zero_in_their_share():
    commands = drawn(3, n=200_000, fastest=2.0, standing_share=0.25, held=(1.0, 3.0))
    assert commands.min() == 0.0
    assert 1.9 < commands.max() <= 2.0
    assert 0.2 < np.mean(commands == 0.0) < 0.3
    held = runs(commands)
    moving = held[commands[np.cumsum(held) - 1] > 0]  # two stands in a row look like one
    assert moving.min() >= 125
    assert moving.max() <= 375


def test_an_episode_has_its_own_commands_and_has_them_again():
    assert_array_equal(drawn(1), drawn(1))
    assert np.abs(drawn(1) - drawn(2)).max() > 0.1


def test_to_be_as_fast_as_commanded_pays_most_wherever_one_is():
    speeds = np.linspace(-1.0, 5.0, 25)
    paid = following_reward(speeds, 1.5)
    assert speeds[paid.argmax()] == 1.5
    assert paid.max() == FOLLOWING_REWARD
    assert (np.diff(paid[speeds <= 1.5]) > 0).all()
    assert (np.diff(paid[speeds >= 1.5]) < 0).all()


def test_the_policy_is_told_the_command_and_paid_for_following_it():
    plain = unhurried('walker2d', UNPERTURBED)
    env = CommandedEnv(GymnasiumEnv(lambda seed: unhurried('walker2d', UNPERTURBED)),
                       SpeedCommands(held=(0.02, 0.05)))
    observation, _ = env.reset(seed=4)
    assert_array_equal(observation[:S], plain.reset(4))
    told = [observation[-1]]
    for _ in range(20):
        action = np.full(A, 0.2, dtype=np.float32)
        observation, reward, *_ = env.step(action)
        state, own, _ = plain.step(action * plain.torque_limit)
        assert_array_equal(observation[:S], state)
        assert own == pytest.approx(1.0 - 0.001 * A * 0.2**2)  # no preference for a speed
        assert reward == pytest.approx(own + FOLLOWING_REWARD
                                       - abs(state[ROOTX_VELOCITY] - told[-1]))
        told.append(observation[-1])
    assert len(set(told)) > 3
    assert env.observation_space.shape == (S + 1,)


def test_a_run_acts_on_the_command_of_every_step_and_records_it():
    commands = SpeedCommands(held=(0.02, 0.05))
    episodes, paid = speed_data.run_commanded(
        'walker2d', leaning(0.1), commands, seeds=(0, 1), noise_share=np.zeros(2),
        rng=np.random.default_rng(0))
    wanted = 0.0
    for seed, episode in enumerate(episodes):
        told = commands.draw(seed, n_steps=1000, control_period=PERIOD)[:len(episode)]
        assert_array_equal(episode.commands, told)
        assert_allclose(episode.actions, np.tile(0.1 * told[:, None], A), atol=1e-12)
        assert_allclose(episode.policy_actions, episode.actions, atol=1e-12)
        speed = episode.observations[1:, ROOTX_VELOCITY]
        assert episode.rewards.max() <= 1.0
        wanted += (episode.rewards + FOLLOWING_REWARD - np.abs(speed - told)).sum() / 2
    assert paid == pytest.approx(wanted)


def test_the_best_policy_is_recorded_with_commands_that_can_be_read(tmp_path, robot, monkeypatch):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    monkeypatch.setattr(speed_data, 'POLICY_SEEDS', range(3))
    monkeypatch.setattr(speed_data, 'N_SIMULATORS', 2)
    checkpoints = [Checkpoint(1, 0, 0.0, 1.0, leaning(gain)) for gain in (0.0, 9.0)]
    data, = speed_data.collect_speeds(Learned('walker2d', checkpoints, []), SpeedCommands(),
                                      n_transitions=60, seed=0, on_progress=lambda n: None)
    paid = [speed_data.run_commanded('walker2d', c.policy, SpeedCommands(), seeds=range(3),
                                     noise_share=np.zeros(3), rng=np.random.default_rng(0))[1]
            for c in checkpoints]
    assert data.policy_return == pytest.approx(max(paid))
    assert data.policy is checkpoints[np.argmax(paid)].policy
    folder = write_data_set(tmp_path, data, seed=0, n_learned=5)
    assert folder == tmp_path / 'walker2d' / 'speeds-v0'
    for found, episode in zip(read_episodes(folder, robot), data.episodes, strict=True):
        assert_array_equal(found.commands, episode.commands.astype(np.float32))
    assert 'normalized_score' not in read_metadata(folder)
    assert GaussianPolicy.load(folder / 'teacher.npz').mean.shape == (S + 1,)


@pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')
def test_the_verb_learns_from_states_and_commands(tmp_path, robot, monkeypatch, capsys):
    monkeypatch.setenv('MINARI_DATASETS_PATH', '')
    monkeypatch.setattr(behaviour_policy, 'N_ENVS', 2)
    monkeypatch.setattr(behaviour_policy, 'ROLLOUT_STEPS', 64)
    monkeypatch.setattr(behaviour_policy, 'CHECKPOINT_ROLLOUTS', 1)
    monkeypatch.setattr(speed_data, 'POLICY_SEEDS', range(2))
    monkeypatch.setattr(speed_data, 'N_SIMULATORS', 2)
    collect(out=tmp_path, speeds=True, n_learn=128, n_transitions=20, json=True)
    folder = json.loads(capsys.readouterr().out)['speeds']['folder']
    assert all(e.commands is not None for e in read_episodes(Path(folder), robot))


def test_speeds_are_not_learned_on_drawn_robots(tmp_path):
    with pytest.raises(ConfigError, match='--speeds is given with --robust or --teacher'):
        collect(out=tmp_path, speeds=True, robust=True)
