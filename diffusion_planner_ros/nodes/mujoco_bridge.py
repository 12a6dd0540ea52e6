"""The simulated robot: Walker2D in MuJoCo as a ROS 2 node."""

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from ..knobs import check_knobs, document_knobs, knob
from ..sim.walker2d import MAX_EPISODE_STEPS, Walker2D
from .conversions import msg_from_joints, NANOSECONDS, stamp_from_nanoseconds, torque_from_msg
from .diagnostics import msg_from_facts
from .latency import LatencyRecorder
from .parameters import declare
from .running import run_node

REPEAT_PERIOD = 0.1  # [s], between repetitions of a state that nobody answered
DIAGNOSTICS_PERIOD = 1.0  # [s]
WARNING_PERIOD = 1.0  # [s]


@document_knobs
@dataclass(frozen=True)
class BridgeConfig:
    """Parameters of the simulated robot."""

    lockstep: bool = knob(False, 'Wait for the command of every state before the next step; '
                          'otherwise step on the wall clock.', read_only=True)
    real_time_factor: float = knob(1.0, 'Simulated over wall time, without lockstep.',
                                   low=0.01, high=10.0, read_only=True)
    seed: int = knob(0, 'Seed of the initial state of the next reset.', low=0, high=2**31 - 1)
    auto_reset: bool = knob(True, 'After the end of an episode, start the next one with the '
                            'following seed.', read_only=True)
    max_episode_steps: int = knob(MAX_EPISODE_STEPS, 'Length of an episode.',
                                  unit='control periods', low=1, high=1_000_000, read_only=True)
    command_timeout: float = knob(0.05, 'Age of the last command above which the torque is zero, '
                                  'without lockstep.', unit='s', low=0.001, high=10.0,
                                  read_only=True)

    def __post_init__(self) -> None:
        check_knobs(self)


