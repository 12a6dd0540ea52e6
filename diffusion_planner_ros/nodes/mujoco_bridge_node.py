"""The simulated robot: Walker2D in MuJoCo as a ROS 2 node."""

from dataclasses import dataclass
import math
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Vector3
import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from ..planning.stop import StopBehaviour, StopConfig
from ..settings import check_settings, document_settings, setting
from ..sim.walker2d import MAX_EPISODE_STEPS, Walker2D
from .common.control_thread import CLOCK_TOPIC, ControlThread
from .common.conversions import (
    msg_from_joints,
    msg_from_reward,
    NANOSECONDS,
    stamp_from_nanoseconds,
    torque_from_msg,
)
from .common.diagnostics import msg_from_facts
from .common.parameters import declare
from .common.percentiles import Percentiles
from .common.publishers import listed, Senders, UNKNOWN
from .common.run_node import run_node

ROBOT = 'walker2d'
REPEAT_PERIOD = 0.02  # [s], longest silence, so that a pause can be told from a dead simulation
STALL_TIME = 0.03  # [s] without a turn of our timers, which are due every REPEAT_PERIOD or sooner
DIAGNOSTICS_PERIOD = 1.0  # [s]
WARNING_PERIOD = 1.0  # [s]
MAX_UNANSWERED = 125  # states whose answer may still come
MAX_PUSH = 100.0  # [N s]; the robot weighs 26 kg
EPISODE_GAP = 20_000_000_000  # [ns] of simulated time between two episodes


@document_settings
@dataclass(frozen=True)
class BridgeConfig:
    """Parameters of the simulated robot, besides those of ``StopConfig``."""

    lockstep: bool = setting(
        False, 'Wait for the command of every state before the next step; '
        'otherwise step on the wall clock.', read_only=True)
    real_time_factor: float = setting(
        1.0, 'Simulated over wall time, without lockstep.',
        low=0.01, high=10.0, read_only=True)
    seed: int = setting(0, 'Seed of the initial state of the next reset.', low=0, high=2**31 - 1)
    auto_reset: bool = setting(
        True, 'After the end of an episode, start the next one with the '
        'following seed.', read_only=True)
    max_episode_steps: int = setting(
        MAX_EPISODE_STEPS, 'Length of an episode.',
        unit='control periods', low=1, high=1_000_000, read_only=True)
    # Four periods: a step that begins just before the end of this time lasts one period more, and
    # a dead planner's torque is gone 40 ms after its last command, within 50 ms of its death even
    # if a tick is late. Living planners repeat their command every REPEAT_PERIOD at the latest.
    command_timeout: float = setting(
        0.032, 'Age of the last command, on the wall clock, above which '
        'the stop behaviour takes over, without lockstep.', unit='s',
        low=0.001, high=10.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)


