# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Cut a stream of states, actions, plans and rewards into episodes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...data.rewarded_parts import rewarded_parts
from ...episode import Episode
from ..state.down_sampler import DownSampler

LONGEST_STEP, SHORTEST_STEP = 1.5, 0.5  # control periods between two states of one episode
LATE = 500_000_000  # [ns] that plans and rewards may come after the end of their episode
EARLY = 500_000_000  # [ns] by which the stamp of a plan or reward may be ahead of the newest state
N_PLANNED = 512  # stamps of plans that are remembered


@dataclass
class _Open:
    """An episode that is being recorded; all dictionaries are by stamp [ns]."""

    rows: dict[int, tuple[NDArray, NDArray]]
    """States, and the action that led to each."""
    plans: dict[int, NDArray] = field(default_factory=dict)
    rewards: dict[int, tuple[float, bool]] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        return next(reversed(self.rows))

    @property
    def n_steps(self) -> int:
        return len(self.rows) - 1

    def has_step_to(self, stamp: int) -> bool:
        return stamp in self.rows and stamp != next(iter(self.rows))

    def is_near(self, stamp: int) -> bool:
        """Return whether this is the stamp of a state, or of one that may come soon."""
        return stamp in self.rows or 0 < stamp - self.newest <= EARLY

    def finished(self, horizon: int) -> list[tuple[Episode, int]]:
        """
        Return the episode, or several where rewards are missing between others.

        If no two consecutive steps have a reward, it is one episode without rewards: then they
        are not published for every step, or only to report a fall.

        :param horizon: states of a plan, H.
        :return: each episode, and how many steps before or after it were left out, as they had no
            reward.
        """
        stamps = list(self.rows)
        # A fall may be reported when further states have come already: these do not count.
        falls = [k for k, s in enumerate(stamps) if k and self.rewards.get(s, (0.0, False))[1]]
        stamps = stamps[:falls[0] + 1] if falls else stamps
        has_reward = [stamp in self.rewards for stamp in stamps[1:]]
        parts: list[tuple[Episode, int]] = []
        before = 0  # end of the part before
        for first, end in rewarded_parts(has_reward):
            part = self._part(stamps[first:end + 1], horizon,
                              has_rewards=all(has_reward[first:end]))
            parts.append((part, first - before))
            before = end
        if parts:
            last, n_before = parts[-1]
            parts[-1] = last, n_before + len(has_reward) - before
        return parts

    def _part(self, stamps: list[int], horizon: int, *, has_rewards: bool) -> Episode:
        states = np.array([self.rows[stamp][0] for stamp in stamps])
        plans = np.full((len(stamps) - 1, horizon, states.shape[1]), np.nan, dtype=np.float32)
        for k, stamp in enumerate(stamps[:-1]):
            if stamp in self.plans:
                plans[k] = self.plans[stamp]
        rewards = ([self.rewards[s][0] for s in stamps[1:]] if has_rewards
                   else [np.nan] * (len(stamps) - 1))
        return Episode(
            states, np.array([self.rows[stamp][1] for stamp in stamps[1:]]), np.array(rewards),
            self.rewards.get(stamps[-1], (0.0, False))[1], plans)


