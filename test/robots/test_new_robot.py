# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The folder of a new robot: what it says, that it runs, and which models are refused."""

import json

import numpy as np
import pytest
import yaml

from diffusion_planner_ros.commands.inspect.new_robot import new_robot
from diffusion_planner_ros.errors import ConfigError, OutputError, RobotError
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.task import Task
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.urdf_tree import Urdf

MOTOR = '<motor joint="rail" gear="20" ctrllimited="true" ctrlrange="-.5 .5"/>'
CART = """
<mujoco model="cart"><option timestep="0.003"/><worldbody><body name="cart">
  <joint name="rail" type="slide" axis="1 0 0"/><geom type="box" size=".2 .1 .1" mass="5"/>
  <body name="pole"><joint name="on" axis="0 1 0"/>
    <geom type="capsule" fromto="0 0 0 0 0 .6" size=".02" mass="1"/>
    <body name="tool"><joint name="slot" type="slide" range="-.2 .1" limited="true"/>
      <geom type="sphere" size=".05" mass=".1"/></body>
  </body></body></worldbody>
<actuator>""" + MOTOR + '</actuator></mujoco>'
LINK = '<link name="{}"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ' \
       'ixy="0" ixz="0" iyz="0"/></inertial></link>'
ARM = f"""
<robot name="arm">{LINK.format('base')}{LINK.format('upper')}{LINK.format('lower')}
  <joint name="shoulder" type="continuous"><parent link="base"/><child link="upper"/>
    <axis xyz="0 1 0"/><limit effort="7" velocity="1"/></joint>
  <joint name="elbow" type="revolute"><parent link="upper"/><child link="lower"/>
    <axis xyz="0 1 0"/><limit lower="-1" upper="2" effort="0" velocity="1"/></joint></robot>"""


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """Give a function that writes a model and makes a robot of it; it returns the report."""
    monkeypatch.chdir(tmp_path)

    def make(text, name='cart.xml', **options):
        (tmp_path / name).write_text(text)
        new_robot(tmp_path / name, **options, json=True)
        return json.loads(capsys.readouterr().out)
    return make


def test_an_mjcf_becomes_a_robot_that_is_simulated(made, tmp_path):
    facts = made(CART)
    assert facts['robot'] == 'cart'
    assert facts['joints'] == ['rail', 'on', 'slot']
    assert facts['torque_limits'] == {'rail': 10.0}
    layout, task = Robot.load('./cart'), Task.load('./cart')
    assert (layout.name, layout.control_period, task.frame_skip) == ('cart', 0.021, 7)
    assert [(e.joint, e.quantity, e.unit) for e in layout.state] == [
        ('on', 'position', 'rad'), ('slot', 'position', 'm'), ('rail', 'velocity', 'm/s'),
        ('on', 'velocity', 'rad/s'), ('slot', 'velocity', 'm/s')]
    assert [(e.joint, e.limit) for e in layout.action] == [('rail', 10.0)]
    assert (task.forward_joint, task.pushed_body) == ('rail', 'cart')
    assert (task.mjcf, task.healthy) == ('cart.xml', None)
    assert (tmp_path / 'cart' / 'cart.xml').read_text() == CART
    assert Urdf.load(tmp_path / 'cart' / 'robot.urdf').effort_limits['rail'] == 10.0
    robot = make_environment('./cart')
    robot.reset(0)
    start = robot.position
    _, reward, _ = robot.step(np.array([10.0]))
    assert reward == pytest.approx((robot.position - start) / 0.021 - 0.001)


def test_what_is_commented_out_is_right_as_soon_as_it_is_not(made, tmp_path):
    made(CART)
    for name in ('layout.yaml', 'task.yaml'):
        file = tmp_path / 'cart' / name
        lines = [line.replace('# ', '', 1) if line.lstrip().startswith(
            ('# - ', '# healthy:', '#   ', '#     ', '# reference')) else line
            for line in file.read_text().splitlines()]
        file.write_text('\n'.join(lines))
    task = Task.load('./cart')
    assert list(task.healthy.positions) == ['rail', 'on', 'slot']
    assert task.healthy.positions['slot'] == (-0.2, 0.1)
    assert task.has_falls
    assert task.normalized_score(500.0) == 50.0
    assert Robot.load('./cart').state_index('rail', 'position') == 0
    make_environment('./cart')


def test_what_is_left_to_do_names_file_and_key(made):
    to_do = ' '.join(made(CART)['to_do'].values())
    for key in ('layout.yaml, control_period', 'layout.yaml, action', 'task.yaml, forward_joint',
                'task.yaml, healthy', 'task.yaml, reward'):
        assert key in to_do
    assert 'without end' not in to_do
    wheel = CART.replace('joint="rail"', 'joint="on"')
    assert 'on may turn without end' in ' '.join(made(wheel, 'wheel.xml')['to_do'].values())


def test_a_urdf_becomes_a_robot_with_motors_where_joints_have_an_effort(made, tmp_path):
    facts = made(ARM, 'arm.urdf', control_period=0.01)
    assert facts['torque_limits'] == {'shoulder': 7.0}
    assert facts['model'] == 'arm.xml'
    assert Robot.load('./arm').control_period == 0.01
    assert Task.load('./arm').reward.forward_velocity == 0.0  # nothing slides
    assert (tmp_path / 'arm' / 'robot.urdf').read_text() == ARM
    to_do = ' '.join(facts['to_do'].values())
    assert 'its root link is fixed to the world' in to_do
    assert 'frame_id:=base' in to_do
    robot = make_environment('./arm')
    assert robot.joint_names == ['shoulder', 'elbow']
    assert robot.actuated_joints == ['shoulder']


