# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Plan anew from every state."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
import threading
import time

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock

from ...errors import StateError
from ...planning.bundle import Bundle
from ...planning.conditions import Condition
from ...planning.delay_compensation import (
    committed,
    plan_compensated,
    Planning,
    Redo,
    torque_step,
)
from ...planning.monitor import PredictionMonitor, Surprise
from ...planning.planner import Plan
from ..common.conversions import NANOSECONDS
from ..common.percentiles import Percentiles, Stages
from ..state.state_source import Measurement
from .command_publisher import CommandPublisher
from .disturbances import Disturbances, MONITOR_STOP
from .model import Model
from .planner_node_config import MEASURED

N_DELAYS = 125  # the last plans, from whose delays the action delay is measured
DELAY_PERCENTILE = 90  # of these delays
# Scores in a row that stop a robot that may stumble. With the model of version 0.1.0, 32 of 80
# late walkers recovered, and none of them had one; 6 of the 48 that fell had as many.
N_SUSPICIOUS = 5
# From sending a state to sending its torque: to the callback, to a measurement, to the thread that
# plans, and what that does.
STAGES = ('receive', 'read', 'hand_over', 'monitor', 'plan', 'send')


@dataclass(frozen=True)
class Current:
    """The plan that is being executed."""

    stamp: int
    """Time of the state that it starts from [ns]."""
    came: float
    """When that state came, on the steady clock [s]."""
    plan: Plan
    monitor: PredictionMonitor
    """Calibrated for the predictions of such plans."""
    is_in_time: bool
    """Whether its first command was sent in the control period that it is for."""
    predicted: NDArray | None = None
    """State that its first action leads to [SI], shape (S,); None until it was predicted."""


@dataclass(frozen=True)
class _Job:
    measured: Measurement
    came: float
    read: int
    """When the measurement was complete, on the system clock [ns]."""
    epoch: int
    step: int
    """Number of the control period; it seeds the noise."""


