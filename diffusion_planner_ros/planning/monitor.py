# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution monitor: whether the robot arrives where its torque should lead it."""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, StateError
from ..settings import check_settings, document_settings, setting
from ..state_error import entry_errors, root_mean_square
from .bundle import Bundle
from .planner import Plan

Level = Literal['ok', 'warn', 'stop']
Cause = Literal['', 'score', 'jump', 'deviation', 'equal states']


@document_settings
@dataclass(frozen=True)
class MonitorConfig:
    """Thresholds of the monitor; a wrong value is refused when this is built."""

    ood_warn: float = setting(
        2.0, 'Score above which the monitor warns; 1 is the 99th percentile of the prediction '
        'error in the training data; 0 switches it off.', low=0.0, high=1000.0)
    ood_stop: float = setting(
        2.5, 'Score above which the monitor stops; 0 switches it off.',
        low=0.0, high=1000.0)
    ood_window: int = setting(
        3, 'Prediction errors whose median is the score: a push or a hard step disturbs one of '
        'them, a wrong sensor all.',
        unit='control periods', low=1, high=1000)
    max_jump: float = setting(
        3.0, 'Prediction error of one state entry above which the monitor stops at once; 1 is the '
        'largest error of that entry in the training data; 0 switches it off.', low=0.0,
        high=1000.0)
    max_state_deviation: float = setting(
        20.0, 'Distance of a state entry from the range of the training data above which the '
        'monitor stops; 0 switches it off.', unit='standard deviations', low=0.0, high=1e6)
    max_equal_states: int = setting(
        5, 'Equal states in a row, though motion was predicted, above which the monitor stops; 0 '
        'switches it off.', low=0, high=1000)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.ood_stop and self.ood_warn > self.ood_stop:
            raise ConfigError(f'ood_warn is {self.ood_warn}, expected at most ood_stop, which is '
                              f'{self.ood_stop}')

    @property
    def is_on(self) -> bool:
        """Whether anything can make the monitor warn or stop."""
        return any((self.ood_warn, self.ood_stop, self.max_jump, self.max_state_deviation,
                    self.max_equal_states))


@dataclass(frozen=True)
class Surprise:
    """How far a state is from what was predicted and from what is known."""

    error: float
    """Root mean square over the entries of predicted less arrived [standard deviations]."""
    percentile: float
    """Share of the training data with a smaller error [%], NaN without calibration."""
    score: float
    """Median error of the last periods over the 99th percentile of the training data's error."""
    jump: float
    """Largest error of an entry over the largest one of that entry in the training data; 0
    without a prediction."""
    deviation: float
    """Largest distance of an entry from the training data's range [standard deviations]."""
    n_equal: int
    """States in a row that equal the one before though motion was predicted."""
    level: Level
    cause: Cause = ''
    """What the level follows from; a score only where nothing else does."""


class PredictionMonitor:
    """
    Compare every state with its prediction; call ``reset`` when time jumps.

    The bundle's dynamics model predicts, from the torque that acts. It is several times finer than
    the next state of a denoised plan, which predicts in a bundle without one. Without calibration
    in the bundle (``is_calibrated``) the monitor never warns nor stops.
    """

    def __init__(self, bundle: Bundle, config: MonitorConfig | None = None) -> None:
        self.config = config or MonitorConfig()
        self._bundle = bundle
        self._robot = bundle.robot
        self._normalizer = bundle.normalizer
        self.calibration = bundle.calibrations.get(
            'forecast' if bundle.has_dynamics else 'denoised')
        """What is normal; None where it was not measured."""
        self.reset()

    @property
    def is_calibrated(self) -> bool:
        """Whether the bundle says how large errors are in the training data."""
        return self.calibration is not None

    def reset(self) -> None:
        """Forget all states seen."""
        self._errors: deque[float] = deque(maxlen=self.config.ood_window)
        self._last: NDArray | None = None
        self._n_equal = 0

    def configure(self, config: MonitorConfig) -> None:
        """Take other thresholds from the next state on."""
        self.config = config
        self._errors = deque(self._errors, maxlen=config.ood_window)

    def predict(self, plan: Plan) -> NDArray:
        """
        Return the state after the first action of a plan [SI], shape (S,).

        :raises StateError: if it is not finite.
        """
        if not self._bundle.has_dynamics:
            return plan.states[1]
        return self._bundle.forecast(plan.states[0], plan.actions[:1])[0]

    def compare(self, predicted: NDArray | None, arrived: NDArray) -> Surprise:
        """
        Judge one state; call it once for every measured state, in order.

        :param predicted: what ``predict`` says of the plan whose first action has led here, shape
            (S,); None without such a plan.
        :param arrived: the measured state, velocities not clipped, shape (S,).
        :raises StateError: if one of them has another shape or is not finite.
        """
        arrived = self._check('arrived', arrived)
        nan = float('nan')
        error, calibration, jump = nan, self.calibration, 0.0
        if predicted is not None:
            errors = entry_errors(self._check('predicted', predicted), arrived, self._robot,
                                  self._normalizer)
            error = float(root_mean_square(errors))
            self._errors.append(error)
            if calibration is not None:
                jump = float((errors / calibration.largest).max())
        if calibration is None:
            return Surprise(error, nan, nan, nan, nan, 0, 'ok')
        is_equal = self._last is not None and np.array_equal(arrived, self._last)
        self._last = arrived
        # A robot that stands still, as predicted, has nothing to show.
        if not is_equal or error <= calibration.errors[1]:
            self._n_equal = 0
        elif predicted is not None:
            self._n_equal += 1
        outside = np.maximum(calibration.state_min - arrived, arrived - calibration.state_max)
        deviation = max(0.0, float((outside / calibration.state_std).max()))
        score = median(self._errors) / calibration.scale if self._errors else nan
        percentile = nan if predicted is None else calibration.percentile(error)
        return Surprise(error, percentile, score, jump, deviation, self._n_equal,
                        *self._level(score, jump, deviation))

    def _level(self, score: float, jump: float, deviation: float) -> tuple[Level, Cause]:
        """Return the level and its cause."""
        config = self.config
        stops: tuple[tuple[Cause, float, float], ...] = (
            ('deviation', deviation, config.max_state_deviation),
            ('equal states', self._n_equal, config.max_equal_states),
            ('jump', jump, config.max_jump),
            ('score', score, config.ood_stop))
        for cause, found, limit in stops:
            if limit and found > limit:
                return 'stop', cause
        return ('warn', 'score') if config.ood_warn and score > config.ood_warn else ('ok', '')

    def _check(self, name: str, state: NDArray) -> NDArray:
        state = np.array(state, dtype=np.float64)
        if state.shape != (self._robot.state_dim,) or not np.isfinite(state).all():
            raise StateError(f'{name} state is {state} of shape {state.shape}, expected finite '
                             f'numbers of shape ({self._robot.state_dim},)')
        return state
