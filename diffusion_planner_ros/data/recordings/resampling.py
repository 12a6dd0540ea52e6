# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
From samples at any rate to episodes at the control rate.

Samples at the control rate are taken as they were measured, whatever the jitter of their stamps: a
step lasts 0.5 to 1.5 control periods, as for the node ``recorder``. Samples at any other rate are
interpolated, control period by control period, and the torque of a step is the mean of what acted
in it. Nothing is interpolated between samples that are farther apart than the largest gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...episode import Episode
from ...errors import DatasetError
from ...robot import Robot
from .samples import Samples
from .tally import Tally

RATE_TOLERANCE = 0.05  # of the control period, for samples that are at the control rate


@dataclass(frozen=True)
class Resampled:
    """Episodes at the control rate, and how they came about."""

    episodes: list[Episode]
    """Each of at least one step, with the state after its last action."""
    spacing: float
    """Median time between two samples [s]."""
    is_interpolated: bool
    """Whether samples were not at the control rate."""
    n_measured: int
    """States that are as they were measured."""
    n_interpolated: int
    """States that are not."""

    def facts(self, period: float, max_gap: float) -> dict[str, Any]:
        """Return how states were chosen, for a report; ``period`` is the control period [s]."""
        how = (f'interpolated between states at most {1e3 * max_gap * period:.4g} ms apart'
               if self.is_interpolated else
               f'as measured, {500 * period:.4g} to {1500 * period:.4g} ms apart')
        return {'spacing': f'{1e3 * self.spacing:.4g} ms, control period {1e3 * period:.4g} ms',
                'states': how, 'states_as_measured': self.n_measured,
                'states_interpolated': self.n_interpolated}


def resample(samples: Samples, robot: Robot, max_gap: float, tally: Tally) -> Resampled:
    """
    Cut samples into episodes with one state in every control period.

    :param samples: at least two.
    :param max_gap: largest time between two samples of one episode [control periods].
    :param tally: counts what is dropped and cut.
    :raises DatasetError: if the samples are too far apart.
    """
    period = round(robot.control_period * 1e9)  # [ns]
    spacing = float(np.median(np.diff(samples.times)))
    if spacing > max_gap * period:
        raise DatasetError(
            f'states are {spacing / 1e6:.4g} ms apart, expected at most {max_gap:g} control '
            f"periods of '{robot.name}', {max_gap * period / 1e6:.4g} ms; record them faster, or "
            'give another control_period in the YAML file of --robot')
    is_interpolated = abs(spacing - period) > RATE_TOLERANCE * period
    episodes, n_measured, n_states = [], 0, 0
    for run in _runs(samples, max_gap * period, tally):
        times = samples.times[run]
        grid = _uniform_grid(times, period) if is_interpolated else _grid_at_rate(times, period)
        if not is_interpolated:
            tally.drop('too close', 'expected states at least half a control period apart',
                       int((~np.isin(times, grid)).sum()))
        if len(grid) < 2:
            tally.drop('alone', f'expected the next state within {max_gap:g} control periods',
                       len(grid))
            continue
        torques = (_mean_torques if is_interpolated else _torques)(times, samples.torques[run],
                                                                   grid)
        episodes.append(Episode(
            _states(times, samples.states[run], grid, robot), torques / robot.torque_limit,
            _rewards(times, samples.rewards[run], grid, period), bool(samples.fell[run][-1])))
        n_states += len(grid)
        n_measured += int(np.isin(grid, times).sum())
    return Resampled(episodes, spacing / 1e9, is_interpolated, n_measured, n_states - n_measured)


def _runs(samples: Samples, max_gap: float, tally: Tally) -> Iterator[slice]:
    """Yield the samples between two cuts; torques are known of all but the first of them."""
    unknown = np.flatnonzero(np.isnan(samples.torques).any(axis=1))
    reasons = {0: '', **dict.fromkeys(unknown.tolist(), 'no torque')}
    reasons |= dict.fromkeys((np.flatnonzero(np.diff(samples.times) > max_gap) + 1).tolist(),
                             'gap')
    reasons |= samples.cuts
    reasons |= dict.fromkeys((np.flatnonzero(samples.fell[:-1]) + 1).tolist(), 'fall')
    begins = sorted(reasons)
    for begin, end in zip(begins, [*begins[1:], len(samples)], strict=True):
        reason = reasons.get(end, 'end of the recording')
        if end - begin > 1:
            tally.cut(reason)
        if end - begin > 1 or reason != 'no torque':  # whose samples were counted already
            yield slice(begin, end)


def _grid_at_rate(times: NDArray, period: int) -> NDArray:
    """Return the times of the samples; in a hole between two, equally spaced ones as well."""
    grid = [int(times[0])]
    for time in times[1:].tolist():
        begin, n = grid[-1], int(np.ceil((time - grid[-1]) / period - 0.5))
        grid += [begin + (time - begin) * k // n for k in range(1, n + 1)]
    return np.array(grid)


def _uniform_grid(times: NDArray, period: int) -> NDArray:
    return np.arange(times[0], times[-1] + 1, period)


def _torques(times: NDArray, torques: NDArray, grid: NDArray) -> NDArray:
    """Return the torque that led to every state but the first, shape (len(grid) - 1, A)."""
    return torques[np.searchsorted(times, grid[1:])]


def _mean_torques(times: NDArray, torques: NDArray, grid: NDArray) -> NDArray:
    """
    Return the mean torque between two times of the grid, shape (len(grid) - 1, A).

    A torque acts from one sample to the next, so that its integral is piecewise linear.
    """
    impulse = np.zeros_like(torques)
    impulse[1:] = np.cumsum(torques[1:] * np.diff(times)[:, None], axis=0)
    return np.diff(_interpolated(times, impulse, grid), axis=0) / np.diff(grid)[:, None]


def _interpolated(times: NDArray, values: NDArray, grid: NDArray,
                  is_angle: NDArray | None = None) -> NDArray:
    """
    Interpolate linearly; at the time of a sample, return the sample itself.

    :param values: shape (n, C).
    :param is_angle: columns that go the shorter way round, shape (C,).
    :return: shape (len(grid), C).
    """
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    step = values[after] - values[after - 1]
    if is_angle is not None:
        step[:, is_angle] = np.remainder(step[:, is_angle] + np.pi, 2 * np.pi) - np.pi
    share = (grid - times[after - 1]) / (times[after] - times[after - 1])
    result = values[after - 1] + share[:, None] * step
    is_sample = times[after] == grid
    result[is_sample] = values[after][is_sample]
    return result


def _states(times: NDArray, states: NDArray, grid: NDArray, robot: Robot) -> NDArray:
    is_angle = np.array([e.quantity == 'position' and e.unit == 'rad' for e in robot.state])
    return np.clip(_interpolated(times, states, grid, is_angle), -robot.state_clip,
                   robot.state_clip)


def _rewards(times: NDArray, rewards: NDArray, grid: NDArray, period: int) -> NDArray:
    """Return the reward of every step, that of the sample nearest to its end, NaN for none."""
    result = np.full(len(grid), np.nan)
    known = np.flatnonzero(np.isfinite(rewards))
    nearest = np.searchsorted((grid[1:] + grid[:-1]) / 2, times[known])
    is_near = np.abs(grid[nearest] - times[known]) <= period / 2
    result[nearest[is_near]] = rewards[known[is_near]]
    return result[1:]
