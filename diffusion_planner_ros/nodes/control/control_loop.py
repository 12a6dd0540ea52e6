# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From joint states to joint torques, for as long as the planner node is active."""

from collections.abc import Callable
from contextlib import ExitStack
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from ...errors import NotFiniteError, StateError
from ...planning.bundle import Bundle
from ...planning.conditions import Condition
from ...planning.delay_compensation import Planning, Redo
from ...planning.planner import Plan
from ...planning.stop import StopBehaviour
from ..common.conversions import NANOSECONDS
from ..common.diagnostics import fact_from_counts
from ..navigation.navigation import Navigation
from ..navigation.obstacle_topic import ObstacleTopic
from ..state.state_source import Measurement, StateConfig, StateSource
from ..threads.control_thread import ControlThread
from ..threads.watchdog import Watchdog
from .command_publisher import CommandPublisher
from .model import Model
from .planner_node_config import PlannerNodeConfig
from .replanner import Replanner
from .speed_command import SpeedCommand, SpeedCommandConfig

WARNING_PERIOD = 1.0  # [s], shortest time between two warnings of one kind
ACK_TIME = Duration(seconds=0.1)  # that the last command has to arrive, before it is repeated
N_LAST_COMMANDS = 5
LEAP = 10.0  # [s], jump of simulated time above which the simulation has begun a new episode


