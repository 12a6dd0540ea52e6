# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot of MJCF is drawn where MuJoCo itself has its geoms."""

from pathlib import Path
import sys

import mujoco
import numpy as np
from numpy.testing import assert_allclose
import pytest

from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.nodes.view.robot.description import Description, find_description
from diffusion_planner_ros.nodes.view.robot.link_shapes import extent
from diffusion_planner_ros.nodes.view.robot.mjcf_robot import MjcfRobot
from diffusion_planner_ros.nodes.view.robot.robot_model import read_robot
from diffusion_planner_ros.nodes.view.robot.urdf_robot import UrdfRobot
from diffusion_planner_ros.robots.robot_folder import robot_folder, urdf_file
from diffusion_planner_ros.sim.mjcf import ASSETS, load_model, quiet_compiler

N_POSES = 20
TOLERANCE = 1e-6  # [m]
Geom = mujoco.mjtGeom
TETRAHEDRON = '0 0 0  .4 0 0  0 .3 0  0 0 .2'
EVERY_KIND = f"""
<mujoco><compiler angle="radian"/>
  <asset><mesh name="t" vertex="{TETRAHEDRON}"/><material name="m" rgba=".1 .9 .1 1"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1"/>
    <geom name="slope" type="plane" size="3 2 1" euler="0 .3 0" rgba=".9 .9 .9 1"/>
    <body name="b" pos="0 .1 1" quat="1 .2 -.3 .4"><joint name="j" axis="1 2 3" pos=".1 0 .2"/>
      <geom type="capsule" size=".1 .3" pos=".1 .2 .3" euler=".1 .2 .3" rgba=".9 0 0 1"/>
      <geom type="box" size=".1 .2 .3" pos="0 .2 .3" euler=".1 0 .3"/>
      <geom type="sphere" size=".2" pos="0 .4 0"/>
      <geom type="cylinder" size=".1 .3" euler=".5 0 .3"/>
      <geom type="ellipsoid" size=".1 .2 .3" pos=".3 0 0"/>
      <geom type="mesh" mesh="t" pos=".3 0 .1" euler=".4 .1 0" material="m"/>
      <geom name="collision" type="box" size="1 1 1" group="3"/>
      <geom name="air" type="box" size="1 1 1" rgba="0 0 0 0"/>
    </body>
  </worldbody></mujoco>"""


def random_positions(model, rng):
    """Return positions of all slides and hinges by joint, within 3 m and half a turn."""
    return {model.joint(i).name: rng.uniform(-np.pi, np.pi) for i in range(model.njnt)
            if model.jnt_type[i] != mujoco.mjtJoint.mjJNT_FREE}


def forward(model, positions):
    data = mujoco.MjData(model)
    for joint, position in positions.items():
        data.joint(joint).qpos = position
    mujoco.mj_forward(model, data)
    return data


def in_colors(text_or_file):
    """Return the text of a model whose geoms have a colour each, so that each is a shape."""
    spec = (mujoco.MjSpec.from_file(str(text_or_file)) if isinstance(text_or_file, Path) else
            mujoco.MjSpec.from_string(text_or_file))
    for i, geom in enumerate(spec.geoms):
        geom.rgba = [0.01 * i, 0.5, 0.5, 1.0 if geom.rgba[3] else 0.0]
    with quiet_compiler():
        spec.compile()
        return spec.to_xml()


def assert_drawn_where_mujoco_has_it(robot, model, positions):
    """
    Compare a robot ``in_colors`` with MuJoCo's own kinematics.

    :return: number of geoms that are drawn.
    """
    data, poses = forward(model, positions), robot.poses(positions)
    by_color = {shape.color: shape for shape in robot.shapes}
    for geom in range(model.ngeom):
        shape = by_color.get(tuple(model.geom_rgba[geom, :3].tolist()))
        if shape is None:
            continue
        rotation, translation = poses[shape.link]
        points = shape.vertices @ rotation.T + translation  # in the world
        assert shape.link == (model.body(model.geom_bodyid[geom]).name
                              or f'body {model.geom_bodyid[geom]}')
        middle = data.geom_xpos[geom]
        if model.geom_type[geom] != Geom.mjGEOM_MESH:
            assert_allclose(points.mean(axis=0), middle, atol=TOLERANCE)
        inside = (points - middle) @ data.geom_xmat[geom].reshape(3, 3)
        assert_on_surface(inside, model, geom)
    return len(by_color)


