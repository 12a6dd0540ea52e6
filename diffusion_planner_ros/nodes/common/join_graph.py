# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Join the ROS graph with what is asked of the middleware."""

import os

import rclpy
from rclpy.signals import SignalHandlerOptions

from ...messages.transports import TRANSPORTS, UDP
from ...share import share_file

# Where discovery is LOCALHOST, rmw_fastrtps has its own transports, shared memory among them, and
# asks neither for those of a profile nor for TRANSPORTS. So it is told nothing, and the profile
# keeps to this machine.
RANGE, STATIC_PEERS = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_STATIC_PEERS'
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
    _choose_transports()
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)


def _choose_transports() -> None:
    everywhere, here = (str(share_file(f'config/{name}.xml'))
                        for name in ('fastdds', 'fastdds_localhost'))
    # What a process above this one has set for itself is no choice of the user.
    is_chosen = (os.environ.setdefault(PROFILES, everywhere) not in (everywhere, here)
                 or os.environ.setdefault(TRANSPORTS, UDP) != UDP)
    if (os.environ.get(RANGE) == 'LOCALHOST' and not is_chosen
            and not os.environ.get(STATIC_PEERS)
            and rclpy.get_rmw_implementation_identifier().startswith('rmw_fastrtps')):
        os.environ |= {PROFILES: here, RANGE: 'SYSTEM_DEFAULT'}
