# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A planner that does not get the computer goes on by itself afterwards: nothing is latched."""

import signal
import subprocess
import sys
import time

from fault_recorder import recording
import pytest
from ros_processes import running, spin_for

from diffusion_planner_ros.nodes.control.command_publisher import LATCHED

SETTINGS = {'use_sim_time': True, 'ramp_time': 0.0}
PAUSES = (0.03, 0.06, 0.04, 0.05, 0.2)  # [s] for which a process is suspended
APART = 0.15  # [s] between two of them
BUSY = 1.0  # [s]
N_BUSY = 3  # processes that compute beside the nodes
N_PLANS = 20  # in a row, which a planner that stopped does not send


@pytest.fixture
def world(tmp_path):
    """The monitor watches, as it does by default; a fall begins another episode."""
    with (recording() as recorder, running('mujoco_bridge', tmp_path) as bridge,
          running('planner', tmp_path, **SETTINGS) as planner):
        recorder.wait_for_steps(N_PLANS, planner)
        yield recorder, bridge, planner


def check_that_it_goes_on(recorder, planner):
    begin = time.time()
    recorder.wait(lambda: len({c.answered for c in recorder.commands_since(begin)
                               if c.torque.any()}) >= N_PLANS, 'plans', planner)
    assert LATCHED not in planner.output, planner.output
    recorder.health.wait_for('planning', planner)


@pytest.mark.parametrize('who', ['planner', 'bridge'])
def test_a_process_that_is_suspended_again_and_again_latches_no_stop(world, who):
    recorder, bridge, planner = world
    process = {'planner': planner, 'bridge': bridge}[who].process
    for pause in PAUSES:
        process.send_signal(signal.SIGSTOP)
        time.sleep(pause)
        process.send_signal(signal.SIGCONT)
        spin_for(recorder.node, APART)
    check_that_it_goes_on(recorder, planner)


def test_a_computer_that_others_use_latches_no_stop(world):
    recorder, _, planner = world
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(N_BUSY)]
    try:
        spin_for(recorder.node, BUSY)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    check_that_it_goes_on(recorder, planner)