def assert_on_surface(points, model, geom):
    """Compare points with the surface of a geom, in its frame; some touch its ends."""
    kind, size = Geom(model.geom_type[geom]), model.geom_size[geom]
    x, y, z = points.T
    ends = np.ptp(points, axis=0) / 2
    if kind in (Geom.mjGEOM_CAPSULE, Geom.mjGEOM_SPHERE):
        half = size[1] if kind == Geom.mjGEOM_CAPSULE else 0.0
        beyond = np.maximum(np.abs(z) - half, 0.0)
        assert_allclose(np.sqrt(x ** 2 + y ** 2 + beyond ** 2), size[0], atol=TOLERANCE)
        assert ends[2] == pytest.approx(half + size[0])
    elif kind == Geom.mjGEOM_CYLINDER:
        assert np.hypot(x, y).max() == pytest.approx(size[0])
        assert_allclose(np.abs(z), size[1], atol=TOLERANCE)
    elif kind == Geom.mjGEOM_ELLIPSOID:
        assert_allclose(np.linalg.norm(points / size, axis=1), 1.0, atol=TOLERANCE / size.min())
    elif kind in (Geom.mjGEOM_BOX, Geom.mjGEOM_PLANE):
        edges = size if kind == Geom.mjGEOM_BOX else [size[0] or 10.0, size[1] or 10.0, 0.0]
        assert_allclose(np.abs(points), [edges] * len(points), atol=TOLERANCE)
    else:
        assert_allclose(points, model.mesh_vert, atol=TOLERANCE)


@pytest.mark.filterwarnings('ignore:compiler attribute')  # MuJoCo's of a model of an old style
@pytest.mark.parametrize(('name', 'n_drawn'), [
    ('hopper', 4), ('walker2d', 7), ('half_cheetah', 8), ('pusher', 20), ('ant', 13),
    ('humanoid', 17)])
def test_geoms_of_gymnasium_are_where_mujoco_has_them(name, n_drawn):
    text = in_colors(ASSETS / f'{name}.xml')
    robot = read_robot(Description(text, name))
    model = mujoco.MjModel.from_xml_string(text)
    rng = np.random.default_rng(0)
    for _ in range(N_POSES):
        positions = random_positions(model, rng)
        assert assert_drawn_where_mujoco_has_it(robot, model, positions) == n_drawn
    assert robot.mass == pytest.approx(model.body_subtreemass[0])


def test_every_kind_of_geom_is_drawn_and_what_is_not_to_be_seen_is_not():
    text = in_colors(EVERY_KIND)
    robot = read_robot(Description(text, 'text'))
    model = mujoco.MjModel.from_xml_string(text)
    # Neither the ground, which the page has, nor collisions, nor air.
    assert assert_drawn_where_mujoco_has_it(robot, model, {'j': 0.7}) == 7
    assert robot.lacking == []
    # MuJoCo turns and shifts a mesh into its principal axes: what stays are its edges.
    corners = np.array(TETRAHEDRON.split(), float).reshape(-1, 3)
    mesh = next(s for s in robot.shapes if len(s.vertices) == len(corners)
                and s.link == 'b').vertices
    lengths = [np.sort(np.linalg.norm(c[:, None] - c[None], axis=2).ravel())
               for c in (corners, mesh)]
    assert_allclose(*lengths, atol=TOLERANCE)


def test_a_geom_has_its_own_colour_or_that_of_its_material():
    robot = MjcfRobot(EVERY_KIND, 'text', None)
    colors = {shape.color for shape in robot.shapes if shape.link == 'b'}
    assert_allclose(sorted(color[0] for color in colors), [0.1, 0.5, 0.9], atol=1e-6)


