"""Cut the stream of what a robot did into episodes: states, actions, plans, rewards."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .pace import Pace

LONGEST_STEP, SHORTEST_STEP = 1.5, 0.5  # control periods between two states of one episode
LATE = 500_000_000  # [ns] that plans and rewards may come after the end of their episode
N_PLANNED = 512  # stamps of plans that are remembered


@dataclass(frozen=True)
class RecordedEpisode:
    """What was executed and planned in consecutive control periods."""

    observations: NDArray
    """States [SI], shape (n + 1, S)."""
    actions: NDArray
    """What was applied between one state and the next, shape (n, A)."""
    rewards: NDArray | None
    """Shape (n,); None unless there is one for every action."""
    terminated: bool
    """Whether it ended in a fall."""
    plans: NDArray
    """Planned states [SI], row 0 the state that the plan starts from, NaN where no plan came,
    shape (n, H, S)."""


@dataclass
class _Open:
    """An episode that is being recorded; everything by stamp [ns]."""

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

    def cut_after(self, stamp: int) -> None:
        self.rows = {s: row for s, row in self.rows.items() if s <= stamp}

    def finished(self, horizon: int) -> RecordedEpisode:
        stamps = list(self.rows)
        states = np.array([state for state, _ in self.rows.values()])
        plans = np.full((self.n_steps, horizon, states.shape[1]), np.nan, dtype=np.float32)
        for k, stamp in enumerate(stamps[:-1]):
            if stamp in self.plans:
                plans[k] = self.plans[stamp]
        rewards = [self.rewards.get(stamp) for stamp in stamps[1:]]
        is_complete = None not in rewards
        return RecordedEpisode(
            states, np.array([action for _, action in self.rows.values()][1:]),
            np.array([reward for reward, _ in rewards]) if is_complete else None,
            rewards[-1] is not None and rewards[-1][1], plans)


class EpisodeLog:
    """
    Assemble episodes from messages, told about them in the order in which they were published.

    An episode ends where the stamp jumps back, at a gap of more than ``LONGEST_STEP``, where the
    action is not known, and with the reward that says so. It is handed over a little later, for
    its last plans may come after the first state of the next one.

    :param period: control period [ns].
    :param horizon: states of a plan, H.
    :param max_steps: steps after which an episode is cut, the next one going on from there.
    :param on_episode: called with every episode of at least one action.
    """

    def __init__(self, *, period: int, horizon: int, max_steps: int,
                 on_episode: Callable[[RecordedEpisode], None]) -> None:
        self._period, self._horizon, self._max_steps = period, horizon, max_steps
        self._on_episode = on_episode
        self._pace = Pace(period)
        self._planned: deque[int] = deque(maxlen=N_PLANNED)
        self._current: _Open | None = None
        self._ended: _Open | None = None  # but not yet handed over
        self._ended_at = 0  # [ns]

    def announce_plan(self, stamp: int) -> None:
        """Note that a plan starts from the state of this stamp [ns], before it is its turn."""
        self._planned.append(stamp)

    def is_due(self, stamp: int) -> bool:
        """
        Return whether to record the state of this stamp [ns].

        Of a stream that is faster than the control rate the states that plans start from are, and
        where there are none, one for every control period.
        """
        if self._current is not None and stamp < self._current.newest:
            self._pace = Pace(self._period)
        self._pace.see(stamp)
        if stamp in self._planned:
            self._pace.align(stamp)
            return True
        is_beside_one = any(abs(stamp - p) < self._period / 2 for p in self._planned)
        if is_beside_one or not self._pace.is_due(stamp):
            return False
        self._pace.accept(stamp)
        return True

    def add_state(self, sent: int, stamp: int, state: NDArray, action: NDArray) -> None:
        """
        Take the next state; one that is repeated counts once.

        :param sent: when it was published [ns].
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
                    current = self._continue_in_a_new_one(sent)
                current.rows[stamp] = state, action
                self._end_if_terminated(sent, stamp)
                return
        self._end(sent)
        self._current = _Open({stamp: (state, action)})

    def add_plan(self, stamp: int, states: NDArray) -> None:
        """Take the states (H, S) planned from the state of this stamp [ns]."""
        if (owner := self._owner_of(stamp)) is not None:
            owner.plans[stamp] = states

    def add_reward(self, sent: int, stamp: int, reward: float, terminated: bool) -> None:
        """Take the reward of the step that led to the state of this stamp [ns]."""
        if (owner := self._owner_of(stamp)) is not None:
            owner.rewards[stamp] = reward, terminated
            self._end_if_terminated(sent, stamp)

    def settle(self, now: int) -> None:
        """Hand over an episode that nothing more can come of: everything until now [ns] came."""
        if self._ended is not None and now - self._ended_at > LATE:
            self._hand_over()

    def close(self) -> None:
        """Hand over what there is."""
        self._end(0)
        self._hand_over()

    def _owner_of(self, stamp: int) -> _Open | None:
        """Return the episode that a stamp belongs to; plans may be late, rewards early."""
        is_late = (self._ended is not None and stamp in self._ended.rows
                   and (self._current is None or stamp not in self._current.rows))
        return self._ended if is_late else self._current

    def _end_if_terminated(self, sent: int, stamp: int) -> None:
        current = self._current
        if current is not None and stamp in current.rows and current.rewards.get(
                stamp, (0.0, False))[1]:
            current.cut_after(stamp)  # whoever judges a fall may need some time for it
            self._end(sent)

    def _end(self, sent: int) -> None:
        if self._current is not None:
            self._hand_over()
            self._ended, self._current, self._ended_at = self._current, None, sent

    def _continue_in_a_new_one(self, sent: int) -> _Open:
        current, stamp = self._current, self._current.newest
        self._end(sent)
        self._current = _Open({stamp: current.rows[stamp]})
        if stamp in current.plans:
            self._current.plans[stamp] = current.plans[stamp]
        return self._current

    def _hand_over(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and ended.n_steps > 0:
            self._on_episode(ended.finished(self._horizon))
