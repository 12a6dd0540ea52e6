# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Priority and locked memory: what Linux really does, and what is said where it refuses."""

import ctypes
import os
from pathlib import Path
import resource
import subprocess
import sys

import pytest
from ros_processes import observer, running, spin_until

PRIORITY = 10
PR_CAPBSET_DROP, CAP_IPC_LOCK, CAP_SYS_NICE = 24, 14, 23  # linux/prctl.h, linux/capability.h
SETTINGS = {'realtime_priority': PRIORITY, 'lock_memory': True}
SCRIPT = """
import os
from diffusion_planner_ros.nodes.threads.scheduling import schedule, SchedulingConfig
schedule(SchedulingConfig(realtime_priority=10, lock_memory=True), [os.getpid()], print)
print('goes on', os.sched_getscheduler(0) == os.SCHED_OTHER)
"""


def is_allowed(limit, capability):
    """Return whether this process and those that it starts may do something."""
    effective = next(line for line in Path('/proc/self/status').read_text().splitlines()
                     if line.startswith('CapEff'))
    has_capability = int(effective.split()[1], 16) >> capability & 1
    return bool(has_capability) or resource.getrlimit(limit)[0] == resource.RLIM_INFINITY


def priorities(process):
    """Return how many threads have each policy and priority."""
    found = []
    for task in Path(f'/proc/{process.pid}/task').iterdir():
        thread = int(task.name)
        found.append((os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority))
    return {kind: found.count(kind) for kind in found}


def locked(process):
    """Return how much memory is locked [kB]."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    return int(next(line for line in status.splitlines() if line.startswith('VmLck')).split()[1])


@pytest.mark.parametrize('name', ['planner', 'mujoco_bridge'])
def test_a_node_gets_what_the_system_allows_and_says_what_it_refuses(tmp_path, name):
    with observer() as node, running(name, tmp_path, **SETTINGS) as started:
        # Memory is locked last.
        spin_until(node, lambda: ('lock_memory is true' in started.output
                                  or locked(started.process)), 'lock', started)
        may_hurry = is_allowed(resource.RLIMIT_RTPRIO, CAP_SYS_NICE)
        may_lock = is_allowed(resource.RLIMIT_MEMLOCK, CAP_IPC_LOCK)
        assert ('realtime_priority is 10, but the system refuses' in started.output) != may_hurry
        assert ('lock_memory is true, but the system refuses' in started.output) != may_lock
        found = priorities(started.process)
        if may_hurry:
            assert found[os.SCHED_FIFO, PRIORITY + 1] == 2  # the control threads
            assert found.keys() == {(os.SCHED_FIFO, PRIORITY), (os.SCHED_FIFO, PRIORITY + 1)}
        else:
            assert found.keys() == {(os.SCHED_OTHER, 0)}
        assert (locked(started.process) > 0) == may_lock


def give_up_rights():
    """Let the program that follows have neither right, as a user without entries in limits."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_SYS_NICE, CAP_IPC_LOCK):
        libc.prctl(PR_CAPBSET_DROP, capability)
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))


def test_where_the_system_refuses_one_line_each_names_limit_and_remedy_and_it_goes_on():
    done = subprocess.run([sys.executable, '-c', SCRIPT], preexec_fn=give_up_rights, text=True,
                          capture_output=True, check=True)
    priority, memory, end = done.stdout.splitlines()
    assert priority == (
        'realtime_priority is 10, but the system refuses it: Operation not permitted (ulimit -r '
        'is 0, expected at least 11); add "USER - rtprio 11" to /etc/security/limits.conf and log '
        'in again; going on without it')
    assert memory.startswith('lock_memory is true, but the system refuses it: ')
    assert '(ulimit -l is 64, expected unlimited); add "USER - memlock unlimited"' in memory
    assert end == 'goes on True'


def test_by_default_nothing_is_asked_of_the_system(tmp_path):
    with observer() as node, running('mujoco_bridge', tmp_path) as bridge:
        spin_until(node, lambda: node.count_publishers('joint_states'), 'start', bridge)
        assert priorities(bridge.process).keys() == {(os.SCHED_OTHER, 0)}
        assert locked(bridge.process) == 0
