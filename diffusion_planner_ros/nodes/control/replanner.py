"""Plan again for every state, in a thread of its own."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
import threading
import time

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock

from ...errors import StateError
from ...planning.delay_compensation import committed, plan_compensated, torque_step
from ...planning.monitor import Surprise
from ...planning.planner import Plan
from ..common.conversions import NANOSECONDS
from ..common.percentiles import Percentiles
from ..state.state_source import Measurement
from .command_publisher import CommandPublisher
from .mailbox import Mailbox
from .model import Model
from .planner_node_config import MEASURED

N_DELAYS = 125  # plans that the measured delay looks back
DELAY_PERCENTILE = 90
RECOVERY = 250_000_000  # [ns] in which the motion may still be off after another torque acted
TRANSPORT = 1_000_000  # [ns] that a command may take to the joints
SAME_TORQUE = 0.05  # share of the torque limit within which a measured torque is a commanded one


@dataclass(frozen=True)
class Current:
    """The plan that is being executed."""

    stamp: int
    """Time of the state that it starts from [ns]."""
    came: float
    """When that state came, on the steady clock [s]."""
    plan: Plan
    is_in_time: bool
    """Whether its first action was sent in the control period that it is for."""


@dataclass(frozen=True)
class _Job:
    measured: Measurement
    came: float
    epoch: int
    step: int
    """Number of the control period, which seeds the noise."""


class Replanner:
    """
    Plan from the newest state; while a plan is computed, the current one goes on.

    A plan is indexed by the time since its state's stamp. Actions that will have been executed
    when a plan is ready are known to it, so that plans meet without a jump.

    The noise of a plan follows from the seed and from the number of its state, counted in control
    periods since planning began or time jumped: an episode is planned the same whenever it begins.

    :param action_delay: control periods until a new plan is used; ``MEASURED`` measures it.
    :param on_command: called after every command that follows a plan.
    :param on_plan: called in the inference thread after every plan.
    :param on_refused: called where no plan is found for a state.
    :param on_fault: called with the exception that ended the inference thread.
    """

    def __init__(self, model: Model, commander: CommandPublisher, *, lockstep: bool,
                 action_delay: int,
                 clock: Clock, on_command: Callable[[], None],
                 on_plan: Callable[[Model, Plan, Measurement], None],
                 on_refused: Callable[[StateError], None],
                 on_fault: Callable[[BaseException], None]) -> None:
        self.model = model
        self.latency = Percentiles('latency', 'ms', 1e3)
        self.torque_step = Percentiles('torque_step', 'nm')
        self.n_plans = self.n_unplanned = 0
        self.current: Current | None = None
        self.surprise: Surprise | None = None
        self._commander = commander
        self._lockstep = lockstep
        self._action_delay = action_delay
        self._clock = clock
        self._on_command = on_command
        self._on_plan, self._on_refused, self._on_fault = on_plan, on_refused, on_fault
        robot = model.planner.bundle.robot
        self._period = round(robot.control_period * NANOSECONDS)
        self._joints = [entry.joint for entry in robot.action]
        self._same_torque = SAME_TORQUE * robot.torque_limit.min()  # [N m]
        self._delays: deque[int] = deque(maxlen=N_DELAYS)
        self._last: Measurement | None = None
        self._origin: int | None = None  # stamp of the first state [ns]
        # Stamp of the last state that another torque than the planned one led to [ns].
        self._disturbed_at: int | None = None
        self._measures_effort = False
        self.is_muted = False
        """Whether the score of the monitor only warns, for another torque acted than planned."""
        self._planned_stamp: int | None = None
        self._lock = threading.Lock()  # what an old epoch's plan does, it does before `forget`
        self._epoch = 0
        self._judged_epoch: int | None = None  # of the states that the monitor has seen
        self._is_planning = False
        self._open: Measurement | None = None  # the newest state, while its plan is to come
        self._mailbox: Mailbox[_Job] = Mailbox()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix='inference')
        self._threads.submit(self._infer).add_done_callback(self._on_end)

    @property
    def delay(self) -> int:
        """Control periods between a state and the first action that its plan decides."""
        if self._lockstep:
            return 0
        if self._action_delay != MEASURED:
            return self._action_delay
        if not self._delays:
            return 0
        ranked = sorted(self._delays)  # asked at every state: cheaper than numpy
        return ranked[round(DELAY_PERCENTILE / 100 * (len(ranked) - 1))]

    # The control thread

    def on_state(self, measured: Measurement) -> None:
        """Take a state: plan from it, and go on with the current plan meanwhile."""
        last = self._last
        if last is not None and measured.stamp == last.stamp and np.array_equal(
                measured.state, last.state):
            # A state is repeated by who did not hear its answer, and by a paused simulation.
            if self._commander.repeat(measured.stamp, measured.sent):
                self._on_command()
                return
            if self._open is not None and self._open.stamp == measured.stamp:
                return
            # A stop answers no state: only a new plan ends it, or who repeats waits for ever.
        self._last = self._open = measured
        if self._origin is None:
            self._origin = measured.stamp
        delay = self.delay
        if self._is_planning or delay > 0:
            self._go_on(measured, is_answer=delay > 0)
        self._mailbox.put(_Job(
            measured, time.monotonic(), self._epoch,
            max(0, round((measured.stamp - self._origin) / self._period))))

    def _go_on(self, measured: Measurement, *, is_answer: bool) -> None:
        """
        Send the current plan's action for this time: the new plan will be later.

        :param is_answer: whether that was the intention, and not a plan that is late.
        """
        current = self.current
        if current is None or self._lockstep:
            return
        stamp = measured.stamp
        index = round((stamp - current.stamp) / self._period)
        if index >= len(current.plan.actions):
            self._commander.stop('late plan', 'the last one has no action left')
        elif index > 0:
            self._send(current, index, measured, at=stamp,
                       answered=stamp if is_answer else current.stamp)

    def forget(self) -> None:
        """Drop the plan and all history: time jumped."""
        with self._lock:
            self._epoch += 1
            self._mailbox.clear()
            self.current = self._last = self._planned_stamp = self.surprise = None
            self._origin = self._disturbed_at = self._open = None

    def close(self) -> None:
        """Finish the plan at hand and end the thread."""
        self._mailbox.close()
        self._threads.shutdown()

    # The inference thread

    def _infer(self) -> None:
        while (job := self._mailbox.take()) is not None:
            self._is_planning = True
            try:
                self._replan(job)
            except StateError as error:
                self._commander.stop('no plan for the state', str(error))
                self._on_refused(error)
            finally:
                self._is_planning = False
                if self._open is job.measured:
                    self._open = None

    def _on_end(self, future: Future[None]) -> None:
        if (fault := future.exception()) is not None:
            self._commander.stop('inference failed', repr(fault), is_latched=True)
            self._on_fault(fault)

    def _replan(self, job: _Job) -> None:
        model, measured, before = self.model, job.measured, self.current
        if job.epoch != self._judged_epoch:
            model.monitor.reset()
            self._judged_epoch = job.epoch
        planner = model.planner
        lag = 0 if before is None else round((measured.stamp - before.stamp) / self._period)
        surprise = self._judge(model, measured, before, lag)
        with self._lock:
            if job.epoch != self._epoch:
                return  # time jumped meanwhile: the state is from another run
            self.surprise = surprise
            if surprise.level == 'stop':
                self._commander.stop(
                    'out of distribution', f'score {surprise.score:.2f}, '
                    f'{surprise.deviation:.1f} standard deviations outside the training data, '
                    f'{surprise.n_equal} equal states', is_latched=True)
                return
        actions = self._committed(before, lag)
        plan = plan_compensated(planner, measured.state, actions, step=job.step)
        with self._lock:
            newest = self._last
            was_reset = job.epoch != self._epoch or (
                newest is not None and newest is not measured
                and newest.stamp == measured.stamp)
            if was_reset or not self._use(plan, job, len(actions)):
                return
        if before is not None and lag > 0:
            row = max(self._delays[-1], len(actions))
            if row + lag < len(plan.actions):
                self.torque_step.add(torque_step(plan, before.plan, row=row, lag=lag))
        self._on_plan(model, plan, measured)

    def _use(self, plan: Plan, job: _Job, n_committed: int) -> bool:
        """Send a new plan's action for now; return whether it is not too late for that."""
        measured = job.measured
        late = 0 if self._lockstep else self._clock.now().nanoseconds - measured.stamp
        index = max(0, late // self._period)
        self._delays.append(index)
        self._count(measured)
        if index >= len(plan.actions):
            self._commander.stop('late plan', f'ready {late / NANOSECONDS:.3f} s after its state, '
                                              'beyond its last action')
            return False
        current = Current(measured.stamp, job.came, plan, is_in_time=index <= n_committed)
        if not self._send(current, index, measured, at=measured.stamp + index * self._period,
                          answered=measured.stamp):
            return False
        self.current = current
        self.latency.add((time.time_ns() - measured.sent) / NANOSECONDS)
        return True

    def _committed(self, before: Current | None, lag: int) -> NDArray:
        """Return the actions that will be executed until the next plan is ready, (n, A)."""
        if before is None or not 0 < lag < len(before.plan.actions):
            return np.zeros((0, self.model.planner.bundle.robot.action_dim))
        return committed(before.plan, lag, min(self.delay, len(before.plan.actions) - lag))

    def _send(self, current: Current, index: int, measured: Measurement, *, at: int,
              answered: int) -> bool:
        """Send an action; return whether the newest state is young enough for that."""
        plan = current.plan
        was_sent = self._commander.follow(
            plan.actions[index], at=at, came=current.came, measured=measured.sent,
            answered=answered, was_clamped=bool(plan.clamped[plan.best, index]))
        if was_sent:
            self._on_command()
        return was_sent

    def _judge(self, model: Model, measured: Measurement, before: Current | None, lag: int
               ) -> Surprise:
        """Compare the state with what the plan that led here had predicted."""
        predicted = None
        if before is not None and lag > 0:
            if (lag == 1 and before.is_in_time and self._commander.is_transparent(before.stamp)
                    and self._has_acted(before.stamp, measured)):
                predicted = before.plan.states[1]
            else:
                self._disturbed_at = measured.stamp
        surprise = model.monitor.compare(predicted, measured.state)
        if self._is_recovering(measured) and surprise.cause == 'score':
            # A late torque leads elsewhere, too: that says nothing of the sensors or the model.
            return replace(surprise, level='warn')
        return surprise

    def _has_acted(self, answered: int, measured: Measurement) -> bool:
        """
        Return whether the torque that answers a state acted until the next one.

        Who measures torques knows; otherwise it is the last one that was sent before the next
        state. A measured torque that is like none of those that were sent is a fault of the
        sensor.

        :param answered: stamp of the state [ns].
        :param measured: the next state.
        :return: False if an older torque acted, or none.
        """
        if self._lockstep:
            return True
        sent = list(self._commander.sent)
        planned = next((s.torque for s in sent if s.answered == answered), None)
        if planned is None:
            return False
        effort = np.array([measured.efforts.get(joint, np.nan) for joint in self._joints])
        is_measured = bool(np.isfinite(effort).all())
        # Drivers that measure no torque may report zeros.
        self._measures_effort = self._measures_effort or (is_measured and bool(effort.any()))
        if not (is_measured and self._measures_effort):
            in_time = [s for s in sent if s.at < measured.sent - TRANSPORT]
            return not in_time or np.array_equal(in_time[-1].torque, planned)
        if np.abs(effort - planned).max() <= self._same_torque:
            return True
        others = np.array([s.torque for s in sent] + [np.zeros_like(planned)])
        return bool(np.abs(effort - others).max(axis=1).min() > self._same_torque)

    def _is_recovering(self, measured: Measurement) -> bool:
        self.is_muted = (self._disturbed_at is not None
                         and 0 <= measured.stamp - self._disturbed_at < RECOVERY)
        return self.is_muted

    def _count(self, measured: Measurement) -> None:
        """Count the plan, and the control periods since the last one that got none."""
        self.n_plans += 1
        if self._planned_stamp is not None and measured.stamp > self._planned_stamp:
            periods = round((measured.stamp - self._planned_stamp) / self._period)
            self.n_unplanned += max(0, periods - 1)
        self._planned_stamp = measured.stamp
