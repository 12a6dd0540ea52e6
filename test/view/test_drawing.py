# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is drawn of a robot and of its plans, before any browser sees it."""

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from diffusion_planner_ros.errors import RobotError
from diffusion_planner_ros.messages.odometry import BaseJoint
from diffusion_planner_ros.nodes.display.markers import delete_all, plan_markers
from diffusion_planner_ros.nodes.view.marker_shapes import marker_shapes
from diffusion_planner_ros.nodes.view.page.line_colors import line_colors
from diffusion_planner_ros.nodes.view.robot.base import base_joints, base_positions
from diffusion_planner_ros.nodes.view.robot.description import find_description
from diffusion_planner_ros.nodes.view.robot.link_shapes import extent
from diffusion_planner_ros.nodes.view.robot.meshes import (
    box,
    capsule,
    cylinder,
    ellipsoid,
    joined,
    sphere,
)
from diffusion_planner_ros.nodes.view.robot.urdf_robot import UrdfRobot
from diffusion_planner_ros.planning.planner import Plan
from diffusion_planner_ros.robots.robot_folder import urdf_file
from diffusion_planner_ros.urdf_tree import Urdf

WALKER = urdf_file('walker2d')
URDF = Urdf.load(WALKER)
HEADER = Header(stamp=Time(sec=3), frame_id='world')
RED, HALF_GREEN = ColorRGBA(r=1.0, a=1.0), ColorRGBA(g=1.0, a=0.5)


