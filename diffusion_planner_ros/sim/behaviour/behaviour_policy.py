# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour policies of simulated robots: PPO of stable-baselines3, with all that it saw."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
import torch

from ...episode import Episode
from ...errors import ModelError
from ..environment import make_environment
from ..perturbation import UNPERTURBED
from ..perturbation_ranges import Robots
from .commanded_env import CommandedEnv, unhurried
from .curriculum import Course, Curriculum, Lesson
from .gaussian_policy import GaussianPolicy
from .gymnasium_env import GymnasiumEnv
from .speed_commands import SpeedCommands

N_ENVS = 16
ROLLOUT_STEPS = 256
CHECKPOINT_ROLLOUTS = 5
CHECKPOINT_TRANSITIONS = CHECKPOINT_ROLLOUTS * ROLLOUT_STEPS * N_ENVS  # between checkpoints
RECENT_EPISODES = 100  # a checkpoint's training return is the mean over these
VALUE_ROLLOUTS = 25  # that the value learns from before a policy goes on learning
SMALLEST_STD = 0.2  # of the exploration that it goes on with [torque limits]
STATISTICS_WEIGHT = 3e6  # of its observation statistics: steps that they seem to come from


class PolicyMean:
    """The mean of a policy's actions, as its network last computed it for all environments."""

    def __init__(self) -> None:
        self.latest = np.empty((0, 0))
        """Shape (B, A), in units of torque limits, not clipped."""

    def watch(self, network: ActorCriticPolicy) -> None:
        """Listen to a network; the learner hands out nothing but noised actions."""
        network.action_net.register_forward_hook(self._take)

    def _take(self, layer: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        del layer, inputs
        self.latest = output.detach().numpy()


class EpisodeRecorder(gymnasium.Wrapper):
    """
    Keep every finished episode of an environment, as it was before any normalisation.

    :param episodes: receives them.
    :param mean: of the policy that acts; its row ``index`` is meant for this environment.
    """

    def __init__(self, env: gymnasium.Env, episodes: list[Episode], mean: PolicyMean, index: int
                 ) -> None:
        super().__init__(env)
        self._episodes = episodes
        self._mean = mean
        self._index = index
        self._observations: list[NDArray] = []
        self._actions: list[NDArray] = []
        self._policy_actions: list[NDArray] = []
        self._rewards: list[float] = []

    def reset(self, **kwargs: Any) -> tuple[NDArray, dict]:
        """Start a new episode; an unfinished one is dropped."""
        observation, info = self.env.reset(**kwargs)
        self._observations, self._rewards = [observation], []
        self._actions, self._policy_actions = [], []
        return observation, info

    def step(self, action: NDArray) -> tuple[NDArray, float, bool, bool, dict]:
        """Step and record."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._observations.append(observation)
        self._actions.append(np.array(action))
        self._policy_actions.append(np.clip(self._mean.latest[self._index], -1.0, 1.0))
        reward = float(reward)
        self._rewards.append(reward)
        if terminated or truncated:
            self._episodes.append(Episode(
                np.array(self._observations), np.array(self._actions), np.array(self._rewards),
                terminated, policy_actions=np.array(self._policy_actions)))
        return observation, reward, terminated, truncated, info


@dataclass(frozen=True)
class Checkpoint:
    """A policy on its way: ``n_episodes`` were finished and seen when it was saved."""

    transitions: int
    n_episodes: int
    training_return: float
    share: float
    """How much the robots differed that it learned on, see ``Curriculum``."""
    policy: GaussianPolicy


class _Checkpointer(BaseCallback):
    def __init__(self, venv: VecNormalize, episodes: list[Episode], course: Course,
                 n_transitions: int, on_progress: Callable[[int, float], None]) -> None:
        super().__init__()
        self._venv = venv
        self.checkpoints: list[Checkpoint] = []
        self._episodes = episodes
        self._course = course
        self._n_transitions = n_transitions
        self._on_progress = on_progress
        self._rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._rollouts += 1
        recent = [e.total_return for e in self._episodes[-RECENT_EPISODES:]]
        training_return = float(np.mean(recent)) if recent else 0.0
        self._on_progress(self.num_timesteps, training_return)
        share = self._course.share
        self._course.advance(self.num_timesteps / self._n_transitions)
        if self._rollouts % CHECKPOINT_ROLLOUTS:
            return
        statistics = _statistics(self._venv)
        self.checkpoints.append(Checkpoint(
            transitions=self.num_timesteps,
            n_episodes=len(self._episodes),
            training_return=training_return,
            share=share,
            policy=GaussianPolicy.from_parameters(
                self.model.policy.state_dict(), statistics.mean,
                np.sqrt(statistics.var + self._venv.epsilon))))


@dataclass(frozen=True)
class Learned:
    """All that one PPO run leaves: its checkpoints and every episode it saw, in order."""

    robot: str
    """Name of the robot."""
    checkpoints: list[Checkpoint]
    episodes: list[Episode]


def _recorded_robot(robot: str, course: Course, commands: SpeedCommands | None,
                    episodes: list[Episode], mean: PolicyMean, index: int) -> EpisodeRecorder:
    make = make_environment if commands is None else unhurried
    env = GymnasiumEnv(lambda seed: make(robot, course.draw(seed)))
    return EpisodeRecorder(env if commands is None else CommandedEnv(env, commands), episodes,
                           mean, index)


def learn(robot: str, *, n_transitions: int, seed: int, on_progress: Callable[[int, float], None],
          robots: Robots = UNPERTURBED, commands: SpeedCommands | None = None) -> Learned:
    """
    Train PPO (Schulman et al. 2017, https://arxiv.org/abs/1707.06347) with one core.

    :param robot: name of the robot.
    :param n_transitions: environment steps to learn from.
    :param seed: seed of the environments, the initial weights and the exploration.
    :param on_progress: called after every rollout with transitions so far and recent return.
    :param robots: that it learns on; drawn ones differ more and more, see ``Curriculum``.
    :param commands: speeds that it is told and rewarded for following, see ``CommandedEnv``; by
        default it is told none, and rewarded as the robot's task says.
    """
    return _learn(robot, Curriculum(robots), commands, None, 3e-4, n_transitions=n_transitions,
                  seed=seed, on_progress=on_progress)


def improve(robot: str, teacher: GaussianPolicy, lesson: Lesson, *, n_transitions: int, seed: int,
            on_progress: Callable[[int, float], None]) -> Learned:
    """
    Let a policy go on learning, on robots from undisturbed to hard ones.

    The value that PPO compares with learns alone at first: a wrong one would spoil the policy.

    :param robot: name of the robot.
    :param teacher: with two hidden layers of 128, as ``learn`` makes it.
    :param lesson: one of ``LESSONS``.
    :param n_transitions: environment steps to learn from.
    :param seed: seed of the environments and the exploration.
    :param on_progress: called after every rollout with transitions so far and recent return.
    :raises ModelError: if the teacher's network is another one.
    """
    return _learn(robot, lesson.robots, None, teacher, lesson.learning_rate,
                  n_transitions=n_transitions, seed=seed, on_progress=on_progress)


def _learn(robot: str, course: Course, commands: SpeedCommands | None,
           teacher: GaussianPolicy | None, learning_rate: float, *, n_transitions: int, seed: int,
           on_progress: Callable[[int, float], None]) -> Learned:
    torch.set_num_threads(1)
    episodes: list[Episode] = []
    mean = PolicyMean()
    venv = VecNormalize(DummyVecEnv([
        partial(_recorded_robot, robot, course, commands, episodes, mean, i)
        for i in range(N_ENVS)]))
    ppo = PPO(
        'MlpPolicy', venv, n_steps=ROLLOUT_STEPS, batch_size=512, n_epochs=10,
        learning_rate=lambda remaining: learning_rate * max(remaining, 0.1), clip_range=0.2,
        gamma=0.99, gae_lambda=0.95, ent_coef=0.0, seed=seed, device='cpu',
        policy_kwargs={'net_arch': [128, 128], 'log_std_init': -0.5})
    mean.watch(ppo.policy)
    checkpointer = _Checkpointer(venv, episodes, course, n_transitions, on_progress)
    callbacks: list[BaseCallback] = [checkpointer]
    if teacher is not None:
        _take_over(teacher, ppo.policy, venv)
        callbacks.append(_ValueFirst())
    ppo.learn(n_transitions, callback=callbacks)
    return Learned(robot, checkpointer.checkpoints, episodes)


def _take_over(teacher: GaussianPolicy, network: ActorCriticPolicy, venv: VecNormalize) -> None:
    """Begin as a policy that was learned before, with its observation statistics."""
    own, taken = network.state_dict(), teacher.parameters(smallest_std=SMALLEST_STD)
    for name, array in taken.items():
        if name not in own or own[name].shape != array.shape:
            raise ModelError(f"the teacher's {name} has shape {array.shape}, expected "
                             f'{tuple(own[name].shape) if name in own else "none"}, as learned by '
                             'collect')
    network.load_state_dict(own | {
        name: torch.as_tensor(array, dtype=torch.float32) for name, array in taken.items()})
    statistics = _statistics(venv)
    statistics.mean, statistics.var = teacher.mean.copy(), np.square(teacher.std)
    statistics.count = STATISTICS_WEIGHT


def _statistics(venv: VecNormalize) -> RunningMeanStd:
    """Return the statistics of the observations, which are arrays, not dictionaries of them."""
    assert isinstance(venv.obs_rms, RunningMeanStd)
    return venv.obs_rms


class _ValueFirst(BaseCallback):
    """Keep the policy as it is until the value has learned from some rollouts."""

    def __init__(self) -> None:
        super().__init__()
        self._rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self._let_learn(is_learning=False)

    def _on_rollout_end(self) -> None:
        self._rollouts += 1
        if self._rollouts == VALUE_ROLLOUTS:
            self._let_learn(is_learning=True)

    def _let_learn(self, *, is_learning: bool) -> None:
        for name, weight in self.model.policy.named_parameters():
            if name == 'log_std' or 'policy_net' in name or 'action_net' in name:
                weight.requires_grad_(is_learning)