class ControlLoop:
    """
    Everything that runs only while the node is active.

    The ROS publisher of commands exists exactly as long, so that other nodes see who commands. If
    an exception is raised in the constructor, all that was built before is closed again.

    :param node: gets the subscriptions.
    :param model: plans, until ``apply`` replaces it.
    :param plan: makes a plan with the planner of the model.
    :param limit: largest torque [N m], shape (A,).
    :param create_publisher: creates the publisher of commands; raises if the node must not
        command.
    :param stop: gives the stop torque.
    :param control: serves the subscriptions, and plans.
    :param on_leap: called in the control thread when simulated time made a leap; it has to call
        ``forget``.
    :param frame_id: frame in which goals and obstacles are given.
    :param on_plan: called in the control thread after every plan, with what makes it again.
    :param on_fault: called there with the exception after which there are no more plans.
    :raises PlannerError: if the node must not command, or the settings do not fit the robot.
    """

    def __init__(self, node: Node, model: Model, limit: NDArray, *, plan: Planning,
                 create_publisher: Callable[[], Publisher], config: PlannerNodeConfig,
                 stop: StopBehaviour, state_config: StateConfig,
                 speed_config: SpeedCommandConfig, control: ControlThread, frame_id: str,
                 on_leap: Callable[[], None],
                 on_plan: Callable[[Model, Plan, Measurement, Redo], None],
                 on_fault: Callable[[BaseException], None]) -> None:
        robot = model.planner.bundle.robot
        max_gap = config.longest_gap(robot.control_period)
        self._node = node
        self._clock = node.get_clock()
        self._lockstep = config.lockstep
        self._on_leap, self._on_plan = on_leap, on_plan
        self._navigation: Navigation | None = None
        self._obstacles: ObstacleTopic | None = None
        self._stop_duration = config.stop_duration
        self._n_refused = 0
        self._finish_at = float('inf')
        self._newest: tuple[int, float] | None = None  # stamp [ns] and steady time of a state [s]
        self._behaviour = stop
        stop.release()
        with ExitStack() as undo:
            self._publisher = create_publisher()
            undo.callback(node.destroy_publisher, self._publisher)
            self._command_publisher = CommandPublisher(
                self._publisher, limit=limit, stop=stop, ramp_time=config.ramp_time,
                scale=config.torque_scale, max_age=max_gap, lockstep=config.lockstep,
                logger=node.get_logger())
            self._state_watchdog = Watchdog(
                'state watchdog', state_config.longest_age(robot.control_period),
                self._on_no_state)
            undo.callback(self._state_watchdog.close)
            self._plan_watchdog = Watchdog('plan watchdog', max_gap, self._on_no_plan)
            undo.callback(self._plan_watchdog.close)
            self._replanner = Replanner(
                model, self._command_publisher, lockstep=config.lockstep,
                action_delay=config.action_delay, plan=plan, clock=self._clock,
                defer=control.defer,
                on_command=self._on_command, known_of=self._known_of, on_plan=self._on_new_plan,
                on_refused=self._on_refused, on_fault=on_fault)
            undo.callback(self._replanner.close)
            if robot.goal is not None:
                self._navigation = Navigation(node, model.planner.bundle, frame_id, control.group)
                undo.callback(self._navigation.close, 'not activated')
                self._obstacles = ObstacleTopic(node, frame_id, control.group)
                undo.callback(self._obstacles.destroy)
            self._speed = SpeedCommand(node, speed_config, control.group)
            undo.callback(self._speed.destroy)
            self._source = StateSource(node, robot, state_config, on_state=self._on_state,
                                       on_refused=self._on_refused, on_restart=self._on_restart,
                                       group=control.group)
            undo.pop_all()

    @property
    def goals(self) -> list[NDArray]:
        """Goals that the robot heads for, or the one at which it stays [m], shape (2,) each."""
        return [] if self._navigation is None else self._navigation.goals

    @property
    def is_stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._finish_at < float('inf')

    @property
    def is_finished(self) -> bool:
        """Whether ``stop`` was called, and damping or hold has lasted for ``stop_duration``."""
        return time.monotonic() >= self._finish_at

    def apply(self, model: Model, scale: float) -> None:
        """Use another model and another torque scale from the next plan on."""
        self._replanner.model = model
        self._command_publisher.scale = scale

    def forget(self) -> None:
        """Drop plan, history and the times of the watchdogs, because time jumped."""
        self._newest = None
        self._state_watchdog.suspend()
        self._plan_watchdog.suspend()
        self._replanner.forget()
        self._command_publisher.forget()
        self._source.forget()
        if self._navigation is not None:
            self._navigation.forget()
        if self._obstacles is not None:
            self._obstacles.forget()
        self._speed.forget()

    def stop(self, cause: str) -> None:
        """
        Stop planning; damping and hold go on for ``stop_duration``, see ``is_finished``.

        The stop command is sent at once, even while a plan is being computed.
        """
        self._command_publisher.retire(cause)
        self._replanner.close()
        if self._navigation is not None:
            self._navigation.close(cause)
        follows = self._behaviour.follows_state and not self._lockstep
        self._finish_at = time.monotonic() + (self._stop_duration if follows else 0.0)

    def close(self) -> None:
        """Publish zero torque as the last command, and free everything."""
        self._source.destroy()
        self._speed.destroy()
        if self._obstacles is not None:
            self._obstacles.destroy()
        self._state_watchdog.close()
        self._plan_watchdog.close()
        # A last message that was lost would not be sent again: DDS notices it by the next one.
        for _ in range(N_LAST_COMMANDS):
            self._command_publisher.close()
            if self._publisher.wait_for_all_acked(ACK_TIME):
                break
        self._node.destroy_publisher(self._publisher)

    def _on_state(self, measured: Measurement) -> None:
        if self._begins_anew(measured):
            self._on_leap()
        self._newest = measured.stamp, time.monotonic()
        if not self._lockstep:  # in lockstep, simulated time waits for the planner
            # A state that comes again is not new: its age follows from its stamp.
            age = self._clock.now().nanoseconds - measured.stamp
            self._state_watchdog.feed(max(0.0, age / NANOSECONDS))
        self._command_publisher.follow_stop(measured)
        if not self._command_publisher.is_latched:
            self._speed.steer(self._replanner.model.planner)
            if self._obstacles is not None:
                self._obstacles.steer(self._replanner.model.planner)
            self._replanner.on_state(measured)

    def _begins_anew(self, measured: Measurement) -> bool:
        """
        Return whether simulated time made a leap, as the bridge's does for a new episode.

        A leap takes no time on the wall clock; a pause without states does. (In lockstep there is
        no such pause: simulated time waits for the planner.) Without simulated time there is no
        leap, so that on hardware a latched stop stays.
        """
        # The clock of a node is a `ROSClock`.
        is_simulated = self._clock.ros_time_is_active  # type: ignore[attr-defined]
        if self._newest is None or not is_simulated:
            return False
        stamp, came = self._newest
        step = (measured.stamp - stamp) / NANOSECONDS
        passed = 0.0 if self._lockstep else time.monotonic() - came
        return step - passed > LEAP

    def _on_restart(self, back: float) -> None:
        self._command_publisher.stop('joint states started over',
                                     f'{back:.3f} s before the last ones')
        self._newest = None
        self._replanner.forget()

    def _on_refused(self, error: StateError) -> None:
        self._n_refused += 1
        self._node.get_logger().warning(f'state refused: {error}',
                                        throttle_duration_sec=WARNING_PERIOD)
        if isinstance(error, NotFiniteError):
            self._command_publisher.stop('state not finite', str(error))

    def _known_of(self, bundle: Bundle, state: NDArray, n_periods: int) -> Condition | None:
        return (None if self._navigation is None else
                self._navigation.condition(bundle, state, n_periods))

    def _on_new_plan(self, model: Model, plan: Plan, measured: Measurement, redo: Redo) -> None:
        if self._navigation is not None:
            self._navigation.tell(measured.state)
        if self._obstacles is not None:
            self._obstacles.watch(model.planner, plan)
        self._on_plan(model, plan, measured, redo)

    def _on_command(self) -> None:
        if not self._lockstep:
            self._plan_watchdog.feed()

    def _on_no_state(self, age: float) -> None:
        self._command_publisher.stop('stale state', f'none for {age:.3f} s')

    def _on_no_plan(self, age: float) -> None:
        if not self._command_publisher.stop_cause:
            self._command_publisher.stop('stale plan', f'none for {age:.3f} s')

    def status(self) -> tuple[bytes, str, str]:
        """Return the level of ``diagnostic_msgs``, the state, and a message for people."""
        if cause := self._command_publisher.stop_cause:
            return DiagnosticStatus.ERROR, 'stopped', f'stopped: {cause}'
        if self._replanner.current is None:
            return DiagnosticStatus.WARN, 'waiting', 'waiting for joint states'
        surprise = self._replanner.surprise
        if surprise is not None and surprise.level == 'warn':
            return (DiagnosticStatus.WARN, 'planning',
                    f'out of distribution: score {surprise.score:.2f}')
        return DiagnosticStatus.OK, 'planning', 'planning'

    def facts(self) -> dict[str, Any]:
        """Return the values for diagnostics by name, see ``common.diagnostics.VALUES``."""
        replanner, command_publisher = self._replanner, self._command_publisher
        current, surprise = replanner.current, replanner.surprise
        speed = self._speed.speed
        return {
            'plans': replanner.n_plans, 'states_without_plan': replanner.n_unplanned,
            'refused_states': self._n_refused, 'stops': command_publisher.stops.total(),
            'stop_causes': fact_from_counts(command_publisher.stops.copy()),
            'stop_cause': command_publisher.stop_cause,
            'clamped_commands': command_publisher.n_clamped,
            **replanner.latency.facts(), **replanner.stages.facts(),
            'action_delay_in_use': replanner.delay,
            **replanner.torque_step.facts(),
            'commanded_speed': float('nan') if speed is None else speed,
            'plan_value': float('nan') if current is None else current.plan.value,
            'goals_left': 0 if self._navigation is None else self._navigation.n_left,
            **({} if surprise is None else {
                'prediction_error': surprise.error, 'prediction_percentile': surprise.percentile,
                'ood_score': surprise.score, 'ood_score_only_warns': replanner.is_muted,
                'state_jump': surprise.jump, 'state_deviation': surprise.deviation})}
