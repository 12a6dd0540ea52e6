# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Test runs side by side never meet in one ROS domain."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
import signal
import subprocess
import sys

from paths import SOURCE
from ros_domain import DOMAINS, taken_domain

TAKE = """
import os, subprocess, sys
sys.path.insert(0, {support!r})
os.getpid = lambda: {pid}
from ros_domain import taken_domain
domain, lock = taken_domain()
node = subprocess.Popen(['sleep', '60'], pass_fds=[lock], stdout=subprocess.DEVNULL)
print(domain, node.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def run_with_a_node(pid: int) -> Iterator[tuple[subprocess.Popen, int, int]]:
    """Start a test run of this process id and its node; give the domain and the node's id."""
    code = TAKE.format(support=str(SOURCE / 'test' / 'support'), pid=pid)
    with subprocess.Popen([sys.executable, '-c', code], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as run:
        domain, node = map(int, run.stdout.readline().split())
        try:
            yield run, domain, node
        finally:
            os.kill(node, signal.SIGKILL)


def test_no_run_takes_the_domain_of_another_one_or_of_a_node_that_outlives_its_run():
    with run_with_a_node(7) as (first, domain, _), run_with_a_node(7) as (_, second, _):
        assert second != domain
        first.kill()
        first.wait()
        with run_with_a_node(7) as (_, third, _):
            assert third not in (domain, second)
        assert {domain, second, third, taken_domain()[0]} <= set(DOMAINS)