def volume(vertices, faces):
    """Return the volume within triangles that look outwards, by the divergence theorem."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return (a * np.cross(b, c)).sum() / 6


@pytest.mark.parametrize(('mesh', 'expected', 'tolerance'), [
    (box(np.array([1.0, 2.0, 3.0])), 6.0, 1e-12),
    (cylinder(0.5, 2.0), np.pi * 0.25 * 2.0, 0.05),  # of a polygon with 12 corners
    (sphere(0.5), 4 / 3 * np.pi * 0.125, 0.12),
    (ellipsoid(np.array([0.5, 1.0, 2.0])), 4 / 3 * np.pi, 0.12),
    (capsule(0.5, 2.0), np.pi * (0.25 * 2.0 + 4 / 3 * 0.125), 0.08)],
    ids=['box', 'cylinder', 'sphere', 'ellipsoid', 'capsule'])
def test_shapes_are_closed_and_look_outwards(mesh, expected, tolerance):
    assert volume(*mesh) == pytest.approx(expected, rel=tolerance)
    moved = mesh[0] + [3.0, -2.0, 1.0]
    assert volume(moved, mesh[1]) == pytest.approx(volume(*mesh))  # only of a closed surface
    assert volume(*joined([mesh, (moved, mesh[1])])) == pytest.approx(2 * volume(*mesh))


def test_the_walker_stands_on_the_ground_in_the_colours_of_its_urdf():
    model = UrdfRobot(WALKER.read_text(), 'walker')
    assert model.lacking == []
    assert model.torso == 'torso'
    assert {shape.link for shape in model.shapes} == set(URDF.segments)
    assert len({shape.color for shape in model.shapes}) == 2
    standing = {joint.name: 0.0 for joint in URDF.joints} | {'rootz': 1.25}
    corners = list(extent(model.shapes, model.poses(standing)))
    low, high = np.min([c[0] for c in corners], axis=0), np.max([c[1] for c in corners], axis=0)
    assert low[2] == pytest.approx(0.0, abs=0.05)
    assert high[2] == pytest.approx(1.5, abs=0.05)
    assert model.unmeasured(standing) == []


def test_a_joint_that_nobody_measures_is_named_and_drawn_at_0():
    model = UrdfRobot(WALKER.read_text(), 'walker')
    positions = {joint.name: 0.0 for joint in URDF.joints if joint.name != 'foot_joint'}
    assert model.unmeasured(positions) == ['foot_joint']
    np.testing.assert_array_equal(model.poses(positions)['foot'][0], np.eye(3))


def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    visuals = ''.join(f'<visual><geometry>{shape}</geometry></visual>' for shape in (
        '<mesh filename="package://nobody/arm.stl"/>', '<capsule/>', '<sphere radius="0.1"/>'))
    robot = UrdfRobot(f'<robot name="r"><link name="arm">{visuals}</link></robot>', 'text')
    assert [shape.link for shape in robot.shapes] == ['arm']
    assert robot.lacking == [
        "link 'arm': mesh 'package://nobody/arm.stl' is not on this machine",
        "link 'arm': geometry is capsule, expected cylinder, sphere, box or mesh"]


def test_a_mesh_file_is_drawn_with_its_scale(tmp_path, monkeypatch):
    trimesh = pytest.importorskip('trimesh')
    file = tmp_path / 'share' / 'parts' / 'cube.stl'
    file.parent.mkdir(parents=True)
    trimesh.creation.box((1, 1, 1)).export(file)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    for name in ('package://parts/cube.stl', f'file://{file}', str(file)):
        robot = UrdfRobot(
            f'<robot name="r"><link name="a"><visual><geometry><mesh filename="{name}" '
            'scale="2 1 1"/></geometry></visual></link></robot>', 'text')
        assert robot.lacking == []
        shape, = robot.shapes
        np.testing.assert_allclose(np.ptp(shape.vertices, axis=0), [2, 1, 1])


def test_a_robot_is_described_by_its_user_its_planner_a_topic_or_its_name():
    other = '<robot name="other"><link name="base"/></robot>'
    asked = find_description('hopper', {'robot_description': other}, 'walker2d', other)
    assert (asked.text, asked.source) == (urdf_file('hopper').read_text(),
                                          str(urdf_file('hopper')))
    assert find_description(str(WALKER), {}, '', '').text == WALKER.read_text()
    assert find_description('', {'robot_description': other}, 'walker2d', '').text == other
    assert find_description('', {}, 'walker2d', other).source == 'topic robot_description'
    assert find_description('', {}, 'robot1/walker2d', '').text == WALKER.read_text()
    assert find_description('', {}, 'nobody', '') is find_description('', {}, '', '') is None
    with pytest.raises(RobotError, match="no robot 'nobody'"):
        find_description('nobody', {}, '', '')


def test_the_base_is_read_from_the_report_of_the_planner():
    assert base_joints({'odometry_joints': "('rootx=x', 'rooty=-pitch')"}) == (
        BaseJoint('rootx', 'x', 1.0), BaseJoint('rooty', 'pitch', -1.0))
    for unknown in ({}, {'odometry_joints': "('',)"}, {'odometry_joints': 'rootx'}):
        assert base_joints(unknown) == ()


def test_the_base_is_where_odometry_says_and_nowhere_if_that_says_nothing():
    msg = Odometry()
    msg.pose.pose.position.x, msg.pose.pose.orientation.w = 2.0, 1.0
    joints = (BaseJoint('rootx', 'x', 1.0), BaseJoint('rooty', 'pitch', -1.0))
    assert base_positions(msg, joints) == {'rootx': 2.0, 'rooty': 0.0}
    msg.pose.pose.position.x = float('nan')
    assert base_positions(msg, joints) == {'rooty': 0.0}
    msg.pose.pose.orientation.w = 0.0
    assert base_positions(msg, joints) == {}


def test_the_markers_of_a_plan_become_lines_by_namespace(robot):
    rng = np.random.default_rng(0)
    candidates = rng.normal(size=(5, 4, 6 + 17))
    plan = Plan(candidates, values=np.array([1.0, 5.0, 2.0, 2.5, 3.0]), action_dim=6,
                clamped=np.zeros((5, 4), bool), scores=np.array([0.0, 1.0, 0.0, 4.0, 2.0]))
    start = {joint.name: 0.1 for joint in URDF.joints}
    array = plan_markers(plan, robot, URDF, start, [start] * 3, HEADER)
    shapes = marker_shapes(array)
    assert set(shapes.lines) == {'executed', 'ghosts', 'chosen plan', 'candidates'}
    assert shapes.value == 2.5  # of the chosen one, not the largest
    n_links = len(URDF.traced)
    assert shapes.lines['candidates'].points.shape == (5 * n_links * 3, 2, 3)
    for lines in shapes.lines.values():
        assert lines.points.shape == lines.colors.shape
        assert lines.colors.dtype == np.uint8
    chosen = shapes.lines['chosen plan'].points
    np.testing.assert_array_equal(chosen[1:3, 0], chosen[:2, 1])  # one line, point after point


def marker(kind, color, points=(), *, name='walls', at=(0.0, 0.0, 0.0)):
    made = Marker(header=HEADER, ns=name, type=kind, color=color,
                  points=[Point(x=x, y=y, z=z) for x, y, z in points])
    made.scale.x, made.scale.y, made.scale.z = 1.0, 2.0, 0.5
    made.pose.position = Point(x=at[0], y=at[1], z=at[2])
    return made


def test_solids_are_put_where_their_markers_are():
    array = MarkerArray(markers=[
        *delete_all(HEADER).markers,
        marker(Marker.CUBE_LIST, HALF_GREEN, [(0.0, 0.0, 0.0), (5.0, 0.0, 0.0)]),
        marker(Marker.CYLINDER, RED, name='goals', at=(2.0, 3.0, 0.0)),
        marker(Marker.TEXT_VIEW_FACING, RED, name='text')])
    shapes = marker_shapes(array)
    assert set(shapes.solids) == {'walls', 'goals'}
    walls, goal = shapes.solids['walls'], shapes.solids['goals']
    assert volume(walls.vertices, walls.faces) == pytest.approx(2 * 1.0)
    assert np.ptp(walls.vertices, axis=0).tolist() == [6.0, 2.0, 0.5]
    assert walls.opacity == 0.5
    np.testing.assert_allclose(goal.vertices.mean(axis=0), [2.0, 3.0, 0.0], atol=1e-6)


def test_a_line_list_has_gaps_and_transparent_lines_are_paler():
    array = MarkerArray(markers=[marker(Marker.LINE_LIST, HALF_GREEN, [
        (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (5.0, 0.0, 0.0), (6.0, 0.0, 0.0)])])
    lines = marker_shapes(array).lines['walls']
    assert lines.points[:, :, 0].tolist() == [[0, 1], [5, 6]]
    red, green, blue = lines.colors[0, 0].tolist()
    assert green == 255
    assert 50 < red == blue < 128


def test_lines_get_the_light_that_the_browser_shows_in_the_colour_that_is_meant():
    """Measured in Chromium: it shows light of the first colour as the second one."""
    light = np.array([[0, 158, 115], [107, 0, 168], [0, 0, 0]], dtype=np.uint8)
    shown = np.array([[98, 208, 192], [189, 0, 210], [0, 0, 0]], dtype=np.uint8)
    np.testing.assert_allclose(line_colors(shown[:, None])[:, 0], light, atol=3)


def test_nothing_to_draw_is_no_fault():
    assert marker_shapes(MarkerArray()).lines == {}
    assert marker_shapes(delete_all(HEADER)).value is None
