# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Join the ROS graph with what is asked of the middleware."""

import os

import rclpy
from rclpy.signals import SignalHandlerOptions

from ...share import share_file

# If a process is killed while it holds a lock of Fast DDS's shared memory, all processes that talk
# to it block for seconds, the robot's driver too. (rmw_fastrtps ignores this variable if discovery
# is LOCALHOST.)
TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
# Fast DDS 3 (Kilted) asks the process that has a topic for the topic's type, unless it knows the
# type already, and connects the two when the answer comes. On a busy machine an answer may get
# lost; then they are never connected, and a planner hears joint states, but no clock, for ever.
# ROS needs no such answers: it compares types by their names. Fast DDS 2 (Jazzy) asks nobody,
# unless it is told to.
PROFILES = 'FASTDDS_DEFAULT_PROFILES_FILE'


def join_graph(argv: list[str] | None = None) -> None:
    """
    Initialise rclpy, with settings of Fast DDS that its user has not made himself.

    Signals stay as they are: rclpy's own handlers end the context at once, and with it every
    publisher.

    :param argv: arguments of ROS; those of the process by default.
    """
    os.environ.setdefault(TRANSPORTS, 'UDPv4')
    os.environ.setdefault(PROFILES, str(share_file('config/fastdds.xml')))
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