class MujocoBridge(Node):
    """
    Publish joint states and the clock, apply torques.

    An episode begins with the first command that answers its initial state, so that a planner that
    is still loading does not make the robot fall. Its end, a fall or ``max_episode_steps``, is
    published at once on ``/diagnostics``.
    """

    def __init__(self) -> None:
        super().__init__('mujoco_bridge')
        self._config = declare(self, BridgeConfig)
        self._seed = self._config.seed
        self._walker = Walker2D()
        self._period = round(self._walker.control_period * NANOSECONDS)
        self._is_paused = False
        self._latency = LatencyRecorder()
        self._n_missed = self._n_refused = self._n_timed_out = self._n_total_steps = 0

        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._states = self.create_publisher(JointState, 'joint_states', reliable)
        self._clock_publisher = self.create_publisher(ClockMsg, '/clock', reliable)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_subscription(Float64MultiArray, 'effort_controller/commands',
                                 self._on_command, reliable)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(SetBool, '~/pause', self._on_pause)
        self._wall = wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(REPEAT_PERIOD, self._repeat_state, clock=wall)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=wall)
        if not self._config.lockstep:
            self._ticks = self.create_timer(
                self._walker.control_period / self._config.real_time_factor, self._tick,
                clock=wall)
        self._reset()

    @property
    def is_done(self) -> bool:
        """Never: the simulation runs until it is told to stop."""
        return False

    def close(self) -> None:
        """Nothing to stop: the simulation ends with the node."""

    def _now(self) -> float:
        """Wall time [s]."""
        return self._wall.now().nanoseconds / NANOSECONDS

    # Episodes

    def _reset(self) -> None:
        """Put the robot at the initial state of the seed and the clock at zero."""
        self._walker.reset(self._seed)
        self._torque = np.zeros(len(self._walker.gear))  # the last command [N m]
        self._applied = self._torque  # what the joints last felt [N m]
        self._time = 0  # simulated [ns]
        self._n_steps = 0
        self._return = 0.0
        self._start = self._walker.position
        self._has_fallen = self._is_over = False
        self._is_answered = False  # whether the latest state got its command
        self._unanswered: dict[int, float] = {}  # when each such state was shown [s], by stamp
        self._is_running = False  # whether the episode's first command came
        self._held: NDArray | None = None  # a command that came while paused, in lockstep
        # The clock goes first here, and only here: a planner has to notice that time jumped back
        # before it is shown a state from the past.
        self._publish_clock()
        self._publish_state()

    def _step(self, torque: NDArray) -> None:
        """Take one control period and show its state, or end the episode."""
        if not self._config.lockstep and not self._is_answered:
            self._n_missed += 1
        self._applied = torque
        _, reward, self._has_fallen = self._walker.step(torque)
        self._return += reward
        self._n_steps += 1
        self._n_total_steps += 1
        self._time = self._n_steps * self._period
        self._is_over = self._has_fallen or self._n_steps >= self._config.max_episode_steps
        if not self._is_over:
            self._publish_state()
            self._publish_clock()
            return
        self._publish_diagnostics()
        if self._config.auto_reset:
            self._seed += 1
            self._reset()

    # Commands

    def _on_command(self, msg: Float64MultiArray) -> None:
        torque, answered = torque_from_msg(msg)
        if torque.shape != self._torque.shape or not np.isfinite(torque).all():
            self._n_refused += 1
            self.get_logger().warning(
                f'command refused: {list(msg.data)}, expected {len(self._torque)} finite torques '
                '[N m]', throttle_duration_sec=WARNING_PERIOD)
            return
        is_answer = answered in (None, self._time)
        if self._is_over or (not is_answer and (self._config.lockstep or not self._is_running)):
            return  # meant for a state that is gone
        self._torque = np.clip(torque, -self._walker.gear, self._walker.gear)
        now = self._now()
        self._commanded = now
        self._is_answered = self._is_answered or is_answer
        # A late answer counts as well, with the time that it took.
        shown = self._unanswered.pop(self._time if answered is None else answered, None)
        if shown is not None:
            self._latency.add(now - shown)
        if not self._is_running:
            self._is_running = True
            self._start_ticking()
        if self._config.lockstep:
            self._held = self._torque
            self._step_if_commanded()

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
        if self._is_running and not (self._is_over or self._is_paused):
            self._step(self._current_torque())

    def _current_torque(self) -> NDArray:
        """Return the last command, or zero if it is too old."""
        age = self._now() - self._commanded
        if age <= self._config.command_timeout:
            return self._torque
        self._n_timed_out += 1
        self.get_logger().warning(f'no command for {age:.3f} s, torque is zero',
                                  throttle_duration_sec=WARNING_PERIOD)
        return np.zeros_like(self._torque)

    # Services

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        self._seed = self.get_parameter('seed').value
        self._reset()
        response.success, response.message = True, f'seed {self._seed}'
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._is_paused = request.data
        self._commanded = self._now()  # the time in between did not happen
        self._start_ticking()
        if not self._is_paused:
            self._step_if_commanded()
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    # Publishing

    def _repeat_state(self) -> None:
        """Show the state again: its first showing may have had no listener."""
        is_waiting = self._config.lockstep or not self._is_running
        if is_waiting and not (self._is_answered or self._is_over or self._is_paused):
            self._publish_clock()
            self._publish_state()

    def _publish_state(self) -> None:
        effort = np.zeros(len(self._walker.joint_names))
        effort[-len(self._applied):] = self._applied  # the base joints have no motor
        self._is_answered = False
        self._unanswered[self._time] = self._now()
        self._states.publish(msg_from_joints(
            self._walker.joint_names, self._walker.qpos, self._walker.qvel, effort, self._time))

    def _publish_clock(self) -> None:
        self._clock_publisher.publish(ClockMsg(clock=stamp_from_nanoseconds(self._time)))

    def _facts(self) -> dict[str, Any]:
        return {
            'mode': 'lockstep' if self._config.lockstep else 'real time',
            'seed': self._seed, 'steps': self._n_steps, 'time': self._time / NANOSECONDS,
            'return': self._return, 'distance': self._walker.position - self._start,
            'speed': float(self._walker.qvel[0]), 'fell': self._has_fallen,
            **self._latency.facts(),
            'total_steps': self._n_total_steps, 'missed_deadlines': self._n_missed,
            'refused_commands': self._n_refused, 'timed_out_commands': self._n_timed_out}

    def _publish_diagnostics(self) -> None:
        if self._is_over:
            message = 'episode over'
        elif self._is_paused:
            message = 'paused'
        else:
            message = 'running' if self._is_running else 'waiting for a command'
        self._diagnostics.publish(msg_from_facts(
            'mujoco_bridge', message, self._facts(), is_ok=not self._has_fallen,
            stamp=stamp_from_nanoseconds(self._time)))


def main(argv: list[str] | None = None) -> None:
    """Run the simulated robot."""
    run_node(MujocoBridge, argv)


if __name__ == '__main__':
    main()