class Replanner:
    """
    Plan from the newest state; while a plan is being computed, go on with the plan before it.

    Which action of a plan is due follows from the time since the stamp of its state. The actions
    that are executed while a plan is being computed are given to the planner (delay
    compensation), so that the torque does not jump when the new plan takes over.

    The noise of a plan follows from the seed and from the number of its state, counted in control
    periods since planning began or time jumped. So an episode is planned the same whenever it
    begins.

    :param model: plans; it may be replaced between two plans.
    :param command_publisher: gets the torques.
    :param lockstep: whether simulated time waits for every command.
    :param action_delay: control periods until a new plan is used; ``MEASURED`` measures it.
    :param plan: makes a plan with the planner of ``model``.
    :param clock: of the node.
    :param defer: calls a function when the callback at hand is over, and serves what comes
        meanwhile; the function plans until it has a plan of the newest state.
    :param on_command: called after every command that follows a plan.
    :param known_of: returns what else than the state is known of a plan, from the bundle that
        plans, the state (S,) and the control periods since the last plan; None for nothing.
    :param on_plan: called after every plan, with what makes it again, while the next state may
        come.
    :param on_refused: called with the reason if there is no plan for a state.
    :param on_fault: called with the exception after which it plans no more.
    """

    def __init__(self, model: Model, command_publisher: CommandPublisher, *, lockstep: bool,
                 action_delay: int, plan: Planning,
                 clock: Clock, defer: Callable[[Callable[[], None]], None],
                 on_command: Callable[[], None],
                 known_of: Callable[[Bundle, NDArray, int], Condition | None],
                 on_plan: Callable[[Model, Plan, Measurement, Redo], None],
                 on_refused: Callable[[StateError], None],
                 on_fault: Callable[[BaseException], None]) -> None:
        self.model = model
        self.latency = Percentiles('latency', 'ms', 1e3)
        self.stages = Stages(STAGES)
        self.torque_step = Percentiles('torque_step', 'nm')
        self.n_plans = self.n_unplanned = 0
        self.current: Current | None = None
        self.surprise: Surprise | None = None
        self._command_publisher = command_publisher
        self._lockstep = lockstep
        self._action_delay = action_delay
        self._plan = plan
        self._clock = clock
        self._defer = defer
        self._on_command = on_command
        self._known_of = known_of
        self._on_plan, self._on_refused, self._on_fault = on_plan, on_refused, on_fault
        robot = model.planner.bundle.robot
        self._period = round(robot.control_period * NANOSECONDS)
        self._disturbances = Disturbances(robot, command_publisher, lockstep=lockstep)
        self._delays: deque[int] = deque(maxlen=N_DELAYS)
        self._last: Measurement | None = None
        self._origin: int | None = None  # stamp of the first state [ns]
        self.is_muted = False
        """Whether the robot may stumble because another torque acted than planned."""
        self._n_suspicious = 0  # scores in a row that would have stopped it
        self._planned_stamp: int | None = None
        self._lock = threading.Lock()  # so that no plan of an old epoch acts after `forget`
        self._epoch = 0
        self._judged_epoch: int | None = None  # epoch of the states that the monitor has seen
        self._open: Measurement | None = None  # the newest state, as long as it has no plan
        self._turn = threading.Condition()  # for the next three
        self._job: _Job | None = None  # the newest one that nobody has begun
        self._is_planning = self._is_closed = False

    @property
    def delay(self) -> int:
        """Control periods between a state and the first action that its plan decides."""
        if self._lockstep:
            return 0
        if self._action_delay != MEASURED:
            return self._action_delay
        if not self._delays:
            return 0
        ranked = sorted(self._delays)  # at every state, and faster than numpy
        return ranked[round(DELAY_PERCENTILE / 100 * (len(ranked) - 1))]

    # What comes

    def on_state(self, measured: Measurement) -> None:
        """Begin to plan from a state; until there is a plan, go on with the current one."""
        last = self._last
        if last is not None and measured.stamp == last.stamp and np.array_equal(
                measured.state, last.state):
            # A simulation repeats a state when it received no command, and while it is paused.
            if self._command_publisher.repeat(measured.stamp, measured.sent):
                self._on_command()
                return
            if self._open is not None and self._open.stamp == measured.stamp:
                return
            # The last command was a stop, which answers no state. Without a new plan the
            # simulation would repeat the state for ever.
        self._last = self._open = measured
        if self._origin is None:
            self._origin = measured.stamp
        delay = self.delay
        if self._is_planning or delay > 0:
            self._go_on(measured, is_answer=delay > 0)
        job = _Job(measured, time.monotonic(), time.time_ns(), self._epoch,
                   max(0, round((measured.stamp - self._origin) / self._period)))
        with self._turn:
            self._job = job
            begins = not (self._is_planning or self._is_closed)
            self._is_planning = self._is_planning or begins
        if begins:
            self._defer(self._plan_until_newest)

    def _go_on(self, measured: Measurement, *, is_answer: bool) -> None:
        """
        Send the action of the current plan for this time, before the new plan is ready.

        :param is_answer: whether this is as intended (action delay), so that the command answers
            this state; otherwise the new plan is late.
        """
        current = self.current
        if current is None or self._lockstep or self._command_publisher.stop_cause:
            return  # after a stop, only a plan from a newer state goes on
        stamp = measured.stamp
        index = round((stamp - current.stamp) / self._period)
        if index >= len(current.plan.actions):
            self._command_publisher.stop('late plan', 'the last one has no action left')
        elif index > 0:
            self._send(current, index, measured, at=stamp,
                       answered=stamp if is_answer else current.stamp)

    def forget(self) -> None:
        """Drop the plan and all history, because time jumped."""
        with self._lock:
            self._epoch += 1
            with self._turn:
                self._job = None
            self.current = self._last = self._planned_stamp = self.surprise = None
            self._origin = self._open = None
            self._n_suspicious = 0
            self._disturbances.forget()

    def close(self) -> None:
        """Finish the plan that is being computed, and plan no more."""
        with self._turn:
            self._is_closed = True
            self._turn.wait_for(lambda: not self._is_planning)

    # The plans

    def _plan_until_newest(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                self._replan(job)
            except StateError as error:
                self._command_publisher.stop('no plan for the state', str(error))
                self._on_refused(error)
            except Exception as fault:
                self._command_publisher.stop('inference failed', repr(fault), is_latched=True)
                with self._turn:
                    self._is_closed = True
                self._on_fault(fault)
            if self._open is job.measured:
                self._open = None

    def _next_job(self) -> _Job | None:
        with self._turn:
            job, self._job = self._job, None
            if self._is_closed:
                job = None
            if job is None:
                self._is_planning = False
                self._turn.notify_all()
            return job

    def _replan(self, job: _Job) -> None:
        begun = time.time_ns()
        model, measured, before = self.model, job.measured, self.current
        if job.epoch != self._judged_epoch:
            model.monitor.reset()
            self._judged_epoch = job.epoch
        planner = model.planner
        lag = 0 if before is None else round((measured.stamp - before.stamp) / self._period)
        surprise = self._judge(model, measured, before, lag)
        with self._lock:
            if job.epoch != self._epoch:
                return  # time jumped meanwhile: the state is of another episode
            self.surprise = surprise
            if surprise.level == 'stop':
                # A robot that stumbles because of a late torque looks like one whose sensors are
                # at fault. Frozen sensors alone look like nothing else.
                is_latched = surprise.cause == 'equal states' or not self.is_muted
                self._command_publisher.stop(
                    MONITOR_STOP, f'score {surprise.score:.2f}, jump {surprise.jump:.1f}, '
                    f'{surprise.deviation:.1f} standard deviations outside the training data, '
                    f'{surprise.n_equal} equal states', is_latched=is_latched)
                return
        judged = time.time_ns()
        actions = self._committed(before, lag)
        known = self._known_of(planner.bundle, measured.state, max(1, lag))
        redo = partial(plan_compensated, planner, measured.state, actions, step=job.step,
                       condition=known)
        plan = redo(plan=self._plan)
        planned = time.time_ns()
        with self._lock:
            newest = self._last
            was_reset = job.epoch != self._epoch or (
                newest is not None and newest is not measured
                and newest.stamp == measured.stamp)
            if was_reset or not self._use(model, plan, job, len(actions)):
                return
        self.stages.add((measured.sent, measured.came, job.read, begun, judged, planned,
                         time.time_ns()))
        predicted = model.monitor.predict(plan)  # only now: the torque does not wait for it
        with self._lock:
            if self.current is not None and self.current.plan is plan:
                self.current = replace(self.current, predicted=predicted)
        if before is not None and lag > 0:
            row = max(self._delays[-1], len(actions))
            if row + lag < len(plan.actions):
                self.torque_step.add(torque_step(plan, before.plan, row=row, lag=lag))
        self._on_plan(model, plan, measured, redo)

    def _use(self, model: Model, plan: Plan, job: _Job, n_committed: int) -> bool:
        """Send the action of a new plan that is due now; return False if it is too late."""
        measured = job.measured
        late = 0 if self._lockstep else self._clock.now().nanoseconds - measured.stamp
        index = max(0, late // self._period)
        self._delays.append(index)
        self._count(measured)
        if index >= len(plan.actions):
            self._command_publisher.stop(
                'late plan', f'ready {late / NANOSECONDS:.3f} s after its state, beyond its last '
                'action')
            return False
        current = Current(measured.stamp, job.came, plan, model.monitor,
                          is_in_time=index <= n_committed)
        if not self._send(current, index, measured, at=measured.stamp + index * self._period,
                          answered=measured.stamp):
            return False
        self.current = current
        self.latency.add((time.time_ns() - measured.sent) / NANOSECONDS)
        return True

    def _committed(self, before: Current | None, lag: int) -> NDArray:
        """Return the actions that are executed until the next plan is ready, shape (n, A)."""
        if before is None or not 0 < lag < len(before.plan.actions):
            return np.zeros((0, self.model.planner.bundle.robot.action_dim))
        return committed(before.plan, lag, min(self.delay, len(before.plan.actions) - lag))

    def _send(self, current: Current, index: int, measured: Measurement, *, at: int,
              answered: int) -> bool:
        """Send an action; return False if the newest state is too old for that."""
        plan = current.plan
        was_sent = self._command_publisher.follow(
            plan.actions[index], at=at, came=current.came, measured=measured.sent,
            answered=answered, was_clamped=bool(plan.clamped[plan.best, index]))
        if was_sent:
            self._on_command()
        return was_sent

    def _judge(self, model: Model, measured: Measurement, before: Current | None, lag: int
               ) -> Surprise:
        """Compare a state with its prediction by the plan whose action led to it."""
        predicted = None
        if before is not None and lag > 0 and self._disturbances.acted_as_planned(
                before.stamp, measured, lag=lag, was_in_time=before.is_in_time):
            # After a change of bundle, the plan before is one of another model.
            predicted = before.predicted if before.monitor is model.monitor else None
        was_muted, self.is_muted = self.is_muted, self._disturbances.is_recovering(measured)
        if (was_muted and not self.is_muted
                and self._command_publisher.stop_cause == MONITOR_STOP):
            model.monitor.reset()  # under the stop no score became better
        surprise = model.monitor.compare(predicted, measured.state)
        if surprise.level != 'stop' or surprise.cause != 'score':
            self._n_suspicious = 0
        elif predicted is not None:
            self._n_suspicious += 1
        if self.is_muted and surprise.cause == 'score' and self._n_suspicious < N_SUSPICIOUS:
            return replace(surprise, level='warn')
        return surprise

    def _count(self, measured: Measurement) -> None:
        """Count the plan, and the control periods without a plan since the last one."""
        self.n_plans += 1
        if self._planned_stamp is not None and measured.stamp > self._planned_stamp:
            periods = round((measured.stamp - self._planned_stamp) / self._period)
            self.n_unplanned += max(0, periods - 1)
        self._planned_stamp = measured.stamp
