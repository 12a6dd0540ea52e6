# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain that no other test run on this machine uses."""

import fcntl
from functools import cache
import os
from pathlib import Path
import tempfile

DOMAINS = range(1, 101)  # below the ports that Linux gives to anyone who asks for one


@cache
def taken_domain() -> tuple[int, int]:
    """
    Take a free domain for the life of this process.

    An exclusive lock of a file marks it as taken. Whoever inherits the file's descriptor holds the
    lock too, so that a node that outlives its test keeps the domain to itself.

    :return: the domain, and the descriptor of the locked file.
    :raises RuntimeError: if there is no free one.
    """
    first = os.getpid() % len(DOMAINS)  # so that one is not taken again at once
    for domain in (*DOMAINS[first:], *DOMAINS[:first]):
        file = Path(tempfile.gettempdir(), f'ros_domain_{domain}.lock')
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError:  # another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return domain, lock
    raise RuntimeError(f'ROS domains {DOMAINS[0]} to {DOMAINS[-1]} are all taken, expected a free '
                       f'one; end other test runs (locks: {file.parent})')
