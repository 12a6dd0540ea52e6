# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Online alignment: learn from what executed plans really did (Hu 2024, Algorithm 2)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..data.windows import n_rows, Windows
from ..episode import Episode
from ..errors import ConfigError, ModelError
from ..normalizer import Normalizer
from ..robot import Robot
from ..schedule import CLEAN
from ..state_error import comparable, state_error
from .advantage import generalized_advantage, imitation_weights
from .align_config import AlignConfig
from .learner import Learner, load_checkpoint, WARMUP_UPDATES
from .random_conditions import first_states
from .replay_buffer import Buffer, WindowChoice
from .train_config import TrainConfig

MAX_SCORED_OFFLINE = 50_000  # steps of the offline data that one round chooses from
SCORE_BATCH = 8192
ALIGNABLE = {'window': 'joint', 'return_share': 0.0, 'value_target': 'returns'}
MIN_SETTLING_RATE = 0.05  # of the learning rate, which falls while the model settles


@dataclass(frozen=True)
class _Source:
    """Episodes that a part of every batch of a round comes from."""

    buffer: Buffer
    n: int
    """Windows of a batch."""
    imitable: WindowChoice
    """What the denoiser imitates."""

    @cached_property
    def everything(self) -> WindowChoice:
        return WindowChoice(self.buffer.starts(range(len(self.buffer.episodes))))


