# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Behaviour policies of simulated robots: PPO of stable-baselines3, with all that it saw."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import pickle
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
from ...files import written
from ..environment import make_environment
from ..perturbation import UNPERTURBED
from ..perturbation_ranges import Robots
from .commanded_env import CommandedEnv, unhurried
from .curriculum import Course, Curriculum, Lesson, LESSONS
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
    def __init__(self, venv: VecNormalize, checkpoints: list[Checkpoint],
                 episodes: list[Episode], course: Course, n_transitions: int,
                 on_progress: Callable[[int, float], None]) -> None:
        super().__init__()
        self._venv = venv
        self._checkpoints = checkpoints
        self._episodes = episodes
        self._course = course
        self._n_transitions = n_transitions
        self._on_progress = on_progress

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        recent = [e.total_return for e in self._episodes[-RECENT_EPISODES:]]
        training_return = float(np.mean(recent)) if recent else 0.0
        if _n_rollouts(self.num_timesteps) % CHECKPOINT_ROLLOUTS == 0:
            statistics = _statistics(self._venv)
            self._checkpoints.append(Checkpoint(
                transitions=self.num_timesteps,
                n_episodes=len(self._episodes),
                training_return=training_return,
                share=self._course.share,
                policy=GaussianPolicy.from_parameters(
                    self.model.policy.state_dict(), statistics.mean,
                    np.sqrt(statistics.var + self._venv.epsilon))))
        self._course.advance(self.num_timesteps / self._n_transitions)
        self._on_progress(self.num_timesteps, training_return)


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


class PpoRun:
    """
    PPO (Schulman et al. 2017, https://arxiv.org/abs/1707.06347) with one core.

    :param robot: name of the robot.
    :param n_transitions: environment steps to learn from.
    :param seed: seed of the environments, the initial weights and the exploration.
    :param robots: that it learns on; drawn ones differ more and more, see ``Curriculum``.
    :param commands: speeds that it is told and rewarded for following, see ``CommandedEnv``; by
        default it is told none, and rewarded as the robot's task says.
    :param teacher: a policy that goes on learning instead of a new one, with two hidden layers of
        128, as this class makes it. The value that PPO compares with learns alone at first: a
        wrong one would spoil the policy.
    :param lesson: what a teacher goes on to learn, on its robots instead of ``robots``.
    :raises ModelError: if the teacher's network is another one.
    """

    def __init__(self, robot: str, *, n_transitions: int, seed: int,
                 robots: Robots = UNPERTURBED, commands: SpeedCommands | None = None,
                 teacher: GaussianPolicy | None = None, lesson: Lesson = LESSONS['wide']) -> None:
        torch.set_num_threads(1)
        self._robot, self._seed = robot, seed
        self._course: Course = Curriculum(robots) if teacher is None else lesson.robots
        rate = 3e-4 if teacher is None else lesson.learning_rate
        self._n_transitions = n_transitions
        self._checkpoints: list[Checkpoint] = []
        self._episodes: list[Episode] = []
        mean = PolicyMean()
        self._venv = VecNormalize(DummyVecEnv([
            partial(_recorded_robot, robot, self._course, commands, self._episodes, mean, i)
            for i in range(N_ENVS)]))
        self._ppo = PPO(
            'MlpPolicy', self._venv, n_steps=ROLLOUT_STEPS, batch_size=512, n_epochs=10,
            learning_rate=lambda remaining: rate * max(remaining, 0.1), clip_range=0.2,
            gamma=0.99, gae_lambda=0.95, ent_coef=0.0, seed=seed, device='cpu',
            policy_kwargs={'net_arch': [128, 128], 'log_std_init': -0.5})
        mean.watch(self._ppo.policy)
        self._has_teacher = teacher is not None
        if teacher is not None:
            _take_over(teacher, self._ppo.policy, self._venv)

    @property
    def n_done(self) -> int:
        """Environment steps that it has taken, those before ``restore`` included."""
        return self._ppo.num_timesteps

    def learn(self, on_progress: Callable[[int, float], None]) -> Learned:
        """
        Go on to the end.

        :param on_progress: called after every rollout with transitions so far and recent return;
            if it raises, the run can be saved.
        """
        callbacks: list[BaseCallback] = [_Checkpointer(
            self._venv, self._checkpoints, self._episodes, self._course, self._n_transitions,
            on_progress)]
        if self._has_teacher:
            callbacks.append(_ValueFirst())
        if self.n_done < self._n_transitions:
            self._ppo.learn(self._n_transitions - self.n_done, callback=callbacks,
                            reset_num_timesteps=False)
        return Learned(self._robot, self._checkpoints, self._episodes)

    def save(self, file: Path, settings: dict[str, Any]) -> None:
        """
        Write all that ``restore`` needs, about 240 bytes for each step of walker2d.

        :param settings: of the run, without which it would be another one.
        :raises OutputError: if it cannot be written.
        """
        with written(file) as scratch, scratch.open('wb') as out:
            pickle.dump({
                'settings': settings, 'n_done': self.n_done,
                'parameters': self._ppo.get_parameters(),
                'statistics': (self._venv.obs_rms, self._venv.ret_rms),
                'checkpoints': self._checkpoints, 'episodes': self._episodes}, out)

    def restore(self, file: Path, settings: dict[str, Any]) -> None:
        """
        Go on from where another run with the same settings was saved.

        What comes is drawn anew: it is not what would have come without the interruption.

        :param file: of one's own: what another has written can run programs when it is read.
        :raises ModelError: if there is none, or it was saved with other settings or by another
            version.
        """
        if not file.is_file():
            raise ModelError(f'{file}: no such file, expected a run that was interrupted; begin '
                             'without --resume')
        try:
            saved = pickle.loads(file.read_bytes())
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
            raise ModelError(f'{file}: is no run that this version has interrupted ({error}); '
                             'delete it to begin anew') from error
        for name, value in saved['settings'].items():
            if (now := settings.get(name)) != value:
                raise ModelError(f'{file}: was interrupted with {name} {value!r}, now {now!r}; '
                                 'resume with the same options, or choose another --out')
        self._ppo.set_parameters(saved['parameters'])
        self._venv.obs_rms, self._venv.ret_rms = saved['statistics']
        self._checkpoints[:], self._episodes[:] = saved['checkpoints'], saved['episodes']
        self._ppo.num_timesteps = saved['n_done']
        self._ppo.set_random_seed(self._seed + _n_rollouts(self.n_done))
        self._course.advance(self.n_done / self._n_transitions)


def _n_rollouts(n_transitions: int) -> int:
    return n_transitions // (ROLLOUT_STEPS * N_ENVS)


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

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self._let_learn()

    def _on_rollout_end(self) -> None:
        self._let_learn()

    def _let_learn(self) -> None:
        is_learning = _n_rollouts(self.num_timesteps) >= VALUE_ROLLOUTS
        for name, weight in self.model.policy.named_parameters():
            if name == 'log_std' or 'policy_net' in name or 'action_net' in name:
                weight.requires_grad_(is_learning)
