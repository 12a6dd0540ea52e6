# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The walking speed that a user commands on topic ``cmd_vel``, as ROS users do."""

from dataclasses import dataclass
import math

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from ...errors import ConfigError
from ...messages.names import shortened
from ...messages.stamps import NANOSECONDS, nanoseconds_from_stamp
from ...planning.planner import Planner
from ...settings import check_settings, document_settings, setting
from ..common.topics import CMD_VEL, PLANNER

WARNING_PERIOD = 1.0  # [s], shortest time between two warnings of one kind
OTHERS = ('linear.y', 'linear.z', 'angular.x', 'angular.y', 'angular.z')


@document_settings
@dataclass(frozen=True)
class SpeedCommandConfig:
    """How commanded speeds are taken."""

    cmd_vel_timeout: float = setting(
        0.5, 'Age above which a command counts as zero.', unit='s', low=0.01, high=3600.0,
        read_only=True)
    use_stamped_vel: bool = setting(
        False, "Whether topic 'cmd_vel' has geometry_msgs/TwistStamped in place of Twist.",
        read_only=True)
    cmd_vel_frame: str = setting(
        '', 'Frame in which stamped commands must be; if empty, any frame is taken for that of '
        'the robot.', read_only=True)
    cmd_vel_limits: tuple[float, ...] = setting(
        (-100.0, 100.0), 'Slowest and fastest speed that is followed; what is commanded beyond '
        'them is cut.', unit='m/s', low=-100.0, high=100.0, read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)
        if len(self.cmd_vel_limits) != 2 or self.cmd_vel_limits[0] > self.cmd_vel_limits[1]:
            raise ConfigError(f'cmd_vel_limits is {self.cmd_vel_limits}, expected two speeds, the '
                              'slower one first')


class SpeedCommand:
    """
    Subscribe to the commanded speed, and let planners follow it.

    Guide ``speed`` prefers it; a denoiser that can be told a speed is told it. Until the first
    command, a planner keeps its ``target_speed``. After it, no command means zero:
    whoever commanded is gone. The age of a command counts from its stamp; without one, from when
    it came.

    :param node: gets the subscription.
    :param group: callback group of the subscription; the node's default one if there is none.
    """

    def __init__(self, node: Node, config: SpeedCommandConfig,
                 group: CallbackGroup | None = None) -> None:
        self._node = node
        self._config = config
        self._clock = node.get_clock()
        self._timeout = round(config.cmd_vel_timeout * NANOSECONDS)
        self._latest: tuple[int, float] | None = None  # stamp [ns] and speed [m/s]
        self._has_commanded = False
        self._unfit: tuple[str, ...] | None = None  # guides that were warned of
        is_stamped = config.use_stamped_vel
        self._subscription = PLANNER.subscription(
            node, CMD_VEL, self.on_stamped if is_stamped else self.on_twist, group=group,
            kind=TwistStamped if is_stamped else None)

    @property
    def speed(self) -> float | None:
        """Speed that is to be followed now [m/s]; None before the first command."""
        if not self._has_commanded:
            return None
        if self._latest is None:
            return 0.0
        stamp, speed = self._latest
        return speed if self._clock.now().nanoseconds - stamp <= self._timeout else 0.0

    def steer(self, planner: Planner) -> None:
        """Let a planner follow the command from its next plan on; one for every state."""
        speed = self.speed
        if speed is None:
            return
        if planner.follows_speed:
            planner.aim_speed(speed)
        elif self._unfit != (guides := planner.config.guides):
            self._unfit = guides
            self._node.get_logger().warning(
                f"commands on '{CMD_VEL.name}' have no effect: guides is {', '.join(guides)}, "
                "expected 'speed' among them, or a bundle that is told a speed with preset "
                "'commanded'")

    def forget(self) -> None:
        """Drop the command, because time jumped: it counts as zero until the next one."""
        self._latest = None

    def destroy(self) -> None:
        """Remove the subscription."""
        self._node.destroy_subscription(self._subscription)

    def on_twist(self, msg: Twist) -> None:
        """Take a command without a stamp; the executor calls this."""
        self._take(msg, self._clock.now().nanoseconds)

    def on_stamped(self, msg: TwistStamped) -> None:
        """Take a command with stamp and frame; the executor calls this."""
        now = self._clock.now().nanoseconds
        stamp = nanoseconds_from_stamp(msg.header.stamp) or now  # teleoperation often sends none
        frame, expected = msg.header.frame_id, self._config.cmd_vel_frame
        if expected and frame != expected:
            self._refuse(f"its frame is '{shortened([frame])}', expected '{expected}' "
                         '(cmd_vel_frame)')
        elif abs(age := now - stamp) > self._timeout:
            distance = f'{abs(age) / NANOSECONDS:.3f} s {"old" if age > 0 else "in the future"}'
            self._refuse(f'it is {distance}, expected at most {self._config.cmd_vel_timeout} s '
                         '(cmd_vel_timeout); do sender and planner have the same clock, and the '
                         'same use_sim_time?')
        else:
            self._take(msg.twist, stamp)

    def _take(self, twist: Twist, stamp: int) -> None:
        speed = twist.linear.x
        if not math.isfinite(speed):
            self._refuse(f'linear.x is {speed}, expected a finite number [m/s]')
            return
        ignored = [name for name in OTHERS if _entry(twist, name) != 0]
        if ignored:
            self._node.get_logger().warning(
                f"of a command on '{CMD_VEL.name}', {', '.join(ignored)} is ignored: expected 0, "
                'only linear.x is followed', throttle_duration_sec=WARNING_PERIOD)
        low, high = self._config.cmd_vel_limits
        self._latest = stamp, min(max(speed, low), high)
        self._has_commanded = True

    def _refuse(self, reason: str) -> None:
        self._node.get_logger().warning(f"command on '{CMD_VEL.name}' refused: {reason}",
                                        throttle_duration_sec=WARNING_PERIOD)


def _entry(twist: Twist, name: str) -> float:
    part, axis = name.split('.')
    return getattr(getattr(twist, part), axis)