class Aligner:
    """
    A learner, and the offline and executed episodes that it goes on learning from.

    :param checkpoint: of ``train`` or of another alignment.
    :param settings: how it learns.
    :param offline: episodes that the model was trained on; may be none.
    :raises ModelError: if the checkpoint is missing, or not one that can be aligned.
    """

    def __init__(self, checkpoint: Path, settings: AlignConfig, offline: Sequence[Episode]
                 ) -> None:
        self.settings = settings
        self.n_steps = 0
        """Steps of the robot that it was given to learn from."""
        self._n_settled = 0  # of them: executed without exploration
        self._n_before_settling = 0  # executed steps in ``executed`` that were explored in
        saved = load_checkpoint(checkpoint)
        trained = TrainConfig(**saved['config'])
        for name, expected in ALIGNABLE.items():
            if getattr(trained, name) != expected:
                raise ModelError(f'{checkpoint}: was trained with {name} '
                                 f'{getattr(trained, name)!r}, expected {expected!r}: no other '
                                 'model can be aligned')
        config = replace(
            trained, batch_size=settings.batch_size, seed=settings.seed,
            learning_rate=settings.learning_rate,
            value_learning_rate=settings.value_learning_rate,
            dynamics_learning_rate=settings.dynamics_learning_rate,
            ema_decay=settings.ema_decay, n_threads=settings.n_threads, device='cpu')
        self.learner = Learner(
            config, Robot.from_dict(saved['robot'], str(checkpoint)),
            Normalizer(np.array(saved['mean']), np.array(saved['std'])),
            Normalizer(np.array([saved['value_mean']]), np.array([saved['value_std']])),
            reward_scale=saved['reward_scale'], data_sha256=saved['data_sha256'], rate=self.rate)
        # The averaged weights are those of the bundle that is to become better.
        self.learner.averages.load_state_dict(saved['averages'])
        self.learner.networks.load_state_dict(self.learner.averaged.state_dict())
        self._trained_facts = saved['facts']
        self.offline = Buffer(config.horizon)
        self.executed = Buffer(config.horizon)
        self._fill(self.offline, offline)

    @property
    def config(self) -> TrainConfig:
        """Settings of the networks, and those of the learner that the alignment changes."""
        return self.learner.config

    @property
    def robot(self) -> Robot:
        """The robot of the model."""
        return self.learner.robot

    @property
    def n_updates(self) -> int:
        """Gradient steps that were taken since the alignment began."""
        return self.learner.n_updates

    def rate(self, update: int) -> float:
        """Return the factor on the learning rates: warm-up, then a fall while it settles."""
        warmup = min(1.0, (update + 1) / WARMUP_UPDATES)
        left = 1.0 - self._n_settled / self.settings.settle_steps if self._n_settled else 1.0
        return warmup * max(MIN_SETTLING_RATE, left)

    def _fill(self, buffer: Buffer, episodes: Sequence[Episode]) -> None:
        config, learner = self.config, self.learner
        long = [e for e in episodes if n_rows(e) >= config.horizon]
        if long:
            windows = Windows.cut(long, self.robot, config.horizon, discount=config.discount,
                                  fall_penalty=config.fall_penalty)
            values = learner.value_normalizer.normalize(windows.values[:, None])[:, 0]
            buffer.add(long, learner.tensor(learner.normalizer.normalize(windows.rows)),
                       learner.tensor(values))

    def add(self, episodes: Sequence[Episode]) -> None:
        """Keep the executed episodes of one round, to learn from them."""
        n_steps = sum(map(len, episodes))
        if self.is_settling:
            self._n_settled += n_steps
        self._fill(self.executed, episodes)
        if not self._n_settled:
            self._n_before_settling = len(self.executed)
        self.n_steps += n_steps

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the data, for the bundle."""
        return {**self._trained_facts,
                'alignment': {**asdict(self.settings), 'n_steps_done': self.n_steps}}

    def save(self, file: Path) -> None:
        """
        Write a checkpoint from which the alignment goes on and a bundle is exported.

        :raises OutputError: if it cannot be written.
        """
        self.learner.save(file, self.facts)

    @property
    def is_settling(self) -> bool:
        """Whether the model explores no more."""
        return self.n_steps >= self.settings.n_steps - self.settings.settle_steps

    @property
    def n_offline(self) -> int:
        """Windows of the offline data in the next batches."""
        settings, share = self.settings, self.settings.offline_share
        if settings.offline_steps:
            share *= max(0.0, 1.0 - self.n_steps / settings.offline_steps)
        if not len(self.offline) or self._n_settled:
            share = 0.0
        return round(settings.batch_size * share)

    @torch.no_grad()
    def expected_returns(self, states: NDArray) -> NDArray:
        """
        Return the value of states alone.

        It is that of a trajectory at the most noise, of which only the first state is left.

        :param states: [SI], shape (n, S).
        :return: expected discounted return from each [reward], shape (n,).
        """
        learner, n_action = self.learner, self.robot.action_dim
        normalized = learner.tensor(comparable(states, self.robot, learner.normalizer))
        values = []
        for part in normalized.split(SCORE_BATCH):
            x_t = torch.randn(len(part), self.config.horizon, n_action + self.robot.state_dim,
                              generator=learner.generator)
            x_t[:, 0, n_action:] = part
            t = torch.full((len(part),), self.config.n_diffusion_steps - 1)
            values.append(learner.averaged.value(x_t, t))
        normalized_values = torch.cat(values).double().numpy()
        return learner.value_normalizer.unnormalize(normalized_values[:, None])[:, 0]

    def advantages(self, episodes: Sequence[Episode]) -> list[NDArray]:
        """
        Return how much better than expected every action of some episodes turned out.

        After a fall nothing follows but its penalty. An episode that was cut off would have gone
        on: what follows is the value of the state after its last action, or, where that was not
        recorded, of the state before it.

        :return: of each episode [reward], shape (number of actions,).
        """
        expected = self.expected_returns(np.concatenate([e.observations for e in episodes]))
        ends = np.cumsum([len(e.observations) for e in episodes])[:-1]
        return [
            generalized_advantage(
                episode.rewards, values[:len(episode)],
                -self.config.fall_penalty if episode.terminated else float(values[-1]),
                discount=self.config.discount, gae_lambda=self.settings.gae_lambda)
            for episode, values in zip(episodes, np.split(expected, ends), strict=True)]

    def imitable(self, buffer: Buffer, n_steps: int, *, latest: bool) -> WindowChoice:
        """
        Choose windows to imitate.

        :param buffer: ``offline`` or ``executed``, not empty.
        :param n_steps: steps of the robot that they are chosen from.
        :param latest: the last ones, or episodes at random.
        """
        n_episodes = len(buffer.episodes)
        order = (range(n_episodes - 1, -1, -1) if latest else
                 torch.randperm(n_episodes, generator=self.learner.generator).tolist())
        n_before = np.cumsum([0, *(len(buffer.episodes[i]) for i in order)])
        numbers = [i for i, n in zip(order, n_before[:-1], strict=True) if n < n_steps]
        starts = buffer.starts(numbers)
        if self.settings.weighting == 'none' or self._n_settled:
            return WindowChoice(starts)
        advantages = self.advantages([buffer.episodes[i] for i in numbers])
        of_windows = np.concatenate([advantage[:buffer.n_windows(i)] for i, advantage in zip(
            numbers, advantages, strict=True)])
        return WindowChoice(starts, imitation_weights(torch.as_tensor(of_windows),
                                                      self.settings.temperature))

    @torch.no_grad()
    def losses_on(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Return the losses of the averaged networks on episodes, with noise that is fixed."""
        buffer, learner = Buffer(self.config.horizon), self.learner
        self._fill(buffer, episodes)
        x_0 = buffer.windows(buffer.starts(range(len(buffer.episodes))))
        generator = torch.Generator().manual_seed(0)
        t = torch.randint(self.config.n_diffusion_steps, (len(x_0),), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        losses = {
            'denoising': learner.denoising_loss(
                x_0, t, eps, first_states(x_0, self.robot.action_dim), averaged=True),
            'dynamics': learner.averaged.dynamics_model.loss(
                x_0[:, 0], x_0[:, 1, self.robot.action_dim:])}
        return {name: float(loss) for name, loss in losses.items()}

    def state_errors(self, planned: NDArray, executed: NDArray) -> NDArray:
        """
        Compare states [SI], both (n, S), see ``state_error``.

        :return: root mean square over the entries [standard deviations of the data], shape (n,).
        """
        return state_error(planned, executed, self.robot, self.learner.normalizer)

    def value_times(self, t: Tensor) -> Tensor:
        """
        Return the diffusion times (B,) at which the value learns from a batch.

        Where it is asked: half of the windows are clean, as candidates are when they are ranked. A
        quarter is at the most noise, as advantages are measured there. The others stay at ``t``.
        All times alike: ``t`` as it was drawn, so that it learns of (tau^t, t) alone, as in
        Algorithm 2 (Hu 2024).
        """
        if self.settings.value_times == 'even':
            return t
        t = t.clone()
        t[::2] = CLEAN
        t[1::4] = self.config.n_diffusion_steps - 1
        return t

    def n_updates_for(self, n_steps: int) -> int:
        """Return how many updates ``learn`` makes of new steps of the robot."""
        return round(n_steps * (self.settings.settle_updates_per_step if self._n_settled
                                else self.settings.updates_per_step))

    def learn(self, n_steps: int, *,
              on_update: Callable[[dict[str, Tensor]], None] = lambda losses: None
              ) -> dict[str, float]:
        """
        Take gradient steps on the episodes so far; return the mean losses.

        None, and no losses, as long as no executed episode to imitate is as long as a window.

        :param n_steps: new steps of the robot, for the number of updates.
        :param on_update: called with the losses of every update.
        :raises ConfigError: if the settings need rewards, and there are none.
        """
        settings, executed = self.settings, self.executed
        n_recent = (len(executed) - self._n_before_settling if self._n_settled
                    else settings.recent_steps or len(executed))
        if not len(executed) or not n_recent:
            return {}
        n_updates = self.n_updates_for(n_steps)
        if settings.weighting != 'none' and not executed.has_rewards:
            raise ConfigError(f"weighting is '{settings.weighting}', expected 'none': executed "
                              'episodes have no rewards; add --weighting none')
        n_offline = self.n_offline
        sources = []
        if n_offline:
            sources.append(_Source(self.offline, n_offline, self.imitable(
                self.offline, MAX_SCORED_OFFLINE, latest=False)))
        if n_offline < settings.batch_size:
            sources.append(_Source(executed, settings.batch_size - n_offline, self.imitable(
                executed, n_recent, latest=True)))
        sums: dict[str, float] = {}
        for _ in range(n_updates):
            losses = self._update(sources)
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss) / n_updates
            on_update(losses)
        return sums

    def _update(self, sources: Sequence[_Source]) -> dict[str, Tensor]:
        learner = self.learner
        imitated = torch.cat([
            source.buffer.windows(source.imitable.draw(source.n, learner.generator))
            for source in sources])
        # Value and dynamics model learn from everything, good or bad.
        picked = [source.everything.draw(source.n, learner.generator) for source in sources]
        judged = torch.cat([source.buffer.windows(starts)
                            for source, starts in zip(sources, picked, strict=True)])
        losses = learner.dynamics_losses(judged)
        if self.executed.has_rewards:
            values = torch.cat([source.buffer.values(starts)
                                for source, starts in zip(sources, picked, strict=True)])
            t, eps = learner.draw_noise(judged)
            losses['value'] = learner.value_loss(judged, self.value_times(t), eps, values)
        if self.n_steps > self.settings.value_first_steps:
            losses['denoising'] = learner.denoising_loss(
                imitated, *learner.draw_noise(imitated), learner.draw_conditions(imitated))
        return learner.descend(losses)
