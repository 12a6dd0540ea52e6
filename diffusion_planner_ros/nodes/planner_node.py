# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The planner node: joint states in, joint torques out, for any robot whose bundle it loads."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
import traceback
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import ConfigError, ModelError, PlannerError, RobotError
from ..planning.bundle import Bundle, FACTS_FILE, facts_file, read_preset
from ..planning.delay_compensation import Planning, Redo
from ..planning.monitor import MonitorConfig
from ..planning.planner import Plan, Planner
from ..planning.planner_config import PlannerConfig
from ..planning.stop import per_joint, StopBehaviour, StopConfig
from ..presets.preset import Preset
from ..robot import Robot
from ..robots.robot_folder import DEFAULT_ROBOT, urdf_file
from ..share import shipped_bundle
from ..urdf_tree import Urdf
from .common.conversions import msg_from_plan
from .common.diagnostics import msg_from_facts
from .common.lifecycle_transitions import transition
from .common.parameters import changed, declare
from .common.run_node import freeze_garbage, run_nodes
from .common.topics import CLOCK, DIAGNOSTICS, PLAN, PLANNER
from .control.bundle_loader import BundleLoader, load_bundle
from .control.command_conflicts import CommandConflicts
from .control.control_loop import ControlLoop
from .control.model import AS_MEASURED, Model, NOT_MEASURED
from .control.planner_node_config import PlannerNodeConfig
from .control.publishers import Gid, listed, NAMELESS, SILENCE
from .control.speed_command import SpeedCommandConfig
from .display.plan_display import DisplayConfig, PlanDisplay, Shown
from .state.state_source import check_layout, Measurement, StateConfig
from .threads.batch_planner import BatchPlanner
from .threads.control_thread import ControlThread
from .threads.periodic_thread import PeriodicThread
from .threads.scheduling import schedule, SchedulingConfig

DIAGNOSTICS_PERIOD = 1.0  # [s]
CLOCK_PERIOD = 10.0  # [s], shortest time between two reports of a second publisher of the clock
STOPPING_PERIOD = 0.02  # [s] between two checks whether damping or hold is over
CONFIGS = (PlannerNodeConfig, PlannerConfig, SpeedCommandConfig, StateConfig, StopConfig,
           MonitorConfig, DisplayConfig, SchedulingConfig)
Configs = dict[type, Any]


def bundle_path(name: str) -> Path:
    """Return the folder of the bundle that parameter ``bundle`` names."""
    return Path(name) if name else shipped_bundle(DEFAULT_ROBOT)


def _preset_of(folder: Path) -> str:
    """Return the preset that a bundle names, '' where it names none or cannot be read."""
    try:
        return read_preset(folder)
    except ModelError:
        return ''  # the node says what is wrong with it when it is configured