class MujocoBridge(Node):
    """
    Publish joint states, rewards and the clock, apply torques.

    An episode begins with the first command that answers its initial state, so that a planner that
    is still loading does not make the robot fall. Its end, a fall or ``max_episode_steps``, is
    published at once on ``/diagnostics``, and so is a stop. While time stands still, clock and
    state are repeated.

    Time goes on from one episode to the next, with a leap of ``EPISODE_GAP``: who keeps a history
    of transforms or plots loses nothing, and no stamp means two states. The control thread serves
    all but the parameters.
    """

    def __init__(self) -> None:
        super().__init__('mujoco_bridge')
        self._config = declare(self, BridgeConfig)
        stop = declare(self, StopConfig)
        self._seed = self._config.seed
        self._walker = Walker2D()
        self._stop = StopBehaviour(stop, self._walker.actuated_joints, self._walker.torque_limit)
        self._stop_kind = stop.stop_behaviour
        self._period = round(self._walker.control_period * NANOSECONDS)
        self._wall_period = self._walker.control_period / self._config.real_time_factor  # [s]
        self.is_done = False
        self._failure: BaseException | None = None
        self._is_paused = False
        self._paused_at = 0.0  # wall time [s]
        self._awake = time.monotonic()  # when a timer of ours last ran [s]
        self._latency = Percentiles('latency', 'ms', 1e3)
        self._n_missed = self._n_refused = self._n_clipped = self._n_total_steps = 0
        self._n_stops = self._n_stopped_steps = self._n_falls = self._n_pushes = 0
        self._stop_cause = ''  # of the current or else the latest stop
        self._fault_times: dict[str, float] = {}  # when each cause was last seen [s]
        self._refused = -math.inf  # when a command was last refused [s]
        self._senders = Senders()  # of commands
        self._conflicts: dict[str, list[str]] = {}  # nodes, if a topic has more than one
        self._control = ControlThread(self, self._on_control_fault)
        group = self._control.group

        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._states = self.create_publisher(JointState, 'joint_states', reliable)
        self._clock_publisher = self.create_publisher(ClockMsg, '/clock', reliable)
        self._rewards = self.create_publisher(JointState, 'reward', reliable)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._commands = self.create_subscription(
            Float64MultiArray, 'effort_controller/commands', self._on_command, reliable,
            callback_group=group)
        self.create_subscription(Vector3, '~/push', self._on_push, reliable,
                                 callback_group=group)
        self.create_service(Trigger, '~/reset', self._on_reset, callback_group=group)
        self.create_service(SetBool, '~/pause', self._on_pause, callback_group=group)
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._heartbeat = self.create_timer(REPEAT_PERIOD, self._on_silence, group, wall)
        self.create_timer(DIAGNOSTICS_PERIOD, self._on_diagnostics_timer, group, wall)
        if not self._config.lockstep:
            self._ticks = self.create_timer(self._wall_period, self._tick, group, wall)
        self._begin_episode(0)
        self._control.start()

    def stop(self) -> None:
        """End the simulation."""
        self.is_done = True

    def close(self) -> None:
        """End the simulation's thread, and raise what ended it before."""
        self._control.close()
        if self._failure is not None:
            raise self._failure

    def _on_control_fault(self, fault: BaseException) -> None:
        self._failure = fault
        self.is_done = True

    # Episodes

    def _reset(self) -> None:
        """Begin the episode of the seed, some time after the last one."""
        self._begin_episode(self._time + EPISODE_GAP)

    def _begin_episode(self, start: int) -> None:
        """Put the robot at the initial state of the seed, at this time [ns]."""
        self._walker.reset(self._seed)
        self._torque = np.zeros(len(self._walker.torque_limit))  # the last command [N m]
        self._applied = self._torque  # what the joints last felt [N m]
        self._commanded = -math.inf  # when the last command came [s]
        self._asked = -math.inf  # when a state was shown again after a suspension [s]
        self._start_time = self._time = start  # simulated [ns]
        self._n_steps = 0
        self._return = 0.0
        self._start = self._walker.position
        self._has_fallen = self._is_over = self._is_stopped = False
        self._stop.release()
        self._is_answered = False  # whether the latest state got its command
        self._unanswered: dict[int, float] = {}  # when such a state was first shown [s], by stamp
        self._is_running = False  # whether the episode's first command came
        self._held: NDArray | None = None  # a command that came while paused, in lockstep
        # The clock goes first here, and only here: the state would be far in the future.
        self._publish_clock()
        self._show_state()

    def _step(self, torque: NDArray) -> None:
        """Take one control period and show its state, or end the episode."""
        if not self._config.lockstep and not self._is_answered:
            self._n_missed += 1
        self._applied = torque
        _, reward, self._has_fallen = self._walker.step(torque)
        self._return += reward
        self._n_steps += 1
        self._n_total_steps += 1
        self._time = self._start_time + self._n_steps * self._period
        self._is_over = self._has_fallen or self._n_steps >= self._config.max_episode_steps
        # The last state is shown as well: it tells how the episode ended, and nothing answers it.
        self._show_state()
        self._publish_clock()
        self._rewards.publish(msg_from_reward(reward, self._has_fallen, self._time))
        if not self._is_over:
            return
        self._n_falls += self._has_fallen
        self._publish_diagnostics()
        if self._config.auto_reset:
            self._seed += 1
            self._reset()

    # Commands

    def _on_command(self, msg: Float64MultiArray, info: dict[str, Any]) -> None:
        self._senders.hear(info)
        torque, answered = torque_from_msg(msg)
        if (fault := self._fault_of(torque)) is not None:
            self._n_refused += 1
            self._refused = time.monotonic()
            cause, found = fault
            self._warn_once(cause, f'command refused: {found}, expected {len(self._torque)} '
                            'finite torques [N m]')
            return
        is_answer = answered in (None, self._time)
        if not is_answer and (self._config.lockstep or not self._is_running
                              or answered > self._time):
            return  # meant for a state that is gone
        if self._is_over or (self._config.lockstep and self._is_answered):
            return  # nothing to command, or a repetition
        self._torque = np.clip(torque, -self._walker.torque_limit, self._walker.torque_limit)
        self._n_clipped += not np.array_equal(self._torque, torque)
        self._commanded = time.monotonic()
        self._is_answered = self._is_answered or is_answer
        # A late answer counts as well, with the time that it took.
        shown = self._unanswered.pop(self._time if answered is None else answered, None)
        if shown is not None and self._is_running:  # the first state waited for a planner
            self._latency.add(self._commanded - shown)
        if not self._is_running:
            self._is_running = True
            self._start_ticking()
        if self._config.lockstep:
            self._held = self._torque
            self._step_if_commanded()

    def _fault_of(self, torque: NDArray) -> tuple[str, str] | None:
        """Return what is wrong with a command and what was found, ``None`` if nothing is."""
        if torque.shape != self._torque.shape:
            return 'command length', f'{torque.size} numbers'
        return None if np.isfinite(torque).all() else ('command numbers', str(torque.tolist()))

    def _warn_once(self, cause: str, text: str) -> None:
        """Warn of a cause, and again only once it was gone for ``WARNING_PERIOD``."""
        now = time.monotonic()
        if now - self._fault_times.get(cause, -math.inf) > WARNING_PERIOD:
            self.get_logger().warning(text)
        self._fault_times[cause] = now

    def _step_if_commanded(self) -> None:
        """Take one control period in lockstep, unless paused."""
        if self._held is None or self._is_paused:
            return
        torque, self._held = self._held, None
        self._step(torque)

    # Real time

    def _start_ticking(self) -> None:
        """Let the next control period end one period from now."""
        if not self._config.lockstep:
            self._ticks.reset()

    def _tick(self) -> None:
        """Take one control period under the latest torque, whatever the planner does."""
        now = time.monotonic()
        self._notice_suspension(now)
        if not self._is_running or self._is_over or self._is_paused:
            return
        if self._commanded < self._asked and now - self._asked <= self._config.command_timeout:
            return
        if now - self._shown < 0.5 * self._wall_period:
            # The timer keeps to its grid: after a late tick the next one comes soon, and a planner
            # would have no time to answer.
            self._start_ticking()
        else:
            was_stopped, age = self._is_stopped, now - self._commanded
            torque = self._current_torque(now)
            is_stopped = self._is_stopped
            self._step(torque)
            if is_stopped != was_stopped:  # only now: the first line of a log takes 30 ms
                self._report_stop(is_stopped, age)

    def _notice_suspension(self, now: float) -> None:
        """
        Ask again if the last command grew too old while this process did not run.

        That silence says nothing about the planner. Until it answers, or stays silent for another
        ``command_timeout``, no step is taken.
        """
        asleep, self._awake = now - self._awake, now
        age = now - self._commanded
        if asleep > STALL_TIME and age - asleep <= self._config.command_timeout < age:
            self._asked = now
            self._repeat_state()

    def _current_torque(self, now: float) -> NDArray:
        """
        Return the last command, or the stop torque if that is too old.

        The age is checked here, by the step that applies the torque, and not by a watchdog of its
        own, which could die while the torque goes on.
        """
        age = now - self._commanded
        if age <= self._config.command_timeout:
            self._end_stop()
            return self._torque
        self._begin_stop()
        self._n_stopped_steps += 1
        joints = self._walker.joint_names
        return self._stop.torque(dict(zip(joints, self._walker.qpos, strict=True)),
                                 dict(zip(joints, self._walker.qvel, strict=True)))

    def _begin_stop(self) -> None:
        if self._is_stopped:
            return
        self._is_stopped = True
        self._n_stops += 1
        was_refused = self._refused > self._commanded
        self._stop_cause = 'commands refused' if was_refused else 'no command'

    def _end_stop(self) -> None:
        if self._is_stopped:
            self._is_stopped = False
            self._stop.release()

    def _report_stop(self, is_stopped: bool, age: float) -> None:
        """Report that a stop began or ended, with the age of the last command [s]."""
        if not is_stopped:
            self.get_logger().info('commands come again', throttle_duration_sec=WARNING_PERIOD)
            return
        self.get_logger().warning(
            f'{self._stop_cause} for {age:.3f} s, stop behaviour is {self._stop_kind}; expected '
            f'one every {self._config.command_timeout} s (command_timeout)',
            throttle_duration_sec=WARNING_PERIOD)
        self._publish_diagnostics()  # a short one would pass between two reports

    # Pushes and services

    def _on_push(self, msg: Vector3) -> None:
        size = math.hypot(msg.x, msg.y, msg.z)
        if not size <= MAX_PUSH:  # a NaN neither
            self._warn_once('push', f'push refused: {size} N s, expected a finite impulse of at '
                            f'most {MAX_PUSH} N s')
            return
        self._walker.push(np.array([msg.x, msg.y, msg.z]))
        self._n_pushes += 1

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        self._seed = self.get_parameter('seed').value
        self._reset()
        response.success, response.message = True, f'seed {self._seed}'
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data != self._is_paused:
            self._is_paused = request.data
            now = time.monotonic()
            if self._is_paused:
                self._paused_at = now
            else:
                # Nothing moved meanwhile: a command is as old as it was when time stopped.
                self._commanded += now - max(self._paused_at, self._commanded)
                self._start_ticking()
                self._step_if_commanded()
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    # Publishing

    def _on_silence(self) -> None:
        """Repeat what was last shown: because nobody listened, or to say that we are alive."""
        self._notice_suspension(time.monotonic())
        self._publish_clock()
        self._repeat_state()

    def _show_state(self) -> None:
        """Publish a new state."""
        effort = np.zeros(len(self._walker.joint_names))
        effort[-len(self._applied):] = self._applied  # the base joints have no motor
        self._state = msg_from_joints(
            self._walker.joint_names, self._walker.qpos, self._walker.qvel, effort, self._time)
        self._is_answered = False
        self._shown = self._unanswered[self._time] = time.monotonic()
        if len(self._unanswered) > MAX_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]  # the oldest
        self._repeat_state()

    def _repeat_state(self) -> None:
        """Publish the state as it was shown."""
        self._states.publish(self._state)
        self._heartbeat.reset()

    def _publish_clock(self) -> None:
        self._clock_publisher.publish(ClockMsg(clock=stamp_from_nanoseconds(self._time)))

    def _facts(self) -> dict[str, Any]:
        return {
            'mode': 'lockstep' if self._config.lockstep else 'real time',
            'seed': self._seed, 'steps': self._n_steps,
            'time': (self._time - self._start_time) / NANOSECONDS,
            'return': self._return, 'distance': self._walker.position - self._start,
            'speed': float(self._walker.qvel[0]), 'fell': self._has_fallen,
            **self._latency.facts(),
            'total_steps': self._n_total_steps, 'missed_deadlines': self._n_missed,
            'refused_commands': self._n_refused, 'clipped_commands': self._n_clipped,
            'stops': self._n_stops, 'stop_cause': self._stop_cause,
            'stopped_steps': self._n_stopped_steps, 'falls': self._n_falls,
            'pushes': self._n_pushes,
            'command_publishers': self.count_publishers(self._commands.topic_name)}

    def _health(self) -> tuple[str, bytes]:
        """Return the state in words, and how bad it is."""
        level = DiagnosticStatus.WARN if self._has_fallen else DiagnosticStatus.OK
        if self._is_over:
            message = 'episode over'
        elif self._is_paused:
            message = 'paused'
        elif not self._is_running:
            message = 'waiting for a command'
        elif self._is_stopped:
            message, level = f'stopped: {self._stop_cause}', DiagnosticStatus.ERROR
        else:
            message = 'running'
        return message, DiagnosticStatus.ERROR if self._conflicts else level

    def _on_diagnostics_timer(self) -> None:
        self._check_publishers()
        self._publish_diagnostics()

    def _check_publishers(self) -> None:
        """Report whoever commands the robot or publishes the time beside another."""
        commands, clock = self._commands.topic_name, self.resolve_topic_name(CLOCK_TOPIC)
        # The graph lists the dead as well: a planner that crashed and came back is no conflict.
        alive = self._senders.alive()
        publishers = listed(self, commands)
        found = {commands: (sorted(set(publishers.values())) if UNKNOWN in alive else
                            [name for gid, name in publishers.items() if gid in alive]),
                 clock: list(listed(self, clock).values())}
        for topic, names in found.items():
            if len(names) > 1 and topic not in self._conflicts:
                self.get_logger().error(
                    f'{len(names)} publishers on {topic}, expected one; end all but one of '
                    f'{", ".join(sorted(names))}, or give each robot a namespace')
        self._conflicts = {topic: names for topic, names in found.items() if len(names) > 1}

    def _publish_diagnostics(self) -> None:
        message, level = self._health()
        self._diagnostics.publish(msg_from_facts(
            self, ROBOT, message, self._facts(), level=level,
            stamp=stamp_from_nanoseconds(self._time)))


def main(argv: list[str] | None = None) -> None:
    """Run the simulated robot."""
    run_node(MujocoBridge, argv)
