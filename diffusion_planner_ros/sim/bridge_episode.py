# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a simulated robot does with commands and time, free of ROS."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
import math
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..planning.stop import AUTOMATIC, StopBehaviour, StopConfig, time_limit
from ..robots.robot_folder import DEFAULT_ROBOT
from ..settings import check_settings, document_settings, setting
from .environment import Environment

# A step that begins just before the end of this time lasts one period more, so that the torque of
# a dead planner of walker2d is gone 40 ms after its last command, and within 50 ms if a step comes
# late. A living planner repeats its command at least every 20 ms.
LEAST_COMMAND_TIMEOUT = 0.032  # [s]
REPEAT_PERIOD = 0.02  # [s], longest silence, so that a pause can be told from a dead simulation
SUSPENSION_TIME = 0.03  # [s] without a call, after which the process was suspended
WARNING_PERIOD = 1.0  # [s] that a fault must be gone before it is reported again
MAX_UNANSWERED = 125  # states whose command may still come
MAX_PUSH = 100.0  # [N s]; walker2d weighs 24 kg, half_cheetah 14 kg
EPISODE_GAP = 20_000_000_000  # [ns] of simulated time between two episodes

State = Literal['waiting', 'running', 'paused', 'stopped', 'over']
End = Literal['', 'fall', 'time limit']


