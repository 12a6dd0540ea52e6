# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The verb ``endure``: real episodes beside busy processes, real walks on the bench."""

import json
import os
import subprocess

from paths import SOURCE
import pytest
from ros_processes import environment
import yaml

from diffusion_planner_ros.commands.measure.endure import endure
from diffusion_planner_ros.errors import ConfigError, RobotError
from diffusion_planner_ros.experiments.ros.bench_run import BenchResult, check_bench, walk_on_bench
from diffusion_planner_ros.experiments.ros.endurance_tables import bench_table, real_time_table
from diffusion_planner_ros.experiments.ros.node_process import busy_processes
from diffusion_planner_ros.nodes.threads.scheduling import SchedulingConfig
from diffusion_planner_ros.planning.planner_config import PlannerConfig

SHIPPED = SOURCE / 'models' / 'walker2d'
# Guided to where the value is lowest: the robot falls at once, so that an episode is short.
FALLS = PlannerConfig(n_candidates=1, sampler='ddpm', guide_weights=(-1000.0,),
                      guidance_strength=100.0, n_unguided_steps=0)


@pytest.fixture
def domain(monkeypatch):
    """Let this process and its children use a ROS domain of their own."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)


def busy_children():
    """Return the processes below this one that only compute."""
    lines = subprocess.run(['ps', '-wweo', 'ppid,args'], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return [line for line in lines
            if line.split()[0] == str(os.getpid()) and line.endswith('while True: pass')]


def test_as_many_processes_are_busy_as_were_asked_for_and_none_is_left():
    with pytest.raises(KeyboardInterrupt), busy_processes(2):
        assert len(busy_children()) == 2
        raise KeyboardInterrupt
    assert not busy_children()


@pytest.mark.slow
def test_the_report_is_of_real_episodes_and_runs(domain, tmp_path, capsys):
    endure(FALLS, SchedulingConfig(), busy=(1,), episodes=1, runs=1, seconds=0.5, first_seed=4,
           out=tmp_path, json=True)
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / 'summary.json').read_text())
    assert (tmp_path / 'report.html').is_file()
    (n_busy, facts), = report['real_time'].items()
    assert (n_busy, facts['mode'], facts['seeds']) == ('1', 'real time', [4])
    assert facts['falls'] == 1
    # It may fall before there is a latency to measure.
    assert facts['latency_p50_ms'] is None or facts['latency_p50_ms'] > 0
    assert 0.0 <= facts['missed_deadline_rate'] <= 1.0
    assert all(facts['stop_causes'].values())
    run, = report['bench']
    assert run['seed'] == 4
    assert run['fell'] or run['seconds'] == 0.5
    assert not busy_children()


@pytest.mark.slow
def test_the_bench_is_walked_on_with_the_settings_of_hardware_yaml(domain):
    result, report = walk_on_bench('walker2d', SHIPPED, PlannerConfig(seed=7), 3, 1.0,
                                   SchedulingConfig(realtime_priority=3))
    assert result.fell or result.seconds == 1.0
    # Beside other load, torques that come late can fell it sooner than none, after 0.14 s.
    assert result.seconds > 0.05
    assert result.distance != 0.0
    if result.seconds == 1.0:  # nobody fell before there was a latency to measure
        assert 0 < result.latency_p50_ms <= result.latency_p99_ms
    shipped = yaml.safe_load((SOURCE / 'config' / 'hardware.yaml').read_text())
    used = shipped['/**/planner']['ros__parameters'] | {'torque_scale': 1.0, 'ramp_time': 0.0}
    asked = {name: tuple(value) if isinstance(value, list) else value
             for name, value in used.items()}
    assert {name: report[name] for name in asked} == {k: str(v) for k, v in asked.items()}
    assert int(report['seed']) == 7 + 3
    assert int(report['realtime_priority']) == 3
    assert float(report['ood_stop']) > 0.0  # the monitor is on


@pytest.mark.parametrize('robot', ['walker2d', 'hopper'])
def test_the_bench_takes_robots_whose_base_odometry_measures(robot):
    check_bench(robot)


def test_the_bench_refuses_a_robot_whose_height_is_not_that_of_its_joint():
    with pytest.raises(RobotError, match=r'half_cheetah: odometry gives .* m where joint rootz is '
                                         r'at .* expected the same; leave the bench out with '
                                         r'--runs 0'):
        check_bench('half_cheetah')


def test_the_tables_say_where_the_robot_fell_and_why_it_stopped():
    quiet = {'return_mean': 5889.4, 'return_stderr': 9.6, 'falls': 0, 'episodes': 10,
             'latency_p50_ms': 2.71, 'latency_p99_ms': 5.92, 'missed_deadline_rate': 0.0012,
             'stop_causes': {}}
    busy = quiet | {'return_stderr': None, 'falls': 1,
                    'stop_causes': {'late plan': 2, 'no command': 1}}
    assert real_time_table({0: quiet, 2: busy}).splitlines()[2:] == [
        '| 0 | 5,889 +- 10 | 0 of 10 | 2.7 | 5.9 | 0.12 | 0 |',
        '| 2 | 5,889 | 1 of 10 | 2.7 | 5.9 | 0.12 | 2 late plan, 1 no command |']
    runs = [BenchResult(0, 60.0, False, 180.04, 1.5, 3.0, 2, {}),
            BenchResult(1, 6.25, True, 17.0, 1.6, 3.25, 0, {'out of distribution': 1}),
            BenchResult(2, 0.5, True, 0.1, None, None, 0, {'late plan': 1})]
    assert bench_table(runs, 60.0).splitlines()[2:] == [
        '| 0 | 60.0 of 60 | no | 180.0 | 1.5 | 3.0 | 0 |',
        '| 1 | 6.2 of 60 | yes | 17.0 | 1.6 | 3.2 | 1 out of distribution |',
        '| 2 | 0.5 of 60 | yes | 0.1 | - | - | 1 late plan |',
        '| all | 66.8 of 180 | 2 of 3 | 197.1 |  | at most 3.2 | 2 |']


@pytest.mark.parametrize(('options', 'message'), [
    ({'episodes': 0, 'runs': 0}, 'not both 0'),
    ({'runs': -1}, 'episodes are 10 and runs -1, expected none below 0'),
    ({'busy': (0, -1)}, 'none below 0 and none twice'),
    ({'busy': ()}, 'expected numbers of processes'),
    ({'busy': (1, 1)}, 'none twice'),
    ({'seconds': 0.0}, 'seconds is 0.0, expected a finite number above 0')])
def test_a_wrong_option_is_refused_before_anything_runs(options, message):
    with pytest.raises(ConfigError, match=message):
        endure(PlannerConfig(), SchedulingConfig(), **options)
