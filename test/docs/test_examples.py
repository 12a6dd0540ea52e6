# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Every script of examples/ runs as it stands, with the shipped models, and shows what it says."""

import os
import re
import shlex
import subprocess
import sys

from paths import SOURCE
from ros_processes import environment, observer, running, spin_until
from trajectory_msgs.msg import JointTrajectory

from diffusion_planner_ros.commands.__main__ import main
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.nodes.common.topics import PLAN
from diffusion_planner_ros.robot import Robot

FOLDER = SOURCE / 'examples'
NUMBER = r'(-?\d+\.?\d*)'
MAX_LINES = 60


def run(script, folder, **variables):
    """Return what a script prints; what it writes is in the folder."""
    env = {**os.environ, 'PYTHONPATH': str(SOURCE), 'TMPDIR': str(folder), **variables}
    done = subprocess.run([sys.executable, FOLDER / script], cwd=folder, env=env,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(pattern, text):
    """Return what the groups of a pattern match, a tuple of numbers for every match."""
    return [tuple(map(float, groups)) for groups in re.findall(pattern, text)]


def test_the_candidate_of_the_highest_predicted_return_is_chosen(tmp_path):
    output = run('candidates.py', tmp_path)
    found = re.findall(rf'(->|  ) candidate \d: predicted return +{NUMBER}', output)
    returns = [float(value) for _, value in found]
    assert len(set(returns)) == 8
    assert [value for arrow, value in found if arrow == '->'] == [f'{max(returns):.1f}']
    assert 'rootx velocity [m/s]' in output


def test_executed_states_are_near_the_planned_ones_and_nearer_to_the_forecast(tmp_path):
    rows = numbers(rf'(?m)^ +(\d) +{NUMBER} +{NUMBER}$',
                   run('planned_and_executed.py', tmp_path))
    assert [ahead for ahead, _, _ in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert all(0 < forecast < planned < 0.5 for _, planned, forecast in rows)


def test_a_motor_is_spared_until_the_robot_falls(tmp_path):
    output = run('own_guide.py', tmp_path)
    torque = dict(numbers(rf'weight +{NUMBER}: leg_joint has +{NUMBER} N m', output))
    assert torque[2] < 0.85 * torque[0]
    assert output.count('still walks after 2.0 s') == 3
    assert output.splitlines()[-1].startswith('weight 10.0')
    assert 'falls' in output.splitlines()[-1]


def test_the_robot_walks_as_fast_as_it_is_told(tmp_path):
    speeds = numbers(rf'told {NUMBER} m/s, it goes {NUMBER} m/s',
                     run('commanded_speed.py', tmp_path))
    assert [told for told, _ in speeds] == [0.0, 1.5, 0.5]
    assert all(abs(told - walked) < 0.3 for told, walked in speeds)


def test_an_obstacle_that_is_known_is_passed(tmp_path):
    unknown, known = run('around_an_obstacle.py', tmp_path).splitlines()
    assert 'collides' in unknown
    assert 'arrives' in known
    distance = re.search(rf'passes it at {NUMBER} cm', known)
    assert float(distance[1]) > 0


def test_own_recordings_are_read_and_trained_on(tmp_path, monkeypatch, capsys):
    *_, command = run('own_recordings.py', tmp_path).splitlines()
    folder, = tmp_path.glob('my_arm-*')
    episodes = read_episodes(folder / 'recorded.hdf5', Robot.load(str(folder / 'layout.yaml')))
    assert [len(episode) for episode in episodes] == [300] * 20
    monkeypatch.setattr(sys, 'argv', [*shlex.split(command), '--n-updates', '2'])
    main()
    assert (folder / 'run' / 'checkpoint.pt').is_file()
    assert '6000' in capsys.readouterr().out  # transitions


def test_plans_of_a_running_robot_arrive_as_arrays(tmp_path):
    plans = []
    with (running('mujoco_bridge', tmp_path, lockstep=True),
          running('planner', tmp_path, lockstep=True, use_sim_time=True) as planner,
          observer() as node):
        node.create_subscription(JointTrajectory, PLAN.path, plans.append, 1)
        spin_until(node, lambda: plans, 'a plan', planner)
        output = run('plans_in_numpy.py', tmp_path, **{
            name: environment()[name] for name in (
                'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')})
    joints = dict.fromkeys(re.findall(r'(?m)^(\w+): from', output))
    assert list(joints) == plans[0].joint_names
    assert re.search(r'paths of shape \(24, 8, 3\)', output)  # 8 candidates of 3 links


def test_plans_in_numpy_says_what_is_missing_where_no_planner_runs(tmp_path):
    text = (FOLDER / 'plans_in_numpy.py').read_text()
    impatient = tmp_path / 'impatient.py'
    impatient.write_text(text.replace('TIME_LIMIT = 20.0', 'TIME_LIMIT = 0.5'))
    done = subprocess.run([sys.executable, impatient], env=environment(), capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert 'does a planner run' in done.stderr


def test_every_script_is_in_the_table_and_run_here_and_short():
    scripts = sorted(file.name for file in FOLDER.glob('*.py'))
    table = re.findall(r'(?m)^\| \[(\w+\.py)\]\(\1\)', (FOLDER / 'README.md').read_text())
    assert sorted(table) == scripts
    tests = (SOURCE / 'test' / 'docs' / 'test_examples.py').read_text()
    assert {name for name in scripts if f"run('{name}'" not in tests} == set()
    lines = {name: len((FOLDER / name).read_text().splitlines()) for name in scripts}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}