def test_a_model_with_further_files_stays_where_it_is(made, tmp_path):
    (tmp_path / 'parts.xml').write_text(
        '<mujocoinclude><option gravity="0 0 -3"/></mujocoinclude>')
    facts = made(CART.replace('<option', '<include file="parts.xml"/><option'))
    assert facts['model'] == '../cart.xml'
    assert 'further files' in ' '.join(facts['to_do'].values())
    assert make_environment('./cart').model.opt.gravity[2] == -3.0


def test_what_a_urdf_cannot_draw_is_said(made, tmp_path):
    facts = made(CART.replace('type="box"', 'type="ellipsoid"'))
    assert 'robot.urdf is missing: ' in facts['to_do'][f'{len(facts["to_do"])}']
    assert 'ELLIPSOID' in facts['to_do'][f'{len(facts["to_do"])}']
    assert not (tmp_path / 'cart' / 'robot.urdf').exists()


@pytest.mark.parametrize(('text', 'message'), [
    ('{}', r'cart\.xml: not XML .*, expected MJCF, <mujoco>, or URDF, <robot>'),
    ('<sdf/>', "first element is 'sdf', expected MJCF"),
    ('<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:include filename="a"/></robot>',
     r'a xacro file, expected a URDF; make one with: xacro .*cart\.xml > cart\.urdf'),
    (CART.replace('class', 'kind').replace('type="box"', 'type="cube"'), 'MuJoCo does not load'),
    (CART.replace(MOTOR, ''), 'has no actuator, expected a motor at every joint'),
    (CART.replace('type="slide" axis="1 0 0"', 'type="free"').replace('"rail"/', '"on"/').replace(
        'joint="rail"', 'joint="on"'), "joint 'rail' is a free joint, with seven positions"),
    (CART.replace(' axis="0 1 0"', ' type="ball"'), "joint 'on' is a ball, with the four"),
    (CART.replace('<motor', '<position name="p" kp="30"').replace('gear="20"', ''),
     r"actuator 0, 'p', is a position servo \(kp 30\); expected motors alone, <motor"),
    (CART.replace('<motor', '<velocity kv="3"').replace('gear="20"', ''),
     r'is a velocity servo \(kv 3\)'),
    (CART.replace('<motor', '<general gainprm="4"'), 'has a gain of 4, which belongs'),
    (CART.replace('<motor', '<intvelocity kp="2" actrange="-1 1"').replace('gear="20"', ''),
     r'has dynamics \(mjDYN_INTEGRATOR\)'),
    (CART.replace('ctrllimited="true" ctrlrange="-.5 .5"', ''), 'has the ctrlrange 0 0, no range'),
    (CART.replace(MOTOR, MOTOR * 2), "joint 'rail' has 2 motors, expected one"),
    (CART.replace('name="on"', ''), r'joint 1 has no name, expected one for each'),
    (CART.replace('<body name="tool">', '<body>'), r'body 2 has no name'),
    ('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>', 'has no joint that moves'),
    (ARM.replace('effort="7"', 'effort="0"'), 'has no actuator, expected .* in URDF <limit'),
    (ARM.replace('type="continuous"', 'type="floating"'), "joint 'shoulder' is a free joint"),
], ids=lambda value: str(value)[:25])
def test_what_is_no_robot_for_a_planner_is_refused_and_nothing_is_written(
        made, tmp_path, text, message):
    with pytest.raises(RobotError, match=message):
        made(text)
    assert [p.name for p in tmp_path.iterdir()] == ['cart.xml']


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RobotError, match=r'none\.xml: not a readable file .*, expected MJCF'):
        new_robot(tmp_path / 'none.xml')


def test_a_folder_that_is_there_is_kept(made, tmp_path):
    (tmp_path / 'cart').mkdir()
    with pytest.raises(OutputError, match='cart: exists already, expected the name of a new'):
        made(CART)
    assert list((tmp_path / 'cart').iterdir()) == []


@pytest.mark.parametrize(('options', 'error', 'message'), [
    ({'control_period': 0.01}, ConfigError,
     'control_period is 0.01 s, expected a multiple of the 0.003 s of the timestep'),
    ({'control_period': 0.0}, ConfigError, 'control_period is 0 s'),
    ({'out': 'my cart'}, OutputError, "name would be 'my cart', expected letters, digits"),
])
def test_wrong_options_are_refused(made, tmp_path, options, error, message):
    if 'out' in options:
        options = {'out': tmp_path / options['out']}
    with pytest.raises(error, match=message):
        made(CART, **options)
    assert [p.name for p in tmp_path.iterdir()] == ['cart.xml']


def test_a_model_that_is_not_stable_leaves_no_folder(made, tmp_path):
    with pytest.raises(RobotError, match='the simulation is not stable'):
        made(CART.replace('<joint name="slot"', '<joint name="slot" stiffness="1e12"').replace(
            'timestep="0.003"', 'timestep="0.02" integrator="RK4"').replace(
            '"slot"', '"slot" springref="5"'))
    assert [p.name for p in tmp_path.iterdir()] == ['cart.xml']  # nor a log of MuJoCo's


def test_names_that_yaml_takes_for_something_else_are_kept(made):
    made(CART.replace('"slot"', '"yes"'))
    assert yaml.safe_load('yes') is True  # as it would be read
    assert 'yes' in [e.joint for e in Robot.load('./cart').state]