class PlannerNode(LifecycleNode):
    """
    Replan with a model bundle at the rate of the joint states.

    A managed node: when it is configured, it loads its bundle; while it is active, it commands.
    The control thread receives clock and measurements, and plans. Watchdogs, diagnostics, drawing
    and the loading of another bundle have threads of their own. The node's executor has only the
    services left, which may block it.

    :param namespace: full name; that of the process by default.
    :param plan: makes a plan with a planner, for this robot alone or for several together.
    """

    def __init__(self, namespace: str = '', plan: Planning = Planner.plan) -> None:
        # A remapping in the arguments of the node outranks that of the process.
        arguments = ['--ros-args', '-r', f'__ns:={namespace}'] if namespace else None
        super().__init__(PLANNER.node_name, cli_args=arguments)
        self._plan = plan
        self._configs: Configs = {PlannerNodeConfig: declare(self, PlannerNodeConfig)}
        preset = self._config.preset or _preset_of(bundle_path(self._config.bundle))
        defaults = Preset.load(preset).planner if preset else {}
        self._configs |= {config: declare(self, config, defaults)
                          for config in CONFIGS if config is not PlannerNodeConfig}
        self._model: Model | None = None
        self._limit: NDArray | None = None
        self._stop: StopBehaviour | None = None
        self._display: PlanDisplay | None = None
        self._loop: ControlLoop | None = None
        self._failure: BaseException | None = None
        self._fault = ''  # why the node stopped by itself, for diagnostics
        self._is_configuring = False
        self._calibration = AS_MEASURED  # of the monitor, as last logged
        self._is_telling = False  # whether the node itself sets parameter `bundle`
        self._is_told_to_stop = False  # by a signal
        self._conflict: dict[Gid, str] = {}  # names of other nodes that command now
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._loader = BundleLoader(
            self._soon, on_loaded=self._take_over, on_refused=self._keep)
        self._control = ControlThread(self, self._on_control_fault)
        self._conflicts = CommandConflicts(self, self._control.group,
                                           on_other=lambda: self._health.wake())
        self._plans = PLANNER.publisher(self, PLAN)
        self._diagnostics = PLANNER.publisher(self, DIAGNOSTICS)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                          on_clock_change=False),
            post_callback=self._on_jump)
        self._control.start()
        schedule(self._configs[SchedulingConfig], self._control.identifiers,
                 self.get_logger().warning)
        self._health = PeriodicThread('diagnostics', DIAGNOSTICS_PERIOD, self._report)
        if self._config.autostart:
            self._once(0.0, self._autoconfigure)

    @property
    def _config(self) -> PlannerNodeConfig:
        return self._configs[PlannerNodeConfig]

    # The life of the process

    def _soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the thread of the executor; any thread."""
        if self.executor is not None:  # as it is but for the end of the process
            self.executor.create_task(function, *arguments)

    def _once(self, delay: float, function: Callable[[], object]) -> None:
        def run() -> None:
            self.destroy_timer(timer)
            function()
        timer = self.create_timer(delay, run, clock=self._wall)

    def _autoconfigure(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self._once(SILENCE, self.trigger_activate)
        else:
            self._failure = PlannerError('could not be configured; the log above says why')

    @property
    def is_done(self) -> bool:
        """Whether the process may end: it was told to and has stopped, or it has failed."""
        return self._failure is not None or (self._is_told_to_stop and self._loop is None)

    def stop(self) -> None:
        """Stop commanding; the node is done when the stop behaviour is over."""
        self._is_told_to_stop = True
        if self._loop is not None and not self._loop.is_stopped:
            self._deactivate('shutdown')

    def close(self) -> None:
        """End all threads; zero torque is the last command."""
        self._health.close()
        self._loader.close()
        self._free()
        self._control.close()
        if self._failure is not None:
            raise self._failure

    # Lifecycle: rclpy calls these

    @transition
    def on_configure(self) -> None:
        """Load and warm up the bundle."""
        self._is_configuring = True
        self._health.wake()
        try:
            self._conflicts.listen()
            self._control.wake()
            bundle = load_bundle(bundle_path(self._config.bundle), self._configs[PlannerConfig])
            check_layout(bundle.robot, self._configs[StateConfig])
            self._limit, urdf = self._limits(bundle)
            self._stop = StopBehaviour(self._configs[StopConfig],
                                       [entry.joint for entry in bundle.robot.action], self._limit)
            self._apply(bundle)
            if urdf is not None:
                robot = bundle.robot
                # It measures no other joints: the target of an arm is one, a gripper another.
                self._display = PlanDisplay(self, urdf.pruned(set(robot.joints)),
                                            self._configs[DisplayConfig])
            freeze_garbage()
        except PlannerError:
            self._free()
            raise
        finally:
            self._is_configuring = False
        self.get_logger().info(
            f"planning for '{bundle.robot.name}' with {bundle.path} on {bundle.provider}, "
            f'{"lockstep" if self._config.lockstep else "real time"}')

    @transition
    def on_activate(self) -> None:
        """Start commanding, unless another node does."""
        if self._is_told_to_stop:
            raise PlannerError('the process is about to end; start it again')
        if self._model is None or self._limit is None or self._stop is None:
            raise PlannerError('there is no bundle to plan with; configure the node')
        if self._loop is not None:
            self._finish()
        loop = ControlLoop(
            self, self._model, self._limit, plan=self._plan,
            create_publisher=self._conflicts.begin,
            config=self._config,
            stop=self._stop, state_config=self._configs[StateConfig],
            speed_config=self._configs[SpeedCommandConfig], control=self._control,
            frame_id=self._configs[DisplayConfig].frame_id,
            on_leap=self._forget, on_plan=self._on_plan, on_fault=self._on_fault)
        self._fault = ''
        self._loop = loop
        self._control.wake()

    @transition
    def on_deactivate(self) -> None:
        """Stop as ``stop_behaviour`` says; zero torque is the last command."""
        self._deactivate('deactivated')

    @transition
    def on_cleanup(self) -> None:
        """Free the bundle."""
        self._free()

    @transition
    def on_shutdown(self) -> None:
        """Stop and free everything."""
        self._free()

    @transition
    def on_error(self) -> None:
        """Stop and free everything; the node can be configured again."""
        self._free()

    def _deactivate(self, cause: str) -> None:
        if self._loop is None:
            return
        self._loop.stop(cause)
        if self._loop.is_finished:
            self._finish()
        else:
            self._once(STOPPING_PERIOD, self._finish_if_due)

    def _finish_if_due(self) -> None:
        if self._loop is None or not self._loop.is_stopped:
            return  # activated again meanwhile
        if self._loop.is_finished:
            self._finish()
        else:
            self._once(STOPPING_PERIOD, self._finish_if_due)

    def _finish(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()
        self._conflicts.ignore()  # forget the senders: one of them may be this node
        self._conflicts.listen()

    def _free(self) -> None:
        if self._loop is not None:
            if not self._loop.is_stopped:
                self._loop.stop('shutdown')
            self._finish()
        self._conflicts.ignore()
        self._loader.forget()
        if self._display is not None:
            self._display.close()
        self._display = self._model = None

    # Models

    def _limits(self, bundle: Bundle) -> tuple[NDArray, Urdf | None]:
        """Return the smallest of all torque limits [N m], (A,), and the robot's description."""
        robot = bundle.robot
        limits = [robot.torque_limit,
                  per_joint('torque_limit', self._config.torque_limit, robot.action_dim)]
        urdf = self._urdf(robot)
        if urdf is not None:
            for entry in robot.action:
                if entry.joint not in urdf.effort_limits:
                    raise RobotError(f"{bundle.path / FACTS_FILE}: commands joint "
                                     f"'{entry.joint}', expected joints whose effort the URDF "
                                     f'limits: {", ".join(urdf.effort_limits)}')
            limits.append(np.array([urdf.effort_limits[e.joint] for e in robot.action]))
        return np.min(limits, axis=0), urdf

    def _urdf(self, robot: Robot) -> Urdf | None:
        if self._config.robot_description:
            return Urdf.from_text(self._config.robot_description, 'robot_description')
        shipped = urdf_file(robot.name)
        return None if shipped is None else Urdf.load(shipped)

    def _take_over(self, bundle: Bundle) -> None:
        """Use a newly loaded bundle from the next plan on."""
        try:
            self._apply(bundle)
        except PlannerError as error:  # the parameters fit only the bundle in use
            self._keep(str(error))
            return
        self.get_logger().info(f'bundle changed to {bundle.path}')
        self._tell_bundle()

    def _keep(self, reason: str) -> None:
        """Go on with the bundle in use, and log why."""
        self.get_logger().error(f'the bundle stays {self._bundle_in_use}: {reason}')
        self._tell_bundle()

    def _tell_bundle(self) -> None:
        """Set parameter ``bundle`` to the bundle in use, unless another one is being loaded."""
        in_use = self._bundle_in_use
        if (in_use is not None and not self._loader.n_loading
                and bundle_path(self._config.bundle) != in_use):
            self._is_telling = True
            self.set_parameters([Parameter('bundle', value=str(in_use))])
            self._is_telling = False

    @property
    def _is_loading(self) -> bool:
        return self._is_configuring or self._loader.n_loading > 0

    @property
    def _bundle_in_use(self) -> Path | None:
        return None if self._model is None else self._model.planner.bundle.path

    # Parameters

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            configs = changed(self._configs, parameters)
            if self._model is not None:
                Planner(self._model.planner.bundle, configs[PlannerConfig])
                if any(p.name == 'bundle' for p in parameters):
                    facts_file(bundle_path(configs[PlannerNodeConfig].bundle))
        except (ConfigError, ModelError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, parameters: list[Parameter]) -> None:
        self._configs = changed(self._configs, parameters)
        self._control.adopt_clock()  # rclpy has made a new one if use_sim_time was changed
        if self._model is None:
            return
        path = bundle_path(self._config.bundle)
        if any(p.name == 'bundle' for p in parameters) and not self._is_telling:
            self._loader.load(path, self._configs[PlannerConfig], self._model.planner.bundle.robot)
            self._health.wake()
        self._apply(self._model.planner.bundle)

    def _apply(self, bundle: Bundle) -> None:
        """
        Plan with a bundle and the parameters as they are, from the next plan on.

        :raises ConfigError: if they do not fit each other; all stays as it was.
        """
        self._model = Model.build(bundle, self._configs[PlannerConfig],
                                  self._configs[MonitorConfig], before=self._model)
        self._warn_of_calibration(self._model)
        if self._loop is not None:
            self._loop.apply(self._model, self._config.torque_scale)

    def _warn_of_calibration(self, model: Model) -> None:
        """Warn, once for each reason, that the monitor was calibrated for another planner."""
        before, self._calibration = self._calibration, model.calibration
        if (self._calibration in (AS_MEASURED, before)
                or not self._configs[MonitorConfig].is_on):
            return
        self.get_logger().warning(
            'the bundle has no calibration: the monitor neither warns nor stops; run '
            'diffusion_planner calibrate' if self._calibration == NOT_MEASURED else
            f'the monitor is calibrated for other settings of the planner: {self._calibration}')

    # What happens while active

    def _on_jump(self, jump: object) -> None:
        del jump
        clocks = sorted(listed(self, CLOCK.name).values())
        if len(clocks) > 1:
            self.get_logger().error(
                f"time jumped back: '{self.resolve_topic_name(CLOCK.name)}' has {len(clocks)} "
                f'publishers, expected one; end all but one of {", ".join(clocks)}, or give each '
                'robot a namespace and its own clock (-r /clock:=clock)',
                throttle_duration_sec=CLOCK_PERIOD)
        self._forget()

    def _forget(self) -> None:
        loop, display = self._loop, self._display  # the executor may take them away meanwhile
        if loop is not None:
            loop.forget()
        if display is not None:
            display.forget()

    def _on_plan(self, model: Model, plan: Plan, measured: Measurement, redo: Redo) -> None:
        """Publish a plan if it is subscribed, and hand it to the display; control thread."""
        robot = model.planner.bundle.robot
        if self._plans.get_subscription_count():
            self._plans.publish(msg_from_plan(plan, robot, measured.stamp, measured.positions))
        loop = self._loop  # the executor may take it away meanwhile
        if self._display is not None:
            self._display.show(Shown(model.planner, plan, measured.stamp, measured.positions,
                                     redo, [] if loop is None else loop.goals))

    def _on_fault(self, fault: BaseException) -> None:
        """Log the exception that ended inference, and deactivate; control thread."""
        self._fault = f'inference failed: {fault!r}'
        self.get_logger().fatal(''.join(traceback.format_exception(fault)))
        self._soon(self._give_up)

    def _give_up(self) -> None:
        """Deactivate, unless that has happened meanwhile."""
        if self._loop is not None and not self._loop.is_stopped:
            self.trigger_deactivate()

    def _stop_listening(self) -> None:
        """End the subscription of commands, when no other planner can have begun with us."""
        if (self._loop is not None and not self._loop.is_stopped
                and not self._conflicts.is_contested):
            self._conflicts.ignore()
            self._control.wake()

    def _on_control_fault(self, fault: BaseException) -> None:
        """Let the node end, because it receives no states any more; control thread."""
        self._failure = fault

    # Diagnostics

    def _report(self) -> None:
        """Publish diagnostics; in a thread of its own, so also while a transition blocks."""
        model, loop = self._model, self._loop
        self._look_for_conflicts(loop)
        level, state, message = self._status(loop)
        facts: dict[str, Any] = {'state': state}
        for config in self._configs.values():
            facts |= asdict(config)
        if model is not None:
            bundle = model.planner.bundle
            facts |= {'bundle': bundle.path, 'bundle_hash': bundle.hash,
                      'control_period': bundle.robot.control_period,
                      'provider_in_use': bundle.provider,
                      'monitor_calibration': model.calibration}
        if loop is not None:
            facts |= loop.facts()
        facts |= {'is_loading': self._is_loading,
                  'plan_subscribers': self._plans.get_subscription_count()}
        self._diagnostics.publish(msg_from_facts(
            self, '' if model is None else model.planner.bundle.robot.name, message, facts,
            level=level, stamp=self.get_clock().now().to_msg()))

    def _look_for_conflicts(self, loop: ControlLoop | None) -> None:
        """Log other nodes that command the joints, and give up if this node has to."""
        is_active = loop is not None and not loop.is_stopped
        others = self._conflicts.others() if is_active else {}
        names = sorted(others.values())
        if others.keys() - self._conflict.keys() and NAMELESS not in names:
            self.get_logger().error(
                f'{", ".join(names)} commands the joints as well, unless it has just died: '
                'deactivate all but one')
        if self._conflicts.yields(others):
            self._fault = f'left the robot to {", ".join(names)}, which had begun before'
            self.get_logger().error(self._fault)
            self._soon(self._give_up)
        elif is_active and self._conflicts.is_listening and not self._conflicts.is_contested:
            self._soon(self._stop_listening)
        self._conflict = others

    def _status(self, loop: ControlLoop | None) -> tuple[bytes, str, str]:
        """Return the level of ``diagnostic_msgs``, the state, and a message for people."""
        if self._fault:
            return DiagnosticStatus.ERROR, 'failed', self._fault
        if self._conflict:
            names = ', '.join(sorted(self._conflict.values()))
            return DiagnosticStatus.ERROR, 'contested', f'also commanded by {names}'
        if loop is not None:
            return loop.status()
        if self._is_loading:
            state = 'loading'
        else:
            state = 'unconfigured' if self._model is None else 'inactive'
        return DiagnosticStatus.WARN, state, state


def build_planners() -> list[PlannerNode]:
    """Build the planner of each robot of parameter ``robots``; by default that of one alone."""
    # Where a planner is must be known when it is built, so another node reads the parameter.
    reader = Node(PLANNER.node_name, enable_rosout=False, start_parameter_services=False)
    try:
        robots, below = declare(reader, PlannerNodeConfig).namespaces, reader.get_namespace()
    finally:
        reader.destroy_node()
    if not robots:
        return [PlannerNode()]
    batch = BatchPlanner()
    planners: list[PlannerNode] = []
    with ExitStack() as undo:
        for robot in robots:
            planners.append(PlannerNode(f'{below.rstrip("/")}/{robot}', batch.plan))
            undo.callback(planners[-1].close)
        undo.pop_all()
    return planners


def main(argv: list[str] | None = None) -> None:
    """Run the planner of one robot, or those of several."""
    run_nodes(PlannerNode.__name__, build_planners, argv)
