# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The URDF of Walker2D is MuJoCo's robot: same kinematics, same masses, same torque limits."""

import subprocess
import sys
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.testing import assert_allclose
import pytest
from walker import Walker2D

from diffusion_planner_ros.commands.inspect.urdf import urdf as urdf_command
from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.robot import Robot
from diffusion_planner_ros.robots.robot_folder import urdf_file
from diffusion_planner_ros.sim.urdf_export import urdf_from_mjcf
from diffusion_planner_ros.urdf_tree import transformed, Urdf

N_POSES = 60
SHIPPED = urdf_file('walker2d')
HEAD, TAIL = '<robot name="tiny"><link name="base"/><link name="arm"/>', '</robot>'
JOINT = ('<joint name="elbow" type="revolute"><parent link="base"/><child link="arm"/>'
         '<axis xyz="0 1 0"/><limit effort="5"/></joint>')
# What Walker2D does not have: references of hinges, a slide after a hinge, a turned body, a body
# without joint.
AWKWARD = """
<mujoco model="awkward"><compiler angle="radian"/><worldbody>
  <body name="a" pos=".1 .2 .3" quat="1 .2 -.3 .4"><geom type="sphere" size=".1"/>
    <joint name="a1" type="hinge" axis="1 2 0" pos=".1 0 .2" ref=".3"/>
    <joint name="a2" type="slide" axis="0 1 1" pos=".3 .3 .3" ref="-.2"/>
    <joint name="a3" type="slide" axis="1 0 0" ref=".4"/>
    <joint name="a4" type="hinge" axis="0 0 1" pos="-.2 .1 0" ref="-.5"/>
    <body name="b" pos="0 .3 0" quat="1 0 1 0">
      <geom type="capsule" size=".05 .2" euler=".3 .4 .5" pos="0 .1 .2"/>
      <body name="c" pos=".3 0 0"><joint name="c1" axis="0 1 0" pos="0 .1 .1"/>
        <geom type="sphere" size=".1" pos=".1 0 0"/></body>
    </body>
  </body></worldbody></mujoco>"""


@pytest.fixture(scope='module')
def urdf():
    return Urdf.load(SHIPPED)


def assert_same_poses(model, urdf, rng):
    """Compare the bodies' frames: MuJoCo's own lies at minus the last joint's ``pos`` of ours."""
    data = mujoco.MjData(model)
    positions = rng.uniform(-3.0, 3.0, (N_POSES, model.nq))
    poses = urdf.link_poses({model.joint(i).name: positions[:, i] for i in range(model.njnt)})
    for k in range(N_POSES):
        data.qpos[:] = positions[k]
        mujoco.mj_forward(model, data)
        for body in range(1, model.nbody):
            anchor = np.zeros(3)
            hinges = [j for j in range(model.njnt) if model.jnt_bodyid[j] == body
                      and model.jnt_type[j] == mujoco.mjtJoint.mjJNT_HINGE]
            if hinges:
                anchor = model.jnt_pos[hinges[-1]]
            rotation, translation = poses[model.body(body).name]
            assert_allclose(translation[k] - rotation[k] @ anchor, data.xpos[body], atol=1e-6)
            assert_allclose(rotation[k].ravel(), data.xmat[body], atol=1e-6)


def test_forward_kinematics_is_mujocos(urdf):
    walker = Walker2D()
    assert [j.name for j in urdf.joints if j.type != 'fixed'] != []
    assert {j.name for j in urdf.joints} == set(walker.joint_names)
    assert_same_poses(walker.model, urdf, np.random.default_rng(0))


def test_forward_kinematics_of_an_awkward_model_is_mujocos(tmp_path):
    file = tmp_path / 'awkward.xml'
    file.write_text(AWKWARD)
    urdf = Urdf.from_text(urdf_from_mjcf(file), 'awkward')
    assert urdf.name == 'awkward'
    assert_same_poses(mujoco.MjModel.from_xml_path(str(file)), urdf, np.random.default_rng(1))


def test_boxes_and_cylinders_are_those_of_the_model(tmp_path):
    file = tmp_path / 'cart.xml'
    file.write_text('<mujoco><worldbody><body name="cart"><joint name="rail" type="slide"/>'
                    '<geom type="box" size=".1 .2 .3" pos=".4 0 0"/>'
                    '<geom type="cylinder" size=".05 .2" pos="0 0 .6"/></body></worldbody>'
                    '</mujoco>')
    link = ElementTree.fromstring(urdf_from_mjcf(file)).find("link[@name='cart']")
    box, cylinder = link.findall('visual')
    assert box.find('geometry/box').get('size') == '0.2 0.4 0.6'
    assert box.find('origin').get('xyz') == '0.4 0 0'
    assert cylinder.find('geometry/cylinder').attrib == {'radius': '0.05', 'length': '0.4'}
    assert len(link.findall('collision')) == 2


