# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
How messages travel between processes of one machine: without Fast DDS's shared memory.

It is not for who has to be in time. A process that is killed while it holds one of its locks
blocks all that talk to it for seconds. And whoever learns of a new process waits, with its
discovery locked, until that one has opened its shared memory: a robot that hears 125 commands in a
second then heard none for up to 0.3 s, and stopped, because somebody began to look at a topic.
"""

TRANSPORTS, UDP = 'FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4'
