# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ros_processes import environment, TIME_LIMIT

from diffusion_planner_ros.experiments.ros.process_footprint import (
    Footprint,
    footprint_of,
    growth_of,
    leaks_of,
)
from diffusion_planner_ros.experiments.ros.soak_run import KINDS, latency_summary, schedule

CLI = [sys.executable, '-m', 'diffusion_planner_ros.commands']


def footprints(seconds, *, slope=0.0, step=0.0, handles=20):
    """Return a process of 100 MB that grows by ``slope`` [MB/h], and by ``step`` in the middle."""
    return [Footprint(float(t), 100.0 + slope * t / 3600 + step * (t > seconds / 2), handles, 15)
            for t in range(seconds + 1)]


def test_the_same_seed_gives_the_same_events_in_order():
    events = schedule(5, 600.0)
    assert events == schedule(5, 600.0)
    assert events != schedule(6, 600.0)
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert events[-1].time < 600.0
    for kind, (shortest, longest, _) in KINDS.items():
        times = [e.time for e in events if e.kind == kind]
        assert np.all((np.diff(times) >= shortest) & (np.diff(times) <= longest))


def test_every_planner_change_is_drawn_from_its_range():
    changes = [e.value for e in schedule(0, 3600.0) if e.kind == 'planner']
    assert {v for n, v in changes if n == 'n_candidates'} == set(range(2, 9))
    assert {v for n, v in changes if n == 'n_denoise_steps'} == set(range(1, 5))
    scales = [v for n, v in changes if n == 'guidance_strength']
    assert scales and all(0.0 <= v <= 1.0 for v in scales)


def test_growth_counts_from_the_first_minute_on():
    seen = footprints(600, slope=30.0)
    growth = growth_of(seen)
    assert growth['baseline_s'] == 60.0
    assert growth['memory_growth_mb'] == pytest.approx(30.0 * 540 / 3600)
    assert growth['memory_slope_mb_per_h'] == pytest.approx(30.0)
    assert leaks_of('planner', growth) == []


def test_growth_of_a_short_run_counts_from_its_first_quarter_on():
    assert growth_of(footprints(20))['baseline_s'] == 5.0
    assert growth_of(footprints(0))['memory_growth_mb'] == 0.0  # one look


def test_growing_memory_is_a_leak():
    assert leaks_of('planner', growth_of(footprints(120, step=5.0))) == [
        'memory of the planner grew by 5.0 MB, expected less than 5 MB']
    assert leaks_of('planner', growth_of(footprints(120, step=4.9))) == []


def test_a_growing_number_of_handles_is_a_leak():
    seen = [*footprints(120, handles=20), *footprints(1, handles=21)]
    assert leaks_of('bridge', growth_of(seen)) == ['open handles of the bridge grew from 20 to 21']


def test_sees_memory_handles_and_threads_of_a_process(tmp_path):
    waiting = 'import sys; print(flush=True); sys.stdin.read()'
    with subprocess.Popen([sys.executable, '-c', waiting], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        before = footprint_of(process.pid, 1.5)
        assert before.time == 1.5
        assert 1.0 < before.memory < 100.0
        assert before.n_threads == 1
        process.stdin.close()
        process.wait()
    assert footprint_of(process.pid, 2.0) is None
    own = footprint_of(os.getpid(), 0.0)
    with (tmp_path / 'file').open('w'):
        assert footprint_of(os.getpid(), 0.0).n_handles == own.n_handles + 1


def test_latency_is_told_minute_by_minute_with_its_drift():
    minutes = [(t + 0.0, 3.0 + t // 60, 6.0) for t in range(1, 301)]
    summary = latency_summary(minutes)
    assert summary['latency_p50_ms_by_minute'] == [4.0, 5.0, 6.0, 7.0, 8.0]
    assert summary['latency_p50_drift_ms'] == 4.0  # 7 ms, most of it, against 3 ms
    assert summary['latency_p99_drift_ms'] == 0.0
    assert latency_summary([]) == {}


@pytest.fixture
def soaking(tmp_path):
    """Start a soak of five minutes, yield it once it shows its live line."""
    soak = subprocess.Popen(
        [*CLI, 'soak', '--minutes', '5', '--out', str(tmp_path), '--json'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        while 'of 5 min' not in soak.stderr.readline():
            assert soak.poll() is None
        time.sleep(1.5)
        yield soak
    finally:
        soak.kill()
        soak.wait()


def planner_of(parent):
    lines = subprocess.run(['ps', '-wweo', 'pid,ppid,args'], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return next(int(line.split()[0]) for line in lines
                if 'diffusion_planner_ros.nodes planner' in line
                and line.split()[1] == str(parent))


@pytest.mark.slow
def test_a_short_soak_passes_and_reports(tmp_path):
    done = subprocess.run(
        [*CLI, 'soak', '--minutes', '0.1', '--seed', '438', '--out', str(tmp_path), '--json'],
        capture_output=True, text=True, check=False, env=environment(), timeout=120)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / 'summary.json').read_text())
    assert (tmp_path / 'report.html').is_file()
    assert (tmp_path / 'soak.png').read_bytes().startswith(b'\x89PNG')
    events = schedule(438, 6.0)  # something of every kind
    assert summary['seconds'] >= 6.0
    assert summary['pushes'] == summary['pushes_felt'] == sum(e.kind == 'push' for e in events)
    assert summary['resets'] == sum(e.kind == 'reset' for e in events)
    assert summary['planner_changes'] == {
        'accepted': sum(e.kind == 'planner' for e in events), 'refused': 0}
    assert summary['steps'] > 250
    assert not summary['interrupted']
    for node in ('planner', 'bridge'):
        assert summary[node]['memory_end_mb'] > 10.0
        assert summary[node]['handles_last'] > 5


def test_interrupt_ends_a_soak_with_the_report_of_what_was_seen(soaking):
    soaking.send_signal(signal.SIGINT)
    stdout, stderr = soaking.communicate(timeout=TIME_LIMIT)
    assert soaking.returncode == 0, stderr
    summary = json.loads(stdout)
    assert summary['interrupted']
    assert 0.0 < summary['seconds'] < 300.0


@pytest.mark.slow
def test_a_node_that_dies_fails_the_soak_with_its_name(soaking):
    os.kill(planner_of(soaking.pid), signal.SIGKILL)
    stdout, stderr = soaking.communicate(timeout=TIME_LIMIT)
    assert soaking.returncode == 1
    assert 'diffusion_planner: soak failed: the planner node ended with exit code -9' in stderr
    assert json.loads(stdout)['failures'][0].startswith('the planner node ended')
