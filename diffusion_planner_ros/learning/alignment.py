"""Online alignment: learn from what executed plans really did (Hu 2024, Algorithm 2)."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..data.dataset import Windows
from ..episode import Episode
from ..errors import ConfigError
from ..normalizer import Normalizer
from ..robot import Robot
from .advantage import generalized_advantage
from .align_config import AlignConfig
from .learner import Learner, load_checkpoint, NETWORKS, WARMUP_UPDATES
from .replay_buffer import Buffer
from .train_config import TrainConfig

MAX_SCORED_OFFLINE = 50_000  # steps of the offline data that one round chooses from
SCORE_BATCH = 8192
MAX_LOG_WEIGHT = 5.0
MIN_SETTLING_RATE = 0.05  # of the learning rate, which falls while the model settles


class Aligner(Learner):
    """
    A trained model, and the offline and executed episodes that it goes on learning from.

    :param checkpoint: of ``train`` or of another alignment.
    :param offline: episodes that the model was trained on; may be none.
    """

    def __init__(self, checkpoint: Path, config: AlignConfig, offline: Sequence[Episode]) -> None:
        self.settings = config
        self.n_steps = 0
        self._n_settled = 0  # of them: executed without exploration
        self._n_before_settling = 0  # rows of the executed episodes that were explored in
        saved = load_checkpoint(checkpoint)
        trained = replace(
            TrainConfig(**saved['config']), batch_size=config.batch_size, seed=config.seed,
            learning_rate=config.learning_rate, value_learning_rate=config.value_learning_rate,
            dynamics_learning_rate=config.dynamics_learning_rate, ema_decay=config.ema_decay,
            n_threads=config.n_threads, device='cpu')
        robot = Robot.from_dict(saved['robot'], str(checkpoint))
        super().__init__(
            trained, robot, Normalizer(np.array(saved['mean']), np.array(saved['std'])),
            Normalizer(np.array([saved['value_mean']]), np.array([saved['value_std']])))
        for name in NETWORKS:
            weights = saved[f'averaged_{name}']  # those of the bundle that is to become better
            getattr(self, name).load_state_dict(weights)
            getattr(self, f'averaged_{name}').load_state_dict(weights)
        self.data_sha256 = saved['data_sha256']
        self._trained_facts = saved['facts']
        self._offline = Buffer(trained.horizon)
        self._executed = Buffer(trained.horizon)
        self._fill(self._offline, offline)

    def _rate(self, update: int) -> float:
        warmup = min(1.0, (update + 1) / WARMUP_UPDATES)
        left = 1.0 - self._n_settled / self.settings.settle_steps if self._n_settled else 1.0
        return warmup * max(MIN_SETTLING_RATE, left)

    def _fill(self, buffer: Buffer, episodes: Sequence[Episode]) -> None:
        long = [e for e in episodes if len(e) >= self.config.horizon]
        if long:
            windows = Windows.cut(long, self.robot, self.config.horizon,
                                  discount=self.config.discount,
                                  fall_penalty=self.config.fall_penalty)
            values = self.value_normalizer.normalize(windows.values[:, None])[:, 0]
            buffer.add(long, self._tensor(self.normalizer.normalize(windows.rows)),
                       self._tensor(values))

    def add(self, episodes: Sequence[Episode]) -> None:
        """Keep the executed episodes of one round, to learn from them."""
        n_steps = sum(map(len, episodes))
        if self.is_settling:
            self._n_settled += n_steps
        self._fill(self._executed, episodes)
        if not self._n_settled:
            self._n_before_settling = len(self._executed)
        self.n_steps += n_steps

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the data, for the bundle."""
        return {**self._trained_facts,
                'alignment': {**asdict(self.settings), 'n_steps_done': self.n_steps}}

    @property
    def is_settling(self) -> bool:
        """Whether the model explores no more."""
        return self.n_steps >= self.settings.n_steps - self.settings.settle_steps

    @property
    def n_offline_rows(self) -> int:
        """Steps of the offline data, those of too short episodes left out."""
        return len(self._offline)

    @property
    def n_offline(self) -> int:
        """Windows of the offline data in the next batches."""
        settings, share = self.settings, self.settings.offline_share
        if settings.offline_steps:
            share *= max(0.0, 1.0 - self.n_steps / settings.offline_steps)
        if not len(self._offline) or self._n_settled:
            share = 0.0
        return round(settings.batch_size * share)

    @torch.no_grad()
    def _expected(self, states: Tensor) -> NDArray:
        """
        Return the value of states alone (n, S), in units of the reward, shape (n,).

        It is that of a trajectory at the most noise, of which only the first state is left.
        """
        values = []
        for part in states.split(SCORE_BATCH):
            x_t = torch.randn(len(part), self.config.horizon, self.robot.action_dim
                              + self.robot.state_dim, generator=self.generator)
            x_t[:, 0, self.robot.action_dim:] = part
            t = torch.full((len(part),), self.config.n_diffusion_steps - 1)
            values.append(self.averaged_value(x_t, t))
        return self.value_normalizer.unnormalize(torch.cat(values).double().numpy()[:, None])[:, 0]

    def _advantages(self, buffer: Buffer, numbers: Sequence[int]) -> Tensor:
        """Return the advantage of the first action of every window of some episodes."""
        expected = self._expected(torch.cat([
            buffer.states(i, self.robot.action_dim) for i in numbers]))
        advantages, begin = [], 0
        for i in numbers:
            episode = buffer.episodes[i]
            values = expected[begin:begin + len(episode)]
            begin += len(episode)
            advantage = generalized_advantage(
                episode.rewards, values,
                # Without a fall it goes on from about where it is.
                -self.config.fall_penalty if episode.terminated else values[-1],
                discount=self.config.discount, gae_lambda=self.settings.gae_lambda)
            advantages.append(advantage[:len(episode) - self.config.horizon + 1])
        return torch.as_tensor(np.concatenate(advantages))

    def _imitable(self, buffer: Buffer, n_steps: int, *, latest: bool
                  ) -> tuple[Tensor, Tensor | None]:
        """
        Choose windows to imitate.

        :param n_steps: that they are chosen from.
        :param latest: the last ones, or episodes at random.
        :return: their first rows, and how likely each is (cumulated; None: all alike).
        """
        order = (range(len(buffer.episodes) - 1, -1, -1) if latest else
                 torch.randperm(len(buffer.episodes), generator=self.generator).tolist())
        n_before = np.cumsum([0, *(len(buffer.episodes[i]) for i in order)])
        numbers = [i for i, n in zip(order, n_before[:-1], strict=True) if n < n_steps]
        starts = buffer.starts(numbers)
        if self.settings.weighting == 'none' or self._n_settled:
            return starts, None
        advantage = self._advantages(buffer, numbers)
        deviation = advantage.std(correction=min(1, len(advantage) - 1))  # none of a single one
        scale = self.settings.temperature * deviation.clamp(min=1e-6)
        # The advantage-weighted regression of Peng et al. (2019), arxiv.org/abs/1910.00177.
        log_weights = (advantage / scale).clamp(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT)
        return starts, log_weights.exp().cumsum(0)

    def _draw(self, n: int, candidates: Tensor, likelihood: Tensor | None) -> Tensor:
        if likelihood is None:
            return candidates[torch.randint(len(candidates), (n,), generator=self.generator)]
        u = torch.rand(n, generator=self.generator, dtype=torch.float64) * likelihood[-1]
        return candidates[torch.searchsorted(likelihood, u).clamp(max=len(candidates) - 1)]

    @property
    def _learns_value(self) -> bool:
        return bool(torch.isfinite(self._executed.all_values).all())

    @torch.no_grad()
    def losses_on(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Return the losses of the averaged networks on episodes, with noise that is fixed."""
        buffer = Buffer(self.config.horizon)
        self._fill(buffer, episodes)
        starts = buffer.starts(range(len(buffer.episodes)))
        x_0 = buffer.windows(starts)
        generator = torch.Generator().manual_seed(0)
        t = torch.randint(self.config.n_diffusion_steps, (len(x_0),), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        x_t = self.diffusion.noised(x_0, t, eps)
        losses = {
            'denoising': self.averaged_diffusion.loss(x_0, x_t, t, eps, self._weight),
            'forward': self.averaged_dynamics_model.loss(
                x_0[:, 0], x_0[:, 1, self.robot.action_dim:])}
        return {name: float(loss) for name, loss in losses.items()}

    def state_errors(self, planned: NDArray, executed: NDArray) -> NDArray:
        """
        Compare states [SI], both (n, S).

        :return: root mean square over the entries [standard deviations of the data], shape (n,).
        """
        clip, normalize = self.robot.state_clip, self.normalizer.normalize_state
        difference = (normalize(np.clip(planned, -clip, clip))
                      - normalize(np.clip(executed, -clip, clip)))
        return np.sqrt(np.mean(np.square(difference), axis=1))

    def _judged(self, x_0: Tensor) -> tuple[Tensor, Tensor]:
        """
        Noise windows (B, H, D) for the value; return x_t and t.

        Half of them not at all, a quarter at most: it is there that candidates are ranked and
        that advantages are measured.
        """
        _, t, eps = self.noised(x_0)
        t[::2] = 0
        t[1::4] = self.config.n_diffusion_steps - 1
        x_t = self.diffusion.noised(x_0, t, eps)
        x_t[::2] = x_0[::2]
        return x_t, t

    def learn(self, n_steps: int) -> dict[str, float]:
        """
        Take gradient steps on the episodes so far; return the mean losses.

        None, and no losses, as long as no executed episode to imitate is as long as a window.

        :param n_steps: new steps of the robot, for the number of updates.
        :raises ConfigError: if the settings need rewards, and there are none.
        """
        settings = self.settings
        n_recent = (len(self._executed) - self._n_before_settling if self._n_settled
                    else settings.recent_steps or len(self._executed))
        if not len(self._executed) or not n_recent:
            return {}
        n_updates = round(n_steps * (settings.settle_updates_per_step if self._n_settled
                                     else settings.updates_per_step))
        n_offline = self.n_offline
        if settings.weighting != 'none' and not self._learns_value:
            raise ConfigError(f"weighting is '{settings.weighting}', expected 'none': executed "
                              'episodes have no rewards')
        sources = []
        if n_offline:
            sources.append((self._offline, n_offline, self._offline.starts(
                range(len(self._offline.episodes))), *self._imitable(
                    self._offline, MAX_SCORED_OFFLINE, latest=False)))
        if n_offline < settings.batch_size:
            sources.append((self._executed, settings.batch_size - n_offline, self._executed.starts(
                range(len(self._executed.episodes))), *self._imitable(
                    self._executed, n_recent, latest=True)))
        sums: dict[str, float] = {}
        for _ in range(n_updates):
            imitated = torch.cat([
                buffer.windows(self._draw(n, *imitable)) for buffer, n, _, *imitable in sources])
            # Value and dynamics model learn from everything, good or bad.
            picked = [self._draw(n, starts, None) for _, n, starts, *_ in sources]
            judged, values = (torch.cat(list(parts)) for parts in zip(*(
                (buffer.windows(starts), buffer.values(starts))
                for (buffer, *_), starts in zip(sources, picked, strict=True)), strict=True))
            losses = {'forward': self.dynamics_loss(judged)}
            if self._learns_value:
                losses['value'] = self.value_loss(*self._judged(judged), values)
            if self.n_steps > settings.value_first_steps:
                losses['denoising'] = self.denoising_loss(imitated, *self.noised(imitated))
            for name, loss in self.descend(losses).items():
                sums[name] = sums.get(name, 0.0) + float(loss) / n_updates
        return sums
