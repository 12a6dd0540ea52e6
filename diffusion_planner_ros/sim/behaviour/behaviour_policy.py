"""Behaviour policies for Walker2D: PPO of stable-baselines3, with all that it saw."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
import torch

from ...episode import Episode
from ..perturbation import UNPERTURBED
from ..perturbation_ranges import Robots
from ..walker2d import Walker2D
from .curriculum import Curriculum
from .gaussian_policy import GaussianPolicy
from .gymnasium_env import GymnasiumEnv

N_ENVS = 16
ROLLOUT_STEPS = 256
CHECKPOINT_ROLLOUTS = 5
CHECKPOINT_TRANSITIONS = CHECKPOINT_ROLLOUTS * ROLLOUT_STEPS * N_ENVS  # between checkpoints
RECENT_EPISODES = 100  # a checkpoint's training return is the mean over these


class PolicyMean:
    """The mean of a policy's actions, as its network last computed it for all environments."""

    def __init__(self) -> None:
        self.latest: NDArray | None = None
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

    def reset(self, **kwargs: object) -> tuple[NDArray, dict]:
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
        self._rewards.append(float(reward))
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
    def __init__(self, episodes: list[Episode], curriculum: Curriculum, n_transitions: int,
                 on_progress: Callable[[int, float], None]) -> None:
        super().__init__()
        self.checkpoints: list[Checkpoint] = []
        self._episodes = episodes
        self._curriculum = curriculum
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
        share = self._curriculum.share
        self._curriculum.advance(self.num_timesteps / self._n_transitions)
        if self._rollouts % CHECKPOINT_ROLLOUTS:
            return
        statistics = self.training_env.obs_rms
        self.checkpoints.append(Checkpoint(
            transitions=self.num_timesteps,
            n_episodes=len(self._episodes),
            training_return=training_return,
            share=share,
            policy=GaussianPolicy.from_parameters(
                self.model.policy.state_dict(), statistics.mean,
                np.sqrt(statistics.var + self.training_env.epsilon))))


@dataclass(frozen=True)
class Learned:
    """All that one PPO run leaves: its checkpoints and every episode it saw, in order."""

    checkpoints: list[Checkpoint]
    episodes: list[Episode]


def _recorded_walker(robots: Curriculum, episodes: list[Episode], mean: PolicyMean, index: int
                     ) -> EpisodeRecorder:
    env = GymnasiumEnv(lambda seed: Walker2D(robots.draw(seed)))
    return EpisodeRecorder(env, episodes, mean, index)


def learn(*, n_transitions: int, seed: int, on_progress: Callable[[int, float], None],
          robots: Robots = UNPERTURBED) -> Learned:
    """
    Train PPO (Schulman et al. 2017, https://arxiv.org/abs/1707.06347) on Walker2D with one core.

    :param n_transitions: environment steps to learn from.
    :param seed: seed of the environments, the initial weights and the exploration.
    :param on_progress: called after every rollout with transitions so far and recent return.
    :param robots: that it learns on; drawn ones differ more and more, see ``Curriculum``.
    """
    torch.set_num_threads(1)
    curriculum = Curriculum(robots)
    episodes: list[Episode] = []
    mean = PolicyMean()
    venv = VecNormalize(DummyVecEnv([
        partial(_recorded_walker, curriculum, episodes, mean, i) for i in range(N_ENVS)]))
    ppo = PPO(
        'MlpPolicy', venv, n_steps=ROLLOUT_STEPS, batch_size=512, n_epochs=10,
        learning_rate=lambda remaining: 3e-4 * max(remaining, 0.1), clip_range=0.2, gamma=0.99,
        gae_lambda=0.95, ent_coef=0.0, seed=seed, device='cpu',
        policy_kwargs={'net_arch': [128, 128], 'log_std_init': -0.5})
    mean.watch(ppo.policy)
    checkpointer = _Checkpointer(episodes, curriculum, n_transitions, on_progress)
    ppo.learn(n_transitions, callback=checkpointer)
    return Learned(checkpointer.checkpoints, episodes)
