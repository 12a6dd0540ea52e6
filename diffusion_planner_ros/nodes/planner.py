"""The planner node: joint states in, joint torques out, for any robot whose bundle it loads."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from ..errors import ConfigError, StateError
from ..knobs import check_knobs, document_knobs, knob
from ..planning.bundle import Bundle
from ..planning.config import PlannerConfig
from ..planning.planner import Plan, Planner
from ..share import share_file
from .conversions import (
    msg_from_plan,
    msg_from_torque,
    NANOSECONDS,
    nanoseconds_from_stamp,
    NO_STATE,
    state_from_msg,
)
from .diagnostics import msg_from_facts
from .latency import LatencyRecorder
from .mailbox import Mailbox
from .parameters import declare, names_of
from .running import run_node

DIAGNOSTICS_PERIOD = 1.0  # [s]
WARNING_PERIOD = 1.0  # [s], shortest time between two warnings of one kind


@document_knobs
@dataclass(frozen=True)
class PlannerNodeConfig:
    """Parameters of the planner node, besides those of ``PlannerConfig``."""

    bundle: str = knob('', 'Folder of the model bundle; empty takes the shipped Walker2D.',
                       read_only=True)
    lockstep: bool = knob(False, 'Answer every state with exactly one command.', read_only=True)
    max_state_age: float = knob(0.1, 'Oldest state to plan from.', unit='s', low=0.001, high=10.0,
                                read_only=True)

    def __post_init__(self) -> None:
        check_knobs(self)


@dataclass(frozen=True)
class Measurement:
    """A state that was accepted."""

    stamp: int
    """Time of the state [ns]."""
    sent: int
    """When it was sent, on the system clock [ns]."""
    state: NDArray
    positions: dict[str, float]
    """Measured joint positions [m, rad]."""
    epoch: int
    """Grows with every backward jump of the clock."""


@dataclass(frozen=True)
class Current:
    """The plan that is being executed."""

    stamp: int
    """Time of the state that it starts from [ns]."""
    plan: Plan


class PlannerNode(Node):
    """
    Replan with a model bundle at the rate of the joint states.

    Inference runs in its own thread; the executor's thread never waits for it. When a plan is not
    ready by the next state, the current one goes on, indexed by the time since its state's stamp.
    """

    def __init__(self) -> None:
        super().__init__('planner')
        self._config = declare(self, PlannerNodeConfig)
        settings = declare(self, PlannerConfig)
        path = Path(self._config.bundle) if self._config.bundle else share_file('models/walker2d')
        bundle = Bundle.load(path, provider=settings.provider, n_threads=settings.n_threads)
        self._planner = Planner(bundle, settings)
        self._period = round(bundle.robot.control_period * NANOSECONDS)
        self._current: Current | None = None
        self._last: Measurement | None = None
        self._epoch = 0
        self._latency = LatencyRecorder()
        self._n_plans = self._n_missed = self._n_refused = 0
        self._planned_stamp: int | None = None
        self._is_planning = False
        self._sending = threading.Lock()
        self._sent_stamp = NO_STATE  # state that the last command answered [ns]
        self._mailbox: Mailbox[Measurement] = Mailbox()

        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._commands = self.create_publisher(
            Float64MultiArray, 'effort_controller/commands', reliable)
        self._plans = self.create_publisher(JointTrajectory, '~/plan', reliable)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                          on_clock_change=False),
            post_callback=self._on_jump)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.create_subscription(JointState, 'joint_states', self._on_joint_states, best_effort)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix='inference')
        self._inference: Future[None] = self._threads.submit(self._infer)
        self.get_logger().info(
            f"planning for '{bundle.robot.name}' with {path} on {bundle.provider}, "
            f'{"lockstep" if self._config.lockstep else "real time"}')

    @property
    def is_done(self) -> bool:
        """Whether inference ended, which it does only by a fault."""
        return self._inference.done()

    def close(self) -> None:
        """Stop planning, send zero torque last, and raise what went wrong in inference."""
        self._mailbox.close()
        self._threads.shutdown()
        self._sent_stamp = NO_STATE
        self._publish_torque(np.zeros(self._planner.bundle.robot.action_dim), stamp=NO_STATE)
        self._inference.result()

    def _on_joint_states(self, msg: JointState, info: dict[str, Any]) -> None:
        stamp = nanoseconds_from_stamp(msg.header.stamp)
        try:
            state = state_from_msg(msg, self._planner.bundle.robot)
            self._check_stamp(stamp)
        except StateError as error:
            self._refuse(error)
            return
        last, current = self._last, self._current
        if last is not None and stamp == last.stamp and np.array_equal(state, last.state):
            # A state is repeated by who did not hear its answer.
            if current is not None and current.stamp == stamp:
                self._publish_torque(current.plan.actions[0], stamp)
            return
        if self._is_planning and not self._config.lockstep:
            self._go_on(stamp)
        self._last = Measurement(
            stamp=stamp, sent=info['source_timestamp'] or time.time_ns(), state=state,
            positions=dict(zip(msg.name, msg.position, strict=False)), epoch=self._epoch)
        self._mailbox.put(self._last)

    def _check_stamp(self, stamp: int) -> None:
        age = (self.get_clock().now().nanoseconds - stamp) / NANOSECONDS
        if age > self._config.max_state_age:
            raise StateError(f'the joint states are {age:.3f} s old, expected at most '
                             f'{self._config.max_state_age} s (max_state_age)')
        if self._last is not None and stamp < self._last.stamp:
            behind = (self._last.stamp - stamp) / NANOSECONDS
            raise StateError(f'the joint states are {behind:.3f} s older than the last ones')

    def _refuse(self, error: StateError) -> None:
        self._n_refused += 1
        self.get_logger().warning(f'state refused: {error}', throttle_duration_sec=WARNING_PERIOD)

    def _go_on(self, stamp: int) -> None:
        """Send the current plan's action for this time: the new plan will be late."""
        current = self._current
        if current is None:
            return
        index = round((stamp - current.stamp) / self._period)
        if 0 < index < len(current.plan.actions):
            self._publish_torque(current.plan.actions[index], current.stamp)

    def _infer(self) -> None:
        while (measured := self._mailbox.take()) is not None:
            self._is_planning = True
            try:
                self._replan(measured)
            except StateError as error:
                self._refuse(error)
            finally:
                self._is_planning = False

    def _replan(self, measured: Measurement) -> None:
        planner = self._planner
        plan = planner.plan(measured.state, step=round(measured.stamp / self._period))
        if measured.epoch != self._epoch:
            return  # time jumped back meanwhile: the plan is for another run
        late = 0 if self._config.lockstep else (
            self.get_clock().now().nanoseconds - measured.stamp)
        index = max(0, late // self._period)
        self._count(measured)
        if index >= len(plan.actions):
            self.get_logger().error(
                f'plan is {late / NANOSECONDS:.3f} s late, beyond its last action; no torque',
                throttle_duration_sec=WARNING_PERIOD)
            return
        self._publish_torque(plan.actions[index], measured.stamp)
        self._latency.add((time.time_ns() - measured.sent) / NANOSECONDS)
        self._current = Current(measured.stamp, plan)
        if self._plans.get_subscription_count():
            self._plans.publish(msg_from_plan(plan, planner.bundle.robot, measured.stamp,
                                              measured.positions))

    def _count(self, measured: Measurement) -> None:
        """Count the plan, and the control periods since the last one that got none."""
        self._n_plans += 1
        if self._planned_stamp is not None and measured.stamp > self._planned_stamp:
            periods = round((measured.stamp - self._planned_stamp) / self._period)
            self._n_missed += max(0, periods - 1)
        self._planned_stamp = measured.stamp

    def _publish_torque(self, torque: NDArray, stamp: int) -> None:
        if not np.isfinite(torque).all():
            # A controller drops a command with NaN and holds the old torque for ever.
            raise ValueError(f'planned torque is {torque}, expected finite numbers [N m]')
        with self._sending:
            if stamp < self._sent_stamp:
                return  # a newer plan was ready before the old one could go on
            self._sent_stamp = stamp
            self._commands.publish(msg_from_torque(torque, stamp))

    def _on_jump(self, jump: object) -> None:
        del jump
        self._epoch += 1
        self._mailbox.clear()
        self._current = self._last = self._planned_stamp = None
        self._sent_stamp = NO_STATE

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            self._planner_with(parameters)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, parameters: list[Parameter]) -> None:
        self._planner = self._planner_with(parameters)

    def _planner_with(self, parameters: list[Parameter]) -> Planner:
        changes = {p.name: p.value for p in parameters if p.name in names_of(PlannerConfig)}
        return Planner(self._planner.bundle, replace(self._planner.config, **changes))

    def _publish_diagnostics(self) -> None:
        planner, current = self._planner, self._current
        facts = {
            'bundle': planner.bundle.path, 'bundle_hash': planner.bundle.hash,
            'provider_in_use': planner.bundle.provider,
            'plans': self._n_plans, 'missed_deadlines': self._n_missed,
            'refused_states': self._n_refused,
            **self._latency.facts(),
            'plan_value': float('nan') if current is None else current.plan.value,
            **asdict(planner.config)}
        message = 'waiting for joint states' if current is None else 'planning'
        self._diagnostics.publish(msg_from_facts(
            'planner', message, facts, is_ok=current is not None,
            stamp=self.get_clock().now().to_msg()))


def main(argv: list[str] | None = None) -> None:
    """Run the planner node."""
    run_node(PlannerNode, argv)


if __name__ == '__main__':
    main()
