# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How far visited states and plans are from the data, and whether that tells of a fall."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.stats import rankdata

from ...episode import Episode
from ...errors import DatasetError
from ...planning.bundle import Bundle
from ...state_error import comparable, root_mean_square
from ..misalignment import WatchedEpisode

N_REFERENCE = 20_000  # rows of the data set that a state is compared with
N_HELD_OUT = 2_000
HELD_OUT_SHARE = 0.2
BEFORE_FALL = (0.1, 0.2, 0.5, 1.0)  # [s]


@dataclass(frozen=True)
class RecordedStates:
    """Normalised states of a data set; episodes are in one of the two or in the other."""

    reference: NDArray
    """What others are compared with, shape (n, S)."""
    held_out: NDArray
    """What is as near to the reference as can be expected, shape (n, S)."""

    @classmethod
    def draw(cls, episodes: Sequence[Episode], bundle: Bundle, rng: np.random.Generator
             ) -> 'RecordedStates':
        """
        Draw states at random.

        :raises DatasetError: if there is only one episode.
        """
        n_episodes = len(episodes)
        if n_episodes < 2:
            raise DatasetError('the data has 1 episode, expected at least 2: one to compare with '
                               'and another one to compare')
        order = rng.permutation(n_episodes)
        n_held_out = max(1, round(HELD_OUT_SHARE * n_episodes))

        def states(numbers: NDArray, n_states: int) -> NDArray:
            rows = np.concatenate([episodes[i].observations[:len(episodes[i])] for i in numbers])
            rows = rows[rng.permutation(len(rows))[:n_states]]
            return comparable(rows, bundle.robot, bundle.normalizer)

        return cls(states(order[n_held_out:], N_REFERENCE), states(order[:n_held_out], N_HELD_OUT))


def nearest_distance(queries: NDArray, reference: NDArray) -> NDArray:
    """
    Return the distance of every state to the nearest one of the reference.

    :param queries: normalised, shape (n, S).
    :param reference: normalised, shape (m, S).
    :return: root mean square over the entries [standard deviations], shape (n,).
    """
    distances, _ = KDTree(reference).query(queries)
    return distances / np.sqrt(reference.shape[1])


@dataclass(frozen=True)
class Scores:
    """Scores of the control periods of one episode [standard deviations], each of shape (n,)."""

    surprise: NDArray
    """Planned less arrived: the state against the second row of the plan before; NaN at first."""
    inconsistency: NDArray | None
    """Steps of the plan against the dynamics model's; None without such a model."""
    state_distance: NDArray | None
    """Of the state to the data; None without data."""
    plan_distance: NDArray | None
    """Of the plan's last state to the data; None without data."""
    time_to_fall: NDArray
    """Until the robot has fallen [s]; infinite in an episode without a fall."""

    @property
    def by_name(self) -> dict[str, NDArray]:
        """Scores that could be computed."""
        found = {name: getattr(self, name) for name in SCORES}
        return {name: score for name, score in found.items() if score is not None}


SCORES = {'surprise': 'surprise: state against the plan before',
          'inconsistency': 'plan against the dynamics model',
          'state_distance': 'state: distance to the data',
          'plan_distance': "plan's last state: distance to the data"}


def score_episode(watched: WatchedEpisode, bundle: Bundle, recorded: RecordedStates | None
                  ) -> Scores:
    """Score the state and the plan of every control period by what is known at that time."""
    n, n_action, clip = len(watched.plans), bundle.robot.action_dim, bundle.robot.state_clip
    rows = watched.plans.copy()  # (n, H, D)
    np.clip(rows[..., n_action:], -clip, clip, out=rows[..., n_action:])
    rows = bundle.normalizer.normalize(rows)
    visited = bundle.normalizer.normalize_state(watched.episode.observations[:n])
    surprise = np.full(n, np.nan)
    surprise[1:] = root_mean_square(rows[:-1, 1, n_action:] - visited[1:])
    inconsistency = state_distance = plan_distance = None
    if bundle.has_dynamics:
        steps = rows[:, :-1].reshape(-1, bundle.row_dim).astype(np.float32)
        following = rows[:, 1:, n_action:]
        difference = bundle.next_state(steps).reshape(following.shape) - following
        inconsistency = root_mean_square(difference.reshape(n, -1))
    if recorded is not None:
        state_distance = nearest_distance(visited, recorded.reference)
        plan_distance = nearest_distance(rows[:, -1, n_action:], recorded.reference)
    steps_left = np.arange(n, 0, -1) if watched.result.fell else np.full(n, np.inf)
    return Scores(surprise, inconsistency, state_distance, plan_distance,
                  steps_left * bundle.robot.control_period)


def by_time_before_fall(scores: Sequence[Scores]) -> dict[str, list[NDArray]]:
    """
    Sort the scores of all episodes into the intervals before a fall.

    :return: by name of the score; one array for the rest, and one for every interval that begins
        at ``BEFORE_FALL``, the last before the fall last.
    """
    times = np.concatenate([s.time_to_fall for s in scores])
    edges = (*BEFORE_FALL[::-1], 0.0)
    sorted_in = {}
    for name in scores[0].by_name:
        values = np.concatenate([s.by_name[name] for s in scores])
        sorted_in[name] = [values[times > edges[0]]] + [
            values[(times <= a) & (times > b)] for a, b in pairwise(edges)]
    return sorted_in


def area_under_curve(scores: NDArray, is_positive: NDArray) -> float:
    """
    Return the probability that a positive one scores higher than a negative one (AUC of the ROC).

    Equal scores count half. NaN if there are none of either kind.

    :param scores: shape (n,); NaN does not count.
    :param is_positive: shape (n,).
    """
    known = ~np.isnan(scores)
    scores, is_positive = scores[known], is_positive[known]
    n_positive = int(is_positive.sum())
    n_pairs = n_positive * (len(scores) - n_positive)
    if not n_pairs:
        return float('nan')
    # The statistic of Mann and Whitney (1947): pairs in the right order.
    n_right = rankdata(scores)[is_positive].sum() - n_positive * (n_positive + 1) / 2
    return float(n_right / n_pairs)