class EpisodeLog:
    """
    Assemble episodes from messages that are added in the order of their publication.

    An episode ends where the stamp jumps back, after a gap of more than ``LONGEST_STEP``, where
    the action is not known, and with a reward that reports a fall. It is handed over ``LATE``
    later, because its last plans may come after the first state of the next one. If some steps
    have a reward and others have none, the latter are left out, which ends an episode as well.

    :param period: control period [ns].
    :param horizon: states of a plan, H.
    :param max_steps: steps after which an episode is cut; the next one begins with its last state.
    :param on_episode: called with every episode of at least one action, and the number of steps
        before or after it that were left out, as they had no reward. Its rewards are all NaN if
        not every step has one.
    """

    def __init__(self, *, period: int, horizon: int, max_steps: int,
                 on_episode: Callable[[Episode, int], None]) -> None:
        self._period, self._horizon, self._max_steps = period, horizon, max_steps
        self._on_episode = on_episode
        self._down_sampler = DownSampler(period)
        self._planned: deque[int] = deque(maxlen=N_PLANNED)
        self._current: _Open | None = None
        self._ended: _Open | None = None  # an episode that is not handed over yet
        self._ended_at = 0  # steady time [ns]

    def announce_plan(self, stamp: int) -> None:
        """Note that a plan starts from the state of this stamp [ns], as soon as it arrives."""
        self._planned.append(stamp)

    def is_due(self, stamp: int) -> bool:
        """
        Return whether to record the state of this stamp [ns].

        If states come faster than the control rate, those are recorded that plans start from;
        without plans, one state in every control period.
        """
        if self._current is not None and stamp < self._current.newest:
            self._down_sampler = DownSampler(self._period)
            self._forget_plans_before_jump()
        self._down_sampler.see(stamp)
        if stamp in self._planned:
            self._down_sampler.align(stamp)
            return True
        is_beside_one = any(abs(stamp - p) < self._period / 2 for p in self._planned)
        if is_beside_one or not self._down_sampler.is_due(stamp):
            return False
        self._down_sampler.accept(stamp)
        return True

    def _forget_plans_before_jump(self) -> None:
        """Forget plans from before the stamps jumped back, if later ones were announced."""
        stamps = list(self._planned)
        jumps = [k for k in range(1, len(stamps)) if stamps[k] < stamps[k - 1]]
        if jumps:
            self._planned = deque(stamps[jumps[-1]:], maxlen=N_PLANNED)

    def add_state(self, now: int, stamp: int, state: NDArray, action: NDArray) -> None:
        """
        Take the next state, or ignore it if it is a repetition.

        :param now: steady time [ns].
        :param state: shape (S,).
        :param action: that led here, shape (A,), NaN if it is not known.
        """
        current = self._current
        if current is not None:
            newest = current.newest
            if stamp == newest and np.array_equal(state, current.rows[newest][0]):
                return
            step = (stamp - newest) / self._period
            if SHORTEST_STEP <= step <= LONGEST_STEP and np.isfinite(action).all():
                if current.n_steps >= self._max_steps:
                    current = self._continue_in_a_new_one(current, now)
                current.rows[stamp] = state, action
                self._end_if_terminated(now, stamp)
                return
        self._end(now)
        self._current = _Open({stamp: (state, action)})

    def add_plan(self, stamp: int, states: NDArray) -> None:
        """Take the states (H, S) planned from the state of this stamp [ns]."""
        ended, current = self._ended, self._current
        is_late = (ended is not None and stamp in ended.rows and stamp not in ended.plans
                   and (current is None or stamp not in current.rows))
        owner = ended if is_late else current
        if owner is not None and owner.is_near(stamp):
            owner.plans[stamp] = states

    def add_reward(self, now: int, stamp: int, reward: float, terminated: bool) -> None:
        """Take the reward of the step that led to the state of this stamp [ns]."""
        ended, current = self._ended, self._current
        is_late = (ended is not None and ended.has_step_to(stamp) and stamp not in ended.rewards
                   and (current is None or not current.has_step_to(stamp)))
        owner = ended if is_late else current
        if owner is not None and owner.is_near(stamp):
            owner.rewards[stamp] = reward, terminated
            self._end_if_terminated(now, stamp)

    def hand_over_ended(self, now: int) -> None:
        """Hand over an episode that ended ``LATE`` ago; ``now`` is steady time [ns]."""
        if self._ended is not None and now - self._ended_at > LATE:
            self._hand_over()

    def close(self) -> None:
        """Hand over all that was added."""
        self._end(0)
        self._hand_over()

    def _end_if_terminated(self, now: int, stamp: int) -> None:
        current = self._current
        if current is not None and current.has_step_to(stamp) and current.rewards.get(
                stamp, (0.0, False))[1]:
            self._end(now)

    def _end(self, now: int) -> None:
        if self._current is not None:
            self._hand_over()
            self._ended, self._current, self._ended_at = self._current, None, now

    def _continue_in_a_new_one(self, current: _Open, now: int) -> _Open:
        stamp = current.newest
        self._end(now)
        self._current = _Open({stamp: current.rows[stamp]})
        if stamp in current.plans:
            self._current.plans[stamp] = current.plans[stamp]
        return self._current

    def _hand_over(self) -> None:
        ended, self._ended = self._ended, None
        for episode, n_left_out in ended.finished(self._horizon) if ended is not None else ():
            self._on_episode(episode, n_left_out)
