# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM at any moment of a process: quiet, and never without effect."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import pytest
from ros_processes import environment, running

from diffusion_planner_ros.nodes.common.stop_signals import GRACE

TIME_LIMIT = 20.0  # [s]
MOMENTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)  # [s] after a process is ready for signals
N_AT_ONCE = 2  # processes that start side by side, without discovering each other
NODES = [sys.executable, '-m', 'diffusion_planner_ros.nodes']
STUBBORN = """
import threading, time
from rclpy.node import Node
from diffusion_planner_ros.nodes.common.run_node import run_node

class Stubborn(Node):
    is_done = False

    def __init__(self):
        super().__init__('stubborn')
        print('building', flush=True)
        {build}
        print('built', flush=True)

    def stop(self):
        print('stop', flush=True)
        self.is_done = True

    def close(self):
        print('close', flush=True)
        {close}

run_node(Stubborn)
"""


@contextmanager
def process(command, **variables):
    started = subprocess.Popen(
        command, env={**environment(), **variables}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
        started.communicate()


def stubborn(build='pass', close='pass'):
    return process([sys.executable, '-c', STUBBORN.format(build=build, close=close)])


def wait_for(condition, what):
    deadline = time.monotonic() + TIME_LIMIT
    while not condition():
        assert time.monotonic() < deadline, f'{what} did not happen'
        time.sleep(0.002)


def handles(pid, number):
    """Whether a process has a handler of its own for a signal."""
    caught = re.search(r'SigCgt:\s*(\w+)', Path(f'/proc/{pid}/status').read_text()).group(1)
    return bool(int(caught, 16) & 1 << (number - 1))


def has_loaded(pid, library):
    return library in Path(f'/proc/{pid}/maps').read_text()


def read_until(stream, line):
    for found in stream:
        if found.strip() == line:
            return
    pytest.fail(f"'{line}' was not printed")


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize('node', ['planner', 'mujoco_bridge', 'recorder', 'mcap_recorder'])
def test_a_signal_while_a_node_starts_ends_it_quietly(node, number, tmp_path):
    def end_at(moment):
        arguments = ['-p', f'file:={tmp_path}/{moment}.hdf5', '--log-level', 'warn']
        with process([*NODES, node, '--ros-args', *arguments],
                     ROS_AUTOMATIC_DISCOVERY_RANGE='OFF') as started:
            wait_for(lambda: handles(started.pid, signal.SIGTERM), 'a handler')
            time.sleep(moment)
            os.killpg(started.pid, number)  # as Ctrl-C in a terminal: children get it, too
            output, _ = started.communicate(timeout=TIME_LIMIT)
            return moment, started.returncode, output

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        ends = list(pool.map(end_at, MOMENTS))
    assert ends == [(moment, 0, '') for moment in MOMENTS]


def test_a_node_that_is_not_there_is_refused_and_the_others_are_named():
    with process([*NODES, 'planer']) as started:
        output, _ = started.communicate(timeout=TIME_LIMIT)
    assert started.returncode == 1
    assert output == ("node is 'planer', expected one of planner, mujoco_bridge, recorder, "
                      'mcap_recorder, viewer\n')


def test_the_simulated_robot_runs_without_a_library_for_windows(tmp_path):
    with running('mujoco_bridge', tmp_path) as bridge:
        pid = bridge.process.pid
        wait_for(lambda: has_loaded(pid, 'libmujoco'), 'the import of mujoco')
        wait_for(lambda: has_loaded(pid, 'libfastdds'), 'the start of the node')
        assert not has_loaded(pid, 'glfw')


def test_ctrl_c_while_the_command_line_starts_ends_it_with_one_line():
    def end_at(moment):
        with process([sys.executable, '-m', 'diffusion_planner_ros.commands', 'info']) as started:
            wait_for(lambda: has_loaded(started.pid, '_multiarray_umath'), 'an import')
            time.sleep(moment)
            os.killpg(started.pid, signal.SIGINT)
            return started.communicate(timeout=TIME_LIMIT)[0]

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        for output in pool.map(end_at, MOMENTS[:4]):
            assert 'Traceback' not in output


def test_a_signal_while_a_node_is_built_stops_it_as_soon_as_it_is_there():
    with stubborn(build='time.sleep(1.0)') as started:
        read_until(started.stdout, 'building')
        started.send_signal(signal.SIGTERM)
        output, _ = started.communicate(timeout=TIME_LIMIT)
    assert (started.returncode, output.split()) == (0, ['built', 'stop', 'close'])


@pytest.mark.parametrize('close', [
    'threading.Event().wait()', 'threading.Thread(target=threading.Event().wait).start()',
], ids=['blocked', 'leaked thread'])
def test_a_second_signal_ends_a_process_that_cannot_end(close):
    with stubborn(close=close) as started:
        read_until(started.stdout, 'built')
        started.send_signal(signal.SIGINT)
        read_until(started.stdout, 'close')
        time.sleep(GRACE / 2)
        assert started.poll() is None
        told = time.monotonic()
        started.send_signal(signal.SIGTERM)
        output, _ = started.communicate(timeout=TIME_LIMIT)
    assert started.returncode == 1
    assert time.monotonic() - told > GRACE - 0.1
    assert output.count('\n') == 1
    assert output.startswith('Stubborn: still running 2 s after the second signal')


def test_signals_that_come_together_are_one_request():
    with stubborn(close='time.sleep(1.0)') as started:
        read_until(started.stdout, 'built')
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            started.send_signal(number)
        output, _ = started.communicate(timeout=TIME_LIMIT)
    assert (started.returncode, output.split()) == (0, ['stop', 'close'])