def mass_matrix(model, data):
    """Return what all versions of MuJoCo compute alike, unlike ``mj_fullM``."""
    columns = np.zeros((model.nv, model.nv))
    for column, direction in zip(columns, np.eye(model.nv), strict=True):
        mujoco.mj_mulM(model, data, column, direction)
    return columns.T


def test_mujoco_reads_the_urdf_as_the_robot_it_came_from():
    """MuJoCo's own URDF reader is the second implementation, masses and inertias included."""
    root = ElementTree.parse(SHIPPED).getroot()
    # it merges nothing, and gives the massless links a mass that is small
    ElementTree.SubElement(ElementTree.SubElement(root, 'mujoco'), 'compiler', fusestatic='false',
                           boundmass='1e-9', boundinertia='1e-9', discardvisual='true')
    ours = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding='unicode'))
    walker = Walker2D()
    names = [ours.joint(i).name for i in range(ours.njnt)]
    assert sorted(names) == sorted(walker.joint_names)
    data = mujoco.MjData(ours)
    order = [names.index(name) for name in walker.joint_names]
    for position in np.random.default_rng(2).uniform(-2.0, 2.0, (20, 9)):
        walker.data.qpos[:] = position
        data.qpos[order] = position
        mujoco.mj_forward(walker.model, walker.data)
        mujoco.mj_forward(ours, data)
        for body in range(1, walker.model.nbody):
            name = walker.model.body(body).name
            assert_allclose(data.body(name).xipos, walker.data.xipos[body], atol=1e-6)
        ours_mass, theirs = mass_matrix(ours, data), mass_matrix(walker.model, walker.data)
        # URDF has no word for the rotors' inertia
        theirs -= np.diag(walker.model.dof_armature)
        assert_allclose(ours_mass[np.ix_(order, order)], theirs, atol=1e-5)


def test_the_shipped_file_is_what_the_command_writes(tmp_path, capsys):
    file = tmp_path / 'walker2d.urdf'
    urdf_command(out=file)
    assert file.read_text() == SHIPPED.read_text()
    assert 'thigh_left_joint' in capsys.readouterr().out


def test_masses_sum_to_mujocos():
    masses = [float(m.get('value')) for m in ElementTree.parse(SHIPPED).iter('mass')]
    assert_allclose(sum(masses), Walker2D().model.body_mass.sum(), rtol=1e-9)


def test_effort_limits_are_those_of_the_robot_description(urdf):
    expected = {entry.joint: entry.limit for entry in Robot.load('walker2d').action}
    driven = {joint: limit for joint, limit in urdf.effort_limits.items() if limit > 0}
    assert driven == expected
    assert set(expected.values()) == {100.0}


def test_position_limits_are_mujocos(urdf):
    model = Walker2D().model
    expected = {model.joint(i).name: tuple(model.jnt_range[i]) for i in range(model.njnt)
                if model.jnt_limited[i]}
    limits = urdf.position_limits
    assert set(limits) - set(expected) == {'rootx', 'rootz'}  # a slide must have some in URDF
    assert_allclose([limits[j] for j in expected], list(expected.values()), rtol=1e-9)


@pytest.mark.parametrize(('limit', 'expected'), [
    ('lower="-1" upper="2"', {'elbow': (-1.0, 2.0)}), ('upper="2"', {}),
    ('lower="2" upper="-1"', {}), ('lower="-inf" upper="inf"', {}), ('lower="" upper="a"', {})])
def test_position_limits_that_make_no_sense_are_none(limit, expected):
    text = HEAD + JOINT.replace('effort="5"', f'effort="5" {limit}') + TAIL
    assert Urdf.from_text(text, 'tiny').position_limits == expected


def test_torso_and_feet_are_traced(urdf):
    assert urdf.root == 'world'
    assert list(urdf.traced) == ['torso', 'foot', 'foot_left']
    poses = urdf.link_poses(dict.fromkeys(Walker2D().joint_names, 0.0) | {'rootz': 1.25})
    torso = transformed(poses['torso'], urdf.traced['torso'])
    foot = transformed(poses['foot'], urdf.traced['foot'])
    assert_allclose(torso, [0.0, 0.0, 1.25], atol=1e-9)
    assert_allclose(foot, [0.1, 0.0, 0.1], atol=1e-9)  # the middle of its capsule


def test_the_skeleton_is_the_axes_of_the_capsules(urdf):
    walker = Walker2D()
    walker.reset(seed=0)
    poses = urdf.link_poses(dict(zip(walker.joint_names, walker.qpos, strict=True)))
    for geom in range(1, walker.model.ngeom):
        link = walker.model.body(int(walker.model.geom_bodyid[geom])).name
        ends = transformed(poses[link], urdf.segments[link])[0]
        half = walker.model.geom_size[geom, 1] * walker.data.geom_xmat[geom].reshape(3, 3)[:, 2]
        centre = walker.data.geom_xpos[geom]
        assert_allclose(ends, [centre - half, centre + half], atol=1e-6)