@document_settings
@dataclass(frozen=True)
class BridgeConfig:
    """Parameters of the simulated robot, besides those of ``StopConfig``."""

    robot: str = setting(
        DEFAULT_ROBOT, 'Name of the robot, or path of its folder.', read_only=True)
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
        0, "Length of an episode; 0: as the robot's task says.",
        unit='control periods', low=0, high=1_000_000, read_only=True)
    send_goals: bool = setting(
        False, 'Send a robot that knows goals to the one of every episode, on `goal_pose`, as a '
        'user would.', read_only=True)
    command_timeout: float = setting(
        AUTOMATIC, 'Age of the last command, on the wall clock, above which the stop behaviour '
        'takes over, without lockstep; 0: four control periods, at least 0.032 s.', unit='s',
        low=0.0, high=10.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class JointSnapshot:
    """What the joints of the robot do at one moment; every array has one entry for each joint."""

    time: int
    """Simulated [ns]."""
    positions: NDArray
    """[m, rad], shape (J,)."""
    velocities: NDArray
    """[m/s, rad/s], shape (J,)."""
    efforts: NDArray
    """Torque of the control period that led here [N m], shape (J,); 0 where there is no motor."""


class BridgeOutput(Protocol):
    """Takes what a ``BridgeEpisode`` has to publish, in the order in which it happens."""

    def show_clock(self, time: int) -> None:
        """Publish simulated time [ns]."""

    def show_state(self, state: JointSnapshot) -> None:
        """Publish a new state, or the last one again, and call ``repeat`` REPEAT_PERIOD later."""

    def show_reward(self, reward: float, fell: bool, time: int) -> None:
        """Publish the reward of the step that led to the state of this time [ns]."""

    def restart_ticks(self) -> None:
        """Call ``tick`` next one ``wall_period`` from now."""

    def add_latency(self, latency: float) -> None:
        """Record the time from a state to its command [s]."""

    def report_end(self) -> None:
        """Report that the episode is over; ``facts`` tells how."""

    def report_stop(self, is_stopped: bool, age: float) -> None:
        """Report that a stop began or ended; the last command was of this age [s]."""

    def warn(self, text: str) -> None:
        """Report something that was refused."""


@dataclass
class _Counts:
    """What happened since the beginning, over all episodes."""

    total_steps: int = 0
    missed_deadlines: int = 0
    refused_commands: int = 0
    clipped_commands: int = 0
    stops: int = 0
    stopped_steps: int = 0
    falls: int = 0
    pushes: int = 0


class BridgeEpisode:
    """
    Run the episodes of a simulated robot, one after the other, under the commands that come.

    In lockstep the robot takes one step for every state, when the command for it comes. In real
    time it takes a step at every tick, under the latest command, or under the stop behaviour if
    that command is older than ``command_timeout``.

    An episode begins with the first command that answers its initial state, so that a planner that
    is still loading does not make the robot fall. It ends with a fall or after
    ``max_episode_steps``. Simulated time leaps by ``EPISODE_GAP`` from one episode to the next: it
    never goes back, and no two states have the same stamp.

    It has neither a thread nor a timer. Its owner calls ``begin`` once; then ``tick`` in every
    ``wall_period``, unless in lockstep, and ``repeat`` whenever no state was shown for
    ``REPEAT_PERIOD``. All calls come from one thread.

    :param robot: the simulation.
    :param output: is told what happens.
    :param clock: returns steady wall time [s].
    :raises ConfigError: if a gain of ``stop`` has neither one value nor one for each motor.
    """

    def __init__(self, robot: Environment, config: BridgeConfig, stop: StopConfig,
                 output: BridgeOutput, clock: Callable[[], float]) -> None:
        self._robot = robot
        self._config = config
        self._output = output
        self._clock = clock
        self._limit = robot.torque_limit
        self._max_steps = config.max_episode_steps or robot.max_episode_steps
        self._stop = StopBehaviour(stop, robot.actuated_joints, self._limit)
        self._motors = [robot.joint_names.index(joint) for joint in robot.actuated_joints]
        self._period = round(robot.control_period * 1e9)  # [ns]
        self.wall_period = robot.control_period / config.real_time_factor
        """Wall time of a control period [s]."""
        self.command_timeout = time_limit(
            config.command_timeout, self.wall_period, least=LEAST_COMMAND_TIMEOUT)
        """Age above which a command no longer counts [s]."""
        self.seed = config.seed
        """Of the current episode."""
        self._counts = _Counts()
        self._is_paused = False
        self._paused_at = 0.0  # wall time [s]
        self._called = clock()  # when ``tick`` or ``repeat`` was last called [s]
        self._stop_cause = ''  # of the current or else the latest stop
        self._fault_times: dict[str, float] = {}  # when each fault was last seen [s]
        self._refused = -math.inf  # when a command was last refused [s]
        self._prepare(0)

    @property
    def time(self) -> int:
        """Simulated time [ns]."""
        return self._state.time

    @property
    def start_time(self) -> int:
        """Simulated time at which the episode began [ns]."""
        return self._start_time

    @property
    def stop_cause(self) -> str:
        """Why the current or else the latest stop began; '' before the first one."""
        return self._stop_cause

    @property
    def has_fallen(self) -> bool:
        """Whether the episode ended in a fall."""
        return self._end == 'fall'

    @property
    def state(self) -> State:
        """Whether the robot moves, or else why it does not."""
        if self._end:
            return 'over'
        if self._is_paused:
            return 'paused'
        if not self._is_running:
            return 'waiting'
        return 'stopped' if self._is_stopped else 'running'

    def facts(self) -> dict[str, Any]:
        """Return state, progress, end and counts."""
        return {
            'mode': 'lockstep' if self._config.lockstep else 'real time',
            'deadline_ms': math.nan if self._config.lockstep else 1e3 * self.wall_period,
            'state': self.state, 'episode_end': self._end,
            'seed': self.seed, 'steps': self._n_steps,
            'time': (self.time - self._start_time) / 1e9,
            'return': self._return, 'distance': self._robot.position - self._start_position,
            'speed': float(self._robot.qvel[self._robot.forward]), 'fell': self.has_fallen,
            'stop_cause': self._stop_cause, **asdict(self._counts)}

    # Episodes

    def begin(self) -> None:
        """Show the initial state of the first episode."""
        # Here the clock comes before the state, which would otherwise be far in the future.
        self._output.show_clock(self.time)
        self._output.show_state(self._state)

    def reset(self, seed: int) -> None:
        """Begin another episode; a pause goes on."""
        self.seed = seed
        self._prepare(self.time + EPISODE_GAP)
        self.begin()

    def _prepare(self, start: int) -> None:
        """Put the robot at the initial state of the seed, at this time [ns]."""
        self._robot.reset(self.seed)
        self._stop.release()
        self._torque = np.zeros(len(self._motors))  # the last command [N m]
        self._held: NDArray | None = None  # a command of lockstep that has not acted yet
        self._commanded = -math.inf  # when the last command came [s]
        self._asked = -math.inf  # when a state was shown again after a suspension [s]
        self._unanswered: dict[int, float] = {}  # when such a state was first shown [s], by stamp
        self._start_time = start
        self._start_position = self._robot.position
        self._n_steps = 0
        self._return = 0.0
        self._end: End = ''
        self._is_running = False  # whether the first command of the episode came
        self._is_stopped = False
        self._observe(start, self._torque)

    def _observe(self, time: int, applied: NDArray) -> None:
        """Take a new state, to which these torques led [N m]."""
        efforts = np.zeros(len(self._robot.joint_names))
        efforts[self._motors] = applied
        self._state = JointSnapshot(time, self._robot.qpos, self._robot.qvel, efforts)
        self._is_answered = False
        self._shown = self._unanswered[time] = self._clock()
        if len(self._unanswered) > MAX_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]  # the oldest

    def _step(self, torque: NDArray) -> None:
        """Take one control period and show its state, or end the episode."""
        if not self._config.lockstep and not self._is_answered:
            self._counts.missed_deadlines += 1
        _, reward, fell = self._robot.step(torque)
        self._return += reward
        self._n_steps += 1
        self._counts.total_steps += 1
        if fell:
            self._end = 'fall'
        elif self._n_steps >= self._max_steps:
            self._end = 'time limit'
        self._observe(self._start_time + self._n_steps * self._period, torque)
        # The last state is shown as well, although no command follows: it tells how it ended.
        self._output.show_state(self._state)
        self._output.show_clock(self.time)
        self._output.show_reward(reward, fell, self.time)
        if not self._end:
            return
        self._counts.falls += fell
        self._output.report_end()
        if self._config.auto_reset:
            self.reset(self.seed + 1)

    # Commands

    def command(self, torque: NDArray, answered: int | None) -> None:
        """
        Take a command.

        It is ignored if the episode is over, or if it is meant for a state of another episode; in
        lockstep also if it is not the first one for the current state.

        :param torque: [N m], shape (A,); it is limited to what the motors can do, and refused if
            it has another shape or a number that is not finite.
        :param answered: stamp of the state that it is for [ns], None if it does not say.
        """
        if (fault := self._fault_of(torque)) is not None:
            self._counts.refused_commands += 1
            self._refused = self._clock()
            kind, found = fault
            self._warn_once(kind, f'command refused: {found}, expected {len(self._motors)} '
                            'finite torques [N m]')
            return
        is_for_now = answered is None or answered == self.time
        if answered is not None and not is_for_now and (
                self._config.lockstep or not self._is_running or answered > self.time):
            return
        if self._end or (self._config.lockstep and self._is_answered):
            return
        self._torque = np.clip(torque, -self._limit, self._limit)
        self._counts.clipped_commands += not np.array_equal(self._torque, torque)
        self._commanded = self._clock()
        self._is_answered = self._is_answered or is_for_now
        # In real time a command may come after the next state: its latency counts as well.
        shown = self._unanswered.pop(self.time if answered is None else answered, None)
        if shown is not None and self._is_running:  # the first state waited for a planner
            self._output.add_latency(self._commanded - shown)
        if not self._is_running:
            self._is_running = True
            self._restart_ticks()
        if self._config.lockstep:
            self._held = self._torque
            self._step_if_commanded()

    def _fault_of(self, torque: NDArray) -> tuple[str, str] | None:
        """Return the kind of fault of a command and what was found, None if there is none."""
        if torque.shape != self._torque.shape:
            return 'command length', f'{torque.size} numbers'
        return None if np.isfinite(torque).all() else ('command numbers', str(torque.tolist()))

    def _warn_once(self, kind: str, text: str) -> None:
        """Warn of a fault, and again only once it was gone for ``WARNING_PERIOD``."""
        now = self._clock()
        if now - self._fault_times.get(kind, -math.inf) > WARNING_PERIOD:
            self._output.warn(text)
        self._fault_times[kind] = now

    def _step_if_commanded(self) -> None:
        """Take one control period in lockstep, unless paused."""
        if self._held is None or self._is_paused:
            return
        torque, self._held = self._held, None
        self._step(torque)

    def push(self, impulse: NDArray) -> None:
        """
        Push the robot during the next control period.

        :param impulse: [N s], shape (3,), in the world frame; it is refused if it is larger than
            ``MAX_PUSH`` or not finite.
        """
        size = math.hypot(*impulse)
        if not size <= MAX_PUSH:  # true of NaN, too
            self._warn_once('push', f'push refused: {size} N s, expected a finite impulse of at '
                            f'most {MAX_PUSH} N s')
            return
        self._robot.push(impulse)
        self._counts.pushes += 1

    # Wall time

    def pause(self, is_paused: bool) -> None:
        """Stop simulated time, or let it go on."""
        if is_paused == self._is_paused:
            return
        self._is_paused = is_paused
        now = self._clock()
        if is_paused:
            self._paused_at = now
            return
        # Nothing moved meanwhile: a command is as old as it was when time stopped.
        self._commanded += now - max(self._paused_at, self._commanded)
        self._restart_ticks()
        self._step_if_commanded()

    def repeat(self) -> None:
        """Show clock and state again, for late subscribers, and as a sign of life."""
        self._notice_suspension(self._clock())
        self._output.show_clock(self.time)
        self._output.show_state(self._state)

    def tick(self) -> None:
        """Take one control period under the latest command, or under the stop behaviour."""
        now = self._clock()
        self._notice_suspension(now)
        if not self._is_running or self._end or self._is_paused:
            return
        if self._commanded < self._asked and now - self._asked <= self.command_timeout:
            return
        if now - self._shown < 0.5 * self.wall_period:
            # After a late tick a timer that keeps to its grid calls again too soon: a planner
            # would have no time to answer.
            self._restart_ticks()
            return
        was_stopped, age = self._is_stopped, now - self._commanded
        torque = self._current_torque(age)
        is_stopped = self._is_stopped
        self._step(torque)
        if is_stopped != was_stopped:  # after the step: the first line of a log takes 30 ms
            self._output.report_stop(is_stopped, age)

    def _restart_ticks(self) -> None:
        if not self._config.lockstep:
            self._output.restart_ticks()

    def _notice_suspension(self, now: float) -> None:
        """
        Show the state again if the last command grew too old while this process did not run.

        In that time no command could reach us, so the planner need not be dead. No step is taken
        until it answers, or until another ``command_timeout`` is over.
        """
        suspended, self._called = now - self._called, now
        age = now - self._commanded
        if suspended > SUSPENSION_TIME and age - suspended <= self.command_timeout < age:
            self._asked = now
            self._output.show_state(self._state)

    def _current_torque(self, age: float) -> NDArray:
        """
        Return the last command, of this age [s], or the stop torque if it is too old.

        The step that applies a torque checks its age by itself. A watchdog of its own could die
        while the torque goes on.
        """
        if age <= self.command_timeout:
            if self._is_stopped:
                self._is_stopped = False
                self._stop.release()
            return self._torque
        if not self._is_stopped:
            self._is_stopped = True
            self._counts.stops += 1
            was_refused = self._refused > self._commanded
            self._stop_cause = 'commands refused' if was_refused else 'no command'
        self._counts.stopped_steps += 1
        joints = self._robot.joint_names
        return self._stop.torque(dict(zip(joints, self._state.positions, strict=True)),
                                 dict(zip(joints, self._state.velocities, strict=True)))
