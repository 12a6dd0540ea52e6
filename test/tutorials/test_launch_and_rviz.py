# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The tutorial "`ros2 launch` and rviz": its lines, in their order, on the launched nodes."""

import re
import shlex

from lifecycle import Health
from paths import SOURCE
import pytest
from ros2_line import Ros2Line
from ros_processes import observer, running, spin_until
from tutorial import Tutorial
import yaml

# In lockstep, the robot walks however busy the machine is.
LOCKSTEP = {'lockstep': True, 'use_sim_time': True}
SPEEDS = str(SOURCE / 'models' / 'walker2d_speeds')  # the bundle that is loaded meanwhile


@pytest.fixture(scope='module')
def page():
    return Tutorial('launch_and_rviz.md')


@pytest.fixture(scope='module')
def nodes(tmp_path_factory):
    """The nodes that the launch file starts, and an observer."""
    folder = tmp_path_factory.mktemp('nodes')
    settings = yaml.safe_load((SOURCE / 'config' / 'planner.yaml').read_text())
    with (running('mujoco_bridge', folder, lockstep=True) as bridge,
          running('planner', folder, **settings['/**/planner']['ros__parameters'],
                  **LOCKSTEP) as planner,
          observer() as node):
        yield node, bridge, planner


def test_its_lines_do_what_they_say_while_the_robot_walks(page, nodes):
    node, bridge, planner = nodes
    health = Health(node)
    health.wait_for('planning', planner)
    spin_until(node, lambda: {'mujoco_bridge', 'planner'} <= {*node.get_node_names()},
               'their discovery', planner)
    lines = [Ros2Line(step.text) for step in page.of('ros2')]
    answers = {}
    for line in lines:
        if line.verb != 'launch diffusion_planner_ros':
            answers[line.text] = line.do(node)
        if 'param set /planner bundle' in line.text:
            spin_until(node, lambda: health.facts['bundle'] == SPEEDS, 'its use', planner)

    assert {'/mujoco_bridge', '/planner'} <= {*answers['ros2 node list']}
    assert answers['ros2 topic hz /joint_states'] > 1.0
    plan = answers['ros2 topic echo /planner/plan --once']
    assert len(plan.points) == 8
    assert answers['ros2 topic echo /diagnostics'].status[0].values
    described = answers['ros2 param describe /planner n_candidates']
    assert described.startswith('Trajectories denoised together')
    assert answers['ros2 param get /planner n_candidates'] == 16
    refused = {text: reason for text, reason in answers.items()
               if 'param set' in text and reason}
    assert list(refused) == [step.text for step in page.of('ros2', 'param', 'set')
                             if f'{step.text}        # refused' in page.text]
    assert all('Min: 1, Max: 256' in reason for reason in refused.values())
    for text, answer in answers.items():
        if 'service call' in text:
            assert answer.success, text
    assert answers['ros2 lifecycle get /planner'] == 'active'
    assert answers['ros2 lifecycle set /planner activate'] is True

    facts = Health(node, 'mujoco_bridge')
    spin_until(node, lambda: int(facts.facts.get('pushes', 0)) == 1, 'the push', bridge)
    expected = {'n_candidates': '16', 'sampler': 'dpm_solver', 'return_weight': '1.0',
                'target_speed': '1.0', 'bundle': SPEEDS}
    spin_until(node, lambda: expected.items() <= health.facts.items(), 'what was set', planner)
    health.wait_for('planning', planner)


def test_its_launch_line_is_one_of_ours(page):
    (line,) = page.of('ros2', 'launch')
    assert Ros2Line(line.text).launch_arguments() == {}


def test_it_is_built_as_the_page_install_says(page):
    installing = (SOURCE / 'docs' / 'how_to' / 'install.md').read_text()
    section = installing.partition('## In a ROS 2 workspace')[2]
    (block,) = (block for block in re.findall(r'^```sh\n(.*?)^```', section, re.DOTALL | re.M)
                if 'colcon)" build' in block)
    told = [shlex.split(line, comments=True) for line in block.splitlines()]
    built = page.steps[:page.steps.index(page.of('ros2')[0])]
    assert [s.words for s in built[1:]] == told[:len(built) - 1]


def test_its_displays_are_those_of_the_configuration(page):
    config = yaml.safe_load((SOURCE / 'config' / 'simulation.rviz').read_text())
    displays = {d['Name']: d['Enabled'] for d in config['Visualization Manager']['Displays']}
    rows = re.findall(r'^\| `([A-Z][\w ]+)` \| (.*) \|$', page.text, re.M)
    assert {name: not meaning.endswith('(off)') for name, meaning in rows} == displays
