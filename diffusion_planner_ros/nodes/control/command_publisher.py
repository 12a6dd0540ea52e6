# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The only publisher of torques: it scales, ramps and clamps them, and stops the robot."""

from collections import Counter, deque
from dataclasses import dataclass
import math
import threading
import time

import numpy as np
from numpy.typing import NDArray
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.publisher import Publisher

from ...messages.stamps import NO_STATE
from ...planning.stop import StopBehaviour
from ..common.conversions import msg_from_torque, NANOSECONDS
from ..state.stamp_check import WALL_ADVICE
from ..state.state_source import Measurement

REPORT_PERIOD = 1.0  # [s], shortest time between two reports of one cause
LATCHED = '; it lasts until the node is activated again'  # end of the report of such a stop
N_SENT = 16  # commands that are remembered: the steps of two plans of the shipped model


@dataclass(frozen=True)
class Stop:
    """Why the joints get the stop torque."""

    cause: str
    """In a few words, without numbers: a stop is reported once per cause."""
    is_latched: bool
    """Whether it goes on until the node is activated again or the simulation begins anew."""


@dataclass(frozen=True)
class Sent:
    """A command that was sent."""

    torque: NDArray
    """[N m], shape (A,)."""
    answered: int
    """Stamp of the state that it answers [ns], or ``NO_STATE``."""
    at: int
    """When it was sent, on the system clock [ns]."""


