# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The viewer comes after the robot, in its session and among sessions."""

from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys

import pytest
from ros_processes import environment

from diffusion_planner_ros.nodes.viewer_node import NICENESS

AUTOGROUP = Path('/proc/self/autogroup')


@contextmanager
def viewer(*words, **settings):
    """Start a viewer, after these words of the command line, and give its process."""
    process = subprocess.Popen(
        [*words, sys.executable, '-m', 'diffusion_planner_ros.nodes', 'viewer', '--ros-args', '-p',
         'port:=0'], stderr=subprocess.PIPE, text=True, env=environment(), **settings)
    try:
        while 'live view: ' not in (line := process.stderr.readline()):
            assert line, 'it has ended'
        yield process
    finally:
        process.kill()  # to end in order takes it long on a busy machine, as it comes last
        process.communicate()


def niceness_of_threads(process):
    return {os.getpriority(os.PRIO_PROCESS, int(task.name))
            for task in Path(f'/proc/{process.pid}/task').iterdir()}


def test_all_its_threads_have_a_low_priority():
    with viewer() as process:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert niceness_of_threads(process) == {max(own, NICENESS)}


def test_a_lower_priority_that_it_was_started_with_stays():
    with viewer('nice', '-n', '15') as process:
        own = os.getpriority(os.PRIO_PROCESS, 0)  # tests before may have lowered it
        assert niceness_of_threads(process) == {min(own + 15, 19)}


def is_shared_among_sessions():
    """Return whether Linux shares the cores among sessions first, and then within each."""
    setting = Path('/proc/sys/kernel/sched_autogroup_enabled')
    return setting.exists() and setting.read_text().strip() == '1'


@pytest.mark.skipif(not is_shared_among_sessions(), reason='cores are shared among processes only')
@pytest.mark.parametrize('is_session', [True, False], ids=['own session', 'session of another'])
def test_a_session_of_its_own_has_a_low_priority_and_that_of_others_stays(is_session):
    before = AUTOGROUP.read_text()  # '/autogroup-7 nice 0', or nothing: that of the first process
    with viewer(start_new_session=is_session) as process:
        found = Path(f'/proc/{process.pid}/autogroup').read_text()
        if is_session:
            assert found.split()[0] not in before.split()
            assert found.endswith(f' nice {NICENESS}\n')
        else:
            assert found == before
    assert AUTOGROUP.read_text() == before
