"""Behaviour policies for Walker2D: PPO of stable-baselines3, with all that it saw."""

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
import torch

from ..episode import Episode

N_ENVS = 16
ROLLOUT_STEPS = 256
CHECKPOINT_ROLLOUTS = 5
CHECKPOINT_TRANSITIONS = CHECKPOINT_ROLLOUTS * ROLLOUT_STEPS * N_ENVS  # between checkpoints
RECENT_EPISODES = 100  # a checkpoint's training return is the mean over these


class EpisodeRecorder(gymnasium.Wrapper):
    """Keep every finished episode of an environment, as it was before any normalisation."""

    def __init__(self, env: gymnasium.Env, episodes: list[Episode]) -> None:
        super().__init__(env)
        self._episodes = episodes
        self._observations: list[NDArray] = []
        self._actions: list[NDArray] = []
        self._rewards: list[float] = []

    def reset(self, **kwargs: object) -> tuple[NDArray, dict]:
        """Start a new episode; an unfinished one is dropped."""
        observation, info = self.env.reset(**kwargs)
        self._observations, self._actions, self._rewards = [observation], [], []
        return observation, info

    def step(self, action: NDArray) -> tuple[NDArray, float, bool, bool, dict]:
        """Step and record."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._observations.append(observation)
        self._actions.append(np.array(action))
        self._rewards.append(float(reward))
        if terminated or truncated:
            self._episodes.append(Episode(
                np.array(self._observations), np.array(self._actions), np.array(self._rewards),
                terminated))
        return observation, reward, terminated, truncated, info


@dataclass(frozen=True)
class Policy:
    """A Gaussian policy with the observation statistics that it was trained with."""

    network: ActorCriticPolicy
    mean: NDArray
    std: NDArray

    def act(self, observations: NDArray, noise: NDArray) -> NDArray:
        """
        Return actions in [-1, 1] for a batch.

        :param observations: shape (B, S).
        :param noise: shape (B, A), in standard deviations of the policy; 0 is deterministic.
        """
        x = np.clip((observations - self.mean) / self.std, -10.0, 10.0)
        with torch.no_grad():
            gaussian = self.network.get_distribution(torch.as_tensor(x, dtype=torch.float32))
        mean = gaussian.distribution.mean.numpy()
        std = gaussian.distribution.stddev.numpy()
        return np.clip(mean + noise * std, -1.0, 1.0)


@dataclass(frozen=True)
class Checkpoint:
    """A policy on its way: ``n_episodes`` were finished and seen when it was saved."""

    transitions: int
    n_episodes: int
    training_return: float
    parameters: dict[str, torch.Tensor]
    mean: NDArray
    std: NDArray


class _Checkpointer(BaseCallback):
    def __init__(self, episodes: list[Episode],
                 on_progress: Callable[[int, float], None]) -> None:
        super().__init__()
        self.checkpoints: list[Checkpoint] = []
        self._episodes = episodes
        self._on_progress = on_progress
        self._rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._rollouts += 1
        recent = [e.total_return for e in self._episodes[-RECENT_EPISODES:]]
        training_return = float(np.mean(recent)) if recent else 0.0
        self._on_progress(self.num_timesteps, training_return)
        if self._rollouts % CHECKPOINT_ROLLOUTS:
            return
        statistics = self.training_env.obs_rms
        self.checkpoints.append(Checkpoint(
            transitions=self.num_timesteps,
            n_episodes=len(self._episodes),
            training_return=training_return,
            parameters={k: v.clone() for k, v in self.model.policy.state_dict().items()},
            mean=statistics.mean.copy(),
            std=np.sqrt(statistics.var + self.training_env.epsilon)))


@dataclass(frozen=True)
class Learned:
    """All that one PPO run leaves: its checkpoints and every episode it saw, in order."""

    ppo: PPO
    checkpoints: list[Checkpoint]
    episodes: list[Episode]

    def policy(self, checkpoint: Checkpoint) -> Policy:
        """Bring a checkpoint back to life; only the latest call's policy is valid."""
        self.ppo.policy.load_state_dict(checkpoint.parameters)
        return Policy(self.ppo.policy, checkpoint.mean, checkpoint.std)


def learn(*, n_transitions: int, seed: int, on_progress: Callable[[int, float], None]) -> Learned:
    """
    Train PPO (Schulman et al. 2017) on Walker2d-v5 with one core.

    :param n_transitions: environment steps to learn from.
    :param seed: seed of the environments, the initial weights and the exploration.
    :param on_progress: called after every rollout with transitions so far and recent return.
    """
    torch.set_num_threads(1)
    episodes: list[Episode] = []
    venv = VecNormalize(DummyVecEnv([
        lambda: EpisodeRecorder(gymnasium.make('Walker2d-v5'), episodes)] * N_ENVS))
    ppo = PPO(
        'MlpPolicy', venv, n_steps=ROLLOUT_STEPS, batch_size=512, n_epochs=10,
        learning_rate=lambda remaining: 3e-4 * max(remaining, 0.1), clip_range=0.2, gamma=0.99,
        gae_lambda=0.95, ent_coef=0.0, seed=seed, device='cpu',
        policy_kwargs={'net_arch': [128, 128], 'log_std_init': -0.5})
    checkpointer = _Checkpointer(episodes, on_progress)
    ppo.learn(n_transitions, callback=checkpointer)
    return Learned(ppo, checkpointer.checkpoints, episodes)