def test_shapes_are_cylinders_and_spheres_with_their_radii():
    point = Urdf.load(urdf_file('point_maze'))
    sphere, = np.concatenate(list(point.shapes.values()))
    assert_allclose(sphere, [0, 0, 0, 0, 0, 0, 0.2], atol=1e-9)
    assert sum(map(len, point.segments.values())) == 0


def test_poses_keep_leading_dimensions(urdf):
    rng = np.random.default_rng(3)
    positions = {name: rng.uniform(-1, 1, (4, 8)) for name in Walker2D().joint_names}
    positions['rootx'] = np.array(0.5)  # broadcasts
    rotation, translation = urdf.link_poses(positions)['foot']
    assert rotation.shape == (4, 8, 3, 3)
    assert translation.shape == (4, 8, 3)
    one = urdf.link_poses({k: v if v.ndim == 0 else v[2, 5] for k, v in positions.items()})
    assert_allclose(translation[2, 5], one['foot'][1], atol=1e-12)


def test_links_behind_a_joint_that_nobody_measures_are_left_out(urdf):
    measured = {joint.name for joint in urdf.joints} - {'leg_joint'}
    pruned = urdf.pruned(measured)
    assert set(urdf.links) - set(pruned.links) == {'leg', 'foot'}
    assert 'foot' not in pruned.traced
    poses = pruned.link_poses(dict.fromkeys(measured, 0.1))
    for link, pose in urdf.link_poses(dict.fromkeys([*measured, 'leg_joint'], 0.1)).items():
        if link in poses:
            assert_allclose(poses[link][1], pose[1])
    reacher = Urdf.load(urdf_file('reacher'))  # its target is moved by the simulation
    assert 'target' in reacher.links
    assert 'target' not in reacher.pruned({'joint0', 'joint1'}).links


def test_a_joint_without_position_is_refused(urdf):
    with pytest.raises(RobotError, match='no position for joint leg_joint'):
        urdf.link_poses({n: 0.0 for n in Walker2D().joint_names if n != 'leg_joint'})


@pytest.mark.parametrize(('text', 'message'), [
    ('<robot', 'tiny: not XML'),
    ('<model/>', "first element is 'model', expected 'robot'"),
    (HEAD + JOINT.replace('"arm"', '"hand"') + TAIL, "joint 'elbow' names link 'hand'"),
    (HEAD + JOINT + '<link name="arm"/>' + TAIL, "a link is named 'arm'"),
    (HEAD + JOINT + JOINT.replace('elbow', 'wrist') + TAIL, "link 'arm' is the child of 2"),
    (HEAD + TAIL, 'links without parent are base, arm'),
    (HEAD + JOINT.replace('revolute', 'floating') + TAIL, "joint 'elbow': type is 'floating'"),
    (HEAD + JOINT.replace('0 1 0', '0 0 0') + TAIL, "joint 'elbow': axis is"),
    (HEAD + JOINT.replace('0 1 0', '0 1') + TAIL, "xyz is '0 1', expected 3 finite numbers"),
    (HEAD + JOINT.replace('effort="5"', 'effort="-5"') + TAIL, "joint 'elbow': effort is -5"),
    (HEAD + JOINT.replace('effort="5"', 'effort="nan"') + TAIL, "effort is 'nan', expected 1"),
    (HEAD + JOINT.replace('<child link="arm"/>', '') + TAIL, "joint 'elbow': no child"),
    (HEAD + '<link name="loop"/>'
     + JOINT.replace('"base"', '"loop"')
     + JOINT.replace('elbow', 'back').replace('"arm"', '"loop"').replace('"base"', '"arm"')
     + TAIL, 'hangs in a loop'),
])
def test_a_malformed_urdf_is_refused_with_the_place(text, message):
    with pytest.raises(RobotError, match=message):
        Urdf.from_text(text, 'tiny')


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RobotError, match=r'none\.urdf: not a readable URDF file'):
        Urdf.load(tmp_path / 'none.urdf')


@pytest.mark.parametrize(('change', 'message'), [
    (('type="sphere" size=".1"/>', 'type="ellipsoid" size=".1 .1 .1"/>'),
     'mjGEOM_ELLIPSOID, expected a capsule, a cyl'),
    (('name="c1"', 'name="c1" type="ball"'), "joint 'c1' is of type mjJNT_BALL"),
    (('</mujoco>', '<actuator><motor name="m" joint="c1"/></actuator></mujoco>'),
     "actuator 'm' has no ctrlrange"),
    (('<mujoco', '<muscle'), 'MuJoCo does not load it'),
])
def test_what_urdf_has_no_word_for_is_refused(change, message, tmp_path):
    file = tmp_path / 'awkward.xml'
    file.write_text(AWKWARD.replace(*change))
    with pytest.raises(RobotError, match=message):
        urdf_from_mjcf(file)


def test_the_command_says_where_it_cannot_write(tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'diffusion_planner_ros.commands', 'urdf', '--out',
         str(tmp_path / 'nowhere' / 'w.urdf')], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'cannot be written (No such file or directory), expected a file' in done.stderr
    assert 'Traceback' not in done.stderr
