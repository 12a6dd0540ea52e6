# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
import json
import os
import re
import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import pytest
from ros_processes import environment, observer, running, spin_until, TIME_LIMIT

from diffusion_planner_ros.errors import PlannerError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.experiments.ros import ros_session
from diffusion_planner_ros.nodes.common.topics import DIAGNOSTICS, JOINT_STATES
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file

CLI = [sys.executable, '-m', 'diffusion_planner_ros.commands']
# A poor planner: its short episodes say the same of two ways to run them.
POOR = PlannerConfig(n_candidates=1, n_denoise_steps=1, temperature=10.0)
FALLS_SOON = ('--planner.n-candidates', 1, '--planner.n-denoise-steps', 1,
              '--planner.temperature', 10.0)
SEEDS = (1, 2)


def run(*arguments):
    return subprocess.run([*CLI, *map(str, arguments)], capture_output=True, text=True,
                          check=False, env=environment(), timeout=300)


def process_list():
    return subprocess.run(['ps', '-wweo', 'ppid,args'], capture_output=True, text=True,
                          check=True).stdout


def nodes_of(parent):
    """Return the command lines of the node processes that a process started."""
    return [line for line in process_list().splitlines()
            if 'diffusion_planner_ros.nodes ' in line and line.split()[0] == str(parent)]


@pytest.fixture(scope='module')
def walked(tmp_path_factory):
    """What a walk in lockstep reported, and its folder."""
    out = tmp_path_factory.mktemp('walked')
    done = run('walk', '--lockstep', '--episodes', len(SEEDS), '--seed', SEEDS[0], '--out', out,
               '--json', '--no-view', *FALLS_SOON)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_lockstep_through_ros_gives_the_return_of_the_same_seed_in_process(walked):
    summary, _ = walked
    bundle = Bundle.load(share_file('models/walker2d'))
    for i, seed in enumerate(SEEDS):
        expected, _ = run_episode(seed, planner=Planner(bundle, replace(POOR, seed=seed)))
        assert expected.fell
        assert expected.steps > 50
        assert summary['returns'][i] == expected.episode_return  # to the last bit
        assert summary['episode_steps'][i] == expected.steps
        assert summary['distances_m'][i] == expected.distance
        assert summary['fell'][i] == expected.fell


def test_a_walk_says_how_it_was_and_writes_summary_and_pictures(walked):
    summary, out = walked
    assert summary == json.loads((out / 'summary.json').read_text())
    assert summary['mode'] == 'lockstep'
    assert summary['missed_deadlines'] is None
    assert summary['provider'] == 'cpu'
    assert summary['bundle_hash'] == Bundle.load(share_file('models/walker2d')).hash
    assert 0 < summary['latency_p50_ms'] <= summary['latency_p99_ms']
    assert (out / 'plan.png').read_bytes().startswith(b'\x89PNG')
    for file in summary['files']:
        assert os.path.getsize(file) > 0


def test_evaluate_through_ros_runs_the_same_episodes(walked):
    done = run('evaluate', '--episodes', 1, '--first-seed', SEEDS[0], '--through-ros', '--json',
               *FALLS_SOON)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report['returns'] == walked[0]['returns'][:1]
    assert report['mode'] == 'lockstep'


def test_walks_in_real_time(tmp_path):
    done = run('walk', '--out', tmp_path, '--no-video', '--no-view', '--json')
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary['mode'] == 'real time'
    assert summary['real_time_factor'] == 1.0
    assert summary['missed_deadline_rate'] == pytest.approx(
        summary['missed_deadlines'] / summary['episode_steps'][0])
    # How long it walks depends on the computer: one that stands still for 0.1 s stops the robot.
    assert summary['missed_deadlines'] < summary['episode_steps'][0]
    assert 'plan latency' in done.stderr  # the live line


def wait_for_end(files):
    """Wait until no process has one of these parameter files in its command line."""
    deadline = time.monotonic() + TIME_LIMIT
    while any(file in process_list() for file in files):
        assert time.monotonic() < deadline, 'a node is left behind'
        time.sleep(0.1)


@pytest.fixture
def walking(tmp_path):
    """Start a long walk; yield it with the parameter files of its two nodes."""
    walk = subprocess.Popen([*CLI, 'walk', '--no-view', '--out', tmp_path, '--episodes', '50'],
                            stderr=subprocess.PIPE, text=True, env=environment())
    try:
        deadline = time.monotonic() + TIME_LIMIT
        while len(nodes := nodes_of(walk.pid)) < 2:
            assert time.monotonic() < deadline, 'the nodes did not start'
            time.sleep(0.1)
        yield walk, [line.split()[-1] for line in nodes]
    finally:
        walk.kill()
        walk.wait()