class CommandPublisher:
    """
    Scale, ramp and clamp planned torques and publish them, or publish the stop torque.

    Thread-safe: the control thread, the executor, inference and the watchdogs all call it. A stop
    that is not latched ends with the next good plan, and the torque is ramped up again.

    :param publisher: of the commands.
    :param stop: gives the stop torque.
    :param limit: largest torque [N m], shape (A,): the smallest of all limits.
    :param ramp_time: time from zero to full torque, after the start and after a stop [s].
    :param scale: factor on every planned torque.
    :param max_age: oldest state, on the wall clock, that a planned torque may still follow from
        [s]; without effect in lockstep.
    """

    def __init__(self, publisher: Publisher, *, limit: NDArray, stop: StopBehaviour,
                 ramp_time: float, scale: float, max_age: float, lockstep: bool,
                 logger: RcutilsLogger) -> None:
        self.scale = scale
        self.sent: deque[Sent] = deque(maxlen=N_SENT)
        """The last commands, newest last."""
        self.n_clamped = 0
        self.stops: Counter[str] = Counter()
        """How often each cause stopped the robot."""
        self._publisher = publisher
        self._limit = limit
        self._behaviour = stop
        self._ramp_time = round(ramp_time * NANOSECONDS)
        self._max_age = round(max_age * NANOSECONDS)
        self._lockstep = lockstep
        self._logger = logger
        self._lock = threading.Lock()
        self._stop: Stop | None = None
        self._stopped_at = -math.inf  # steady time of the latest fault [s]
        self._reasons: set[Stop] = set()  # since the last good plan
        self._reported: dict[Stop, float] = {}  # when each reason last was [s]
        self._is_closed = self._is_retired = False
        self._last = np.zeros(len(limit)), NO_STATE
        self._ramp_start: int | None = None

    @property
    def stop_cause(self) -> str:
        """Why the robot is stopped; empty while it is not."""
        return '' if self._stop is None else self._stop.cause

    @property
    def is_latched(self) -> bool:
        """Whether it is stopped, and no plan can end that."""
        return self._stop is not None and self._stop.is_latched

    def is_transparent(self, stamp: int) -> bool:
        """Return whether a torque planned for this time [ns] is published unchanged."""
        return (self._stop is None and self.scale == 1.0 and self._ramp_start is not None
                and stamp - self._ramp_start >= self._ramp_time)

    def follow(self, action: NDArray, *, at: int, came: float, measured: int, answered: int,
               was_clamped: bool) -> bool:
        """
        Publish a planned torque.

        It ends a stop that is not latched, if the state of its plan came after the fault.

        :param action: torque [N m], shape (A,).
        :param at: time at which it acts [ns].
        :param came: when the state of its plan came, on the steady clock [s].
        :param measured: when the newest state was sent, on the system clock [ns].
        :param answered: stamp of the state that the plan starts from [ns].
        :param was_clamped: whether the planner clamped it.
        :return: False if the newest state is too old, and the robot was stopped instead.
        :raises ValueError: if the torque is not finite.
        """
        with self._lock:
            if self.is_latched or self._is_closed or answered < self._last[1]:
                return True  # in the last case, a torque of a newer plan was already sent
            if self._stop is not None and came <= self._stopped_at:
                return True  # the plan is from before the fault
            # On the wall clock: while this process is suspended, its simulated time stands still.
            age = time.time_ns() - measured
            if age > self._max_age and not self._lockstep:
                detail = f'its state was sent {age / NANOSECONDS:.3f} s ago; {WALL_ADVICE}'
                self._stop_now('late plan', detail, is_latched=False)
                return False
            if not np.isfinite(action).all():
                # A controller drops a command with NaN, and goes on with the torque before it.
                raise ValueError(f'planned torque is {action}, expected finite numbers [N m]')
            ended, self._stop = self._stop, None
            if ended is not None:
                self._ramp_start = None
                self._reasons.clear()
                self._behaviour.release()
            if self._ramp_start is None:
                self._ramp_start = at
            torque = action * (self.scale * self._ramp(at))
            clamped = np.clip(torque, -self._limit, self._limit)
            self.n_clamped += was_clamped or bool((clamped != torque).any())
            self._send(clamped, answered)
            if ended is not None:  # after the torque, whose state would become old meanwhile
                self._logger.info(f'planning again after a stop: {ended.cause}',
                                  throttle_duration_sec=REPORT_PERIOD)
            return True

    def _ramp(self, at: int) -> float:
        # The time at which a late plan acts may be before that of the plan before it.
        passed = max(0, at - (self._ramp_start or 0))
        return 1.0 if passed >= self._ramp_time else passed / self._ramp_time

    def repeat(self, stamp: int, measured: int) -> bool:
        """
        Publish the last command again, if it answers this state.

        :param stamp: of a state that came again, because its sender has received no answer [ns].
        :param measured: when it was sent again, on the system clock [ns].
        :return: whether the command was published; a stop command answers no state.
        """
        with self._lock:
            is_old = not self._lockstep and time.time_ns() - measured > self._max_age
            if self._is_closed or is_old or self._last[1] != stamp:
                return False
            self._send(*self._last)
            return True

    def stop(self, cause: str, detail: str, *, is_latched: bool = False) -> None:
        """
        Stop because of a fault: publish the stop torque now, and log the cause if it is new.

        While a fault lasts, this is called again and again: the first command may have been lost.

        :param cause: in a few words, without numbers.
        :param detail: numbers, for the log.
        :param is_latched: whether no plan can end it.
        """
        with self._lock:
            if self._is_closed:
                return
            if self.is_latched:
                self._send(self._behaviour.torque(), NO_STATE)
            else:
                self._stop_now(cause, detail, is_latched=is_latched)

    def _stop_now(self, cause: str, detail: str, *, is_latched: bool) -> None:
        self.stops[cause] += self._stop is None or self._stop.cause != cause
        self._stop = Stop(cause, is_latched)
        self._stopped_at = time.monotonic()
        self._send(self._behaviour.torque(), NO_STATE)
        self._report(self._stop, detail)  # after the torque: the first line of a log takes 30 ms

    def _report(self, stop: Stop, detail: str) -> None:
        """Log a reason once in a stop, and at most once per second if it comes and goes."""
        now = time.monotonic()
        is_due = now - self._reported.get(stop, -math.inf) > REPORT_PERIOD
        if stop not in self._reasons and (is_due or stop.is_latched):
            self._reasons.add(stop)
            self._reported[stop] = now
            self._logger.error(f'stop: {stop.cause}: {detail}{LATCHED if stop.is_latched else ""}')

    def retire(self, cause: str) -> None:
        """Stop because the node is deactivated: from here on, no plan is followed."""
        with self._lock:
            self._is_retired = True
            if not (self._is_closed or self.is_latched):
                self._stop = Stop(cause, is_latched=True)
                self._send(self._behaviour.torque(), NO_STATE)

    def follow_stop(self, measured: Measurement) -> None:
        """If stopped, publish the stop torque for this state; otherwise do nothing."""
        with self._lock:
            if self._stop is None or self._is_closed:
                return
            torque = self._behaviour.torque(measured.positions, measured.velocities)
            # In lockstep, the simulation waits for an answer to every state, also during a stop.
            self._send(torque, measured.stamp if self._lockstep else NO_STATE)

    def forget(self) -> None:
        """Begin anew after a jump of time: even a latched stop ends, and the ramp starts again."""
        with self._lock:
            if self._is_retired:
                return
            self._stop = self._ramp_start = None
            self._reasons.clear()
            self._behaviour.release()
            self._last = np.zeros(len(self._limit)), NO_STATE

    def close(self) -> None:
        """Publish zero torque as the last command, again with every call; follow nothing more."""
        with self._lock:
            self._is_closed = True
            self._send(np.zeros(len(self._limit)), NO_STATE)

    def _send(self, torque: NDArray, answered: int) -> None:
        self._last = torque, answered
        self.sent.append(Sent(torque, answered, time.time_ns()))
        self._publisher.publish(msg_from_torque(torque, answered))