def test_the_walker_of_mjcf_is_that_of_its_urdf():
    urdf = UrdfRobot(urdf_file('walker2d').read_text(), 'walker')
    robot = read_robot(Description.read(ASSETS / 'walker2d_v5.xml'))
    assert (robot.torso, robot.lacking) == (urdf.torso, [])
    limits = {joint: limit for joint, limit in urdf.effort_limits.items() if limit}
    assert robot.effort_limits == limits
    assert urdf.mass == pytest.approx(robot.mass)
    positions = random_positions(load_model(ASSETS / 'walker2d_v5.xml'), np.random.default_rng(1))
    ends = [sorted(map(list, map(np.concatenate, extent(r.shapes, r.poses(positions)))))
            for r in (urdf, robot)]
    assert_allclose(*ends, atol=0.015)  # a capsule is a cylinder and two coarse spheres there


def test_scenery_is_no_part_of_the_robot():
    robot = MjcfRobot(EVERY_KIND, 'text', None)
    assert robot.torso == 'b'
    assert {shape.link for shape in robot.shapes if shape.is_scenery} == {'world'}
    corners = np.array(list(extent(robot.shapes, robot.poses({}))))
    assert np.ptp(corners, axis=(0, 1)).max() < 2.0  # without the slope


def test_joints_that_are_no_single_number_are_named():
    robot = read_robot(Description.read(ASSETS / 'ant.xml'))
    assert robot.lacking == ["how it moves: joint 'root' is of type mjJNT_FREE, expected slides "
                             'and hinges with names']
    assert 'root' not in robot.unmeasured({})
    assert 'hip_1' in robot.unmeasured({})


def test_a_description_is_told_by_its_first_element(tmp_path):
    mjcf = (ASSETS / 'hopper.xml').read_text()
    assert isinstance(read_robot(Description(mjcf, 'topic')), MjcfRobot)
    assert isinstance(read_robot(Description(urdf_file('hopper').read_text(), 'x')), UrdfRobot)
    for text, reason in (('<sdf/>', "topic: the first element is 'sdf', expected 'robot'"),
                         ('mujoco', 'topic: not XML'),
                         ('<mujoco><actor/></mujoco>', 'topic: MuJoCo does not load it .*actor')):
        with pytest.raises(RobotError, match=reason):
            read_robot(Description(text, 'topic'))


def test_meshes_beside_a_file_are_found_and_those_of_a_text_are_missed(tmp_path):
    trimesh = pytest.importorskip('trimesh')
    trimesh.creation.box((1, 1, 1)).export(tmp_path / 'cube.stl')
    text = ('<mujoco><asset><mesh name="c" file="cube.stl"/></asset><worldbody><body><geom '
            'type="mesh" mesh="c"/><joint name="j"/></body></worldbody></mujoco>')
    file = tmp_path / 'robot.xml'
    file.write_text(text)
    robot = read_robot(find_description(str(file), {}, '', ''))
    shape, = robot.shapes
    assert shape.link == 'body 1'
    assert_allclose(np.ptp(shape.vertices, axis=0), [1, 1, 1])
    with pytest.raises(RobotError, match='parameter robot to the path of the file'):
        read_robot(find_description('', {}, '', text))


def test_a_folder_without_urdf_is_drawn_from_the_model_of_its_task(tmp_path):
    folder = tmp_path / 'bare'
    folder.mkdir()
    for name in ('layout.yaml', 'task.yaml'):
        (folder / name).write_text((robot_folder('hopper') / name).read_text())
    assert find_description(str(folder), {}, '', '').source == str(ASSETS / 'hopper.xml')


def test_without_mujoco_mjcf_says_what_to_do(monkeypatch):
    monkeypatch.delitem(sys.modules, MjcfRobot.__module__)
    monkeypatch.setitem(sys.modules, 'mujoco', None)  # as if it were not installed
    with pytest.raises(RobotError, match=r"topic: it is MJCF, and 'mujoco' is not installed, which"
                       r" reads it; expected a URDF, or pip install 'diffusion_planner_ros\[sim"):
        read_robot(Description('<mujoco/>', 'topic'))