def wait_for_live_line(walk):
    while 'episode 0:' not in walk.stderr.readline():
        assert walk.poll() is None


def test_interrupt_ends_both_nodes_while_they_start(walking):
    walk, files = walking
    walk.send_signal(signal.SIGINT)
    _, stderr = walk.communicate(timeout=TIME_LIMIT)
    assert walk.returncode == 130
    assert 'diffusion_planner: interrupted' in stderr
    assert 'Traceback' not in stderr
    assert not any(file in process_list() for file in files)


def test_interrupt_ends_both_nodes_and_the_finished_episodes_are_reported(tmp_path):
    walk = subprocess.Popen([*map(str, [*CLI, 'walk', '--no-view', '--no-video', '--lockstep',
                                        '--out', tmp_path, '--episodes', 500, '--seed', SEEDS[0],
                                        *FALLS_SOON])],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            env=environment())
    try:
        while not re.match(r'episode ([3-9]|\d\d):', line := walk.stderr.readline()):
            assert line, 'it ended'
        files = [line.split()[-1] for line in nodes_of(walk.pid)]
        walk.send_signal(signal.SIGINT)
        _, stderr = walk.communicate(timeout=TIME_LIMIT)
    finally:
        walk.kill()
        walk.wait()
    assert walk.returncode == 130, stderr
    assert 'Traceback' not in stderr
    assert len(files) == 2
    assert not any(file in process_list() for file in files)
    n = len(json.loads((tmp_path / 'summary.json').read_text())['returns'])
    assert 2 <= n < 500
    assert stderr.splitlines()[-1] == (
        f'diffusion_planner: interrupted; {n} of 500 episodes were finished, and are in '
        f'{tmp_path}/report.html')
    assert (tmp_path / 'report.html').stat().st_size > 0


def test_a_paused_walk_is_not_given_up(monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ros_session, 'STALL_TIME', 4.0)
    config = ros_session.SessionConfig(
        bundle=share_file('models/walker2d'), planner=POOR, lockstep=True,
        real_time_factor=1.0, first_seed=SEEDS[0])
    n_paused = 0

    def go_on_after_a_while(facts):
        nonlocal n_paused
        n_paused += facts['state'] == 'paused'
        if n_paused == 6:  # one in every second
            nodes.pause(False)

    with ros_session.session(config, record=False) as nodes:
        nodes.pause(True)
        result = nodes.finish_episode(SEEDS[0], go_on_after_a_while)
    assert n_paused >= 6
    assert result.fell
    assert result.steps > 50


def test_nodes_end_when_the_walk_is_killed(walking):
    walk, files = walking
    wait_for_live_line(walk)
    walk.kill()
    wait_for_end(files)


def test_refuses_to_share_its_domain_with_another_robot(tmp_path):
    with running('mujoco_bridge', tmp_path) as robot, observer() as node:
        spin_until(node, lambda: node.count_publishers(JOINT_STATES.path) == 1, 'the other robot')
        done = run('walk', '--no-view', '--out', tmp_path)
        assert robot.process.poll() is None, robot.output
        seen = node.get_publishers_info_by_topic(JOINT_STATES.path)
    assert done.returncode == 1, f'{done.stderr}\n{robot.output}\n{[*map(str, seen)]}'
    assert done.stderr.splitlines()[-1].startswith(
        'diffusion_planner: another robot, planner or clock runs in ROS domain ')


def test_believes_its_robot_that_there_is_another(monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    config = ros_session.SessionConfig(
        bundle=share_file('models/walker2d'), planner=PlannerConfig(), lockstep=True,
        real_time_factor=1.0, first_seed=SEEDS[0])
    with ros_session.session(config, record=False) as nodes:
        reports = nodes.create_publisher(DiagnosticArray, DIAGNOSTICS.path, 1)
        facts = nodes.bridge | {'conflicts': '/clock'}
        report = DiagnosticArray(status=[DiagnosticStatus(
            name='mujoco_bridge', values=[KeyValue(key=k, value=v) for k, v in facts.items()])])
        with pytest.raises(PlannerError, match='another robot, planner or clock runs'):
            nodes.wait_until(lambda: reports.publish(report), 'nobody believes it')


def test_a_bundle_that_is_not_there_is_one_clear_line(tmp_path):
    done = run('walk', '--bundle', tmp_path / 'nothing')
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f'diffusion_planner: {tmp_path}/nothing/model.yaml: no such file; expected the folder of '
        'a model bundle')
