# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is drawn is what is planned: every line is compared with MuJoCo's own kinematics."""

from dataclasses import replace
from functools import partial
import threading
import time

import mujoco
from nav_msgs.msg import Path as PathMsg
import numpy as np
from numpy.testing import assert_allclose
from paths import SOURCE
import pytest
from rclpy.node import Node
from ros_processes import spin_for, spin_until
from visualization_msgs.msg import Marker, MarkerArray
from walker import Walker2D
import yaml

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.messages.stamps import nanoseconds_from_stamp
from diffusion_planner_ros.nodes.common.conversions import joint_positions, msg_from_plan
from diffusion_planner_ros.nodes.display import markers, plan_display
from diffusion_planner_ros.nodes.display.plan_display import DisplayConfig, PlanDisplay, Shown
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Plan, Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.robots.robot_folder import urdf_file
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.urdf_tree import Urdf

PERIOD = 8_000_000  # [ns]
STAMP = 5 * PERIOD
N_WALKED = 40
GEOM_OF = {'torso': 'torso_geom', 'foot': 'foot_geom', 'foot_left': 'foot_left_geom'}


@pytest.fixture(scope='module')
def planner():
    return Planner(Bundle.load(share_file('models/walker2d')), PlannerConfig())


@pytest.fixture(scope='module')
def urdf():
    return Urdf.load(urdf_file('walker2d'))


class Moment:
    """A walking robot: where it was, where it is, and what it plans."""

    def __init__(self, planner):
        walker = Walker2D()
        self.state = walker.reset(seed=1)
        self.executed = []
        for step in range(N_WALKED):
            self.executed.append(self.positions(walker))
            self.plan = planner.plan(self.state, step=step)
            self.state, _, _ = walker.step(self.plan.actions[0])
        self.start = self.positions(walker)
        self.redo = partial(planner.plan, self.state, step=N_WALKED)
        self.plan = self.redo()
        self.robot = planner.bundle.robot

    @staticmethod
    def positions(walker):
        return dict(zip(walker.joint_names, walker.qpos.tolist(), strict=True))


@pytest.fixture(scope='module')
def moment(planner):
    return Moment(planner)


@pytest.fixture(scope='module')
def drawn(moment, urdf):
    return markers.plan_markers(moment.plan, moment.robot, urdf, moment.start, moment.executed,
                                markers.header_at(STAMP, 'world'))


@pytest.fixture
def screen(kept):
    with kept.observer() as node:
        yield node


def named(array, namespace):
    return [m for m in array.markers if m.ns == namespace]


def points_of(marker):
    return np.array([(p.x, p.y, p.z) for p in marker.points])


def mujoco_at(positions):
    """Return MuJoCo's data at joint positions by name."""
    walker = Walker2D()
    walker.data.qpos[:] = [positions[name] for name in walker.joint_names]
    mujoco.mj_forward(walker.model, walker.data)
    return walker.data


def planned_positions(moment, candidate, k):
    """Return the planned joint positions, worked out from the rows of the plan one by one."""
    rows = moment.plan.candidates[candidate, :, moment.plan.action_dim:]
    x = moment.start['rootx'] + sum(0.008 * row[8] for row in rows[:k])
    names = ['rootz', 'rooty', 'thigh_joint', 'leg_joint', 'foot_joint', 'thigh_left_joint',
             'leg_left_joint', 'foot_left_joint']
    return {'rootx': x, **dict(zip(names, rows[k, :8], strict=True))}


def assert_line_is_path(marker, link, moment, candidate):
    expected = [mujoco_at(planned_positions(moment, candidate, k)).geom(GEOM_OF[link]).xpos
                for k in range(moment.plan.candidates.shape[1])]
    assert_allclose(points_of(marker), np.array(expected), atol=1e-6)


def test_chosen_lines_lie_where_mujoco_has_torso_and_feet(drawn, moment):
    chosen = named(drawn, markers.CHOSEN)
    assert [m.text for m in chosen] == ['torso', 'foot', 'foot_left']
    for marker in chosen:
        assert_line_is_path(marker, marker.text, moment, moment.plan.best)


def test_candidates_lie_where_they_go_and_are_coloured_by_value(drawn, moment):
    lines = named(drawn, markers.CANDIDATES)
    order = np.argsort(moment.plan.values)
    assert len(lines) == 3 * len(order)
    for i, marker in enumerate(lines):
        candidate = order[i // 3]
        assert_line_is_path(marker, list(GEOM_OF)[i % 3], moment, candidate)
        assert_allclose(float(marker.text), moment.plan.values[candidate], rtol=1e-5)
    for marker, stop in ((lines[0], markers.VALUE_COLORS[0]),
                         (lines[-1], markers.VALUE_COLORS[-1])):
        assert_allclose([marker.color.r, marker.color.g, marker.color.b], stop, atol=1e-6)


def test_executed_states_without_the_position_of_a_joint_are_left_out(moment, urdf):
    def drawn(executed, start=moment.start):
        array = markers.plan_markers(moment.plan, moment.robot, urdf, start, executed,
                                     markers.header_at(STAMP, 'world'))
        return [points_of(m).tolist() for m in named(array, markers.EXECUTED)]

    unmeasured = {k: v for k, v in moment.executed[1].items() if k != 'rootx'}
    whole = [moment.executed[0], *moment.executed[2:]]
    assert drawn([moment.executed[0], unmeasured, *moment.executed[2:]]) == drawn(whole)
    assert drawn([unmeasured]) == []
    start = {k: v for k, v in moment.start.items() if k != 'rootx'}
    assert drawn(moment.executed, start) == drawn(moment.executed[:-1], moment.executed[-1])


def test_ghosts_begin_with_the_robot_as_it_stands_and_fade(drawn, moment):
    ghosts = named(drawn, markers.GHOSTS)
    assert len(ghosts) == markers.N_GHOSTS
    walker, data = Walker2D(), mujoco_at(moment.start)
    expected = set()
    for geom in range(1, walker.model.ngeom):
        half = walker.model.geom_size[geom, 1] * data.geom_xmat[geom].reshape(3, 3)[:, 2]
        expected |= {tuple((data.geom_xpos[geom] + sign * half).round(4) + 0.0)
                     for sign in (-1, 1)}
    assert {tuple(p.round(4) + 0.0) for p in points_of(ghosts[0])} == expected
    alphas = [m.color.a for m in ghosts]
    assert alphas == sorted(alphas, reverse=True)
    assert alphas[-1] < alphas[0]


def test_the_executed_path_leads_to_the_plan(drawn, moment):
    paths, chosen = named(drawn, markers.EXECUTED), named(drawn, markers.CHOSEN)
    assert len(paths) == len(chosen) == 3
    for path, plan in zip(paths, chosen, strict=True):
        assert len(path.points) == len(path.colors) == N_WALKED + 1
        assert_allclose(points_of(path)[-1], points_of(plan)[0], atol=1e-6)
        first = mujoco_at(moment.executed[0]).geom(GEOM_OF[plan.text]).xpos
        assert_allclose(points_of(path)[0], first, atol=1e-6)
        assert path.colors[0].a < path.colors[-1].a


def test_every_drawing_replaces_the_last_and_is_well_formed(drawn):
    assert drawn.markers[0].action == Marker.DELETEALL
    lines = drawn.markers[1:]
    keys = [(m.ns, m.id) for m in lines]
    assert len(set(keys)) == len(keys)
    for marker in lines:
        assert marker.header.frame_id == 'world'
        assert marker.header.stamp.nanosec == STAMP
        assert len(marker.points) >= 2
        assert marker.scale.x > 0
        assert marker.pose.orientation.w == 1.0


def test_the_path_has_the_torsos_poses_and_times(moment, urdf):
    path = markers.plan_path(moment.plan, moment.robot, urdf, moment.start,
                             markers.header_at(STAMP, 'map'))
    assert path.header.frame_id == 'map'
    for k, pose in enumerate(path.poses):
        data = mujoco_at(planned_positions(moment, moment.plan.best, k))
        place, turn = pose.pose.position, pose.pose.orientation
        assert_allclose([place.x, place.y, place.z], data.body('torso').xpos, atol=1e-6)
        expected = data.body('torso').xquat
        assert_allclose([turn.w, turn.x, turn.y, turn.z], expected * np.sign(expected[0]),
                        atol=1e-6)
        assert pose.header.stamp.nanosec == STAMP + k * PERIOD


def test_of_very_many_candidates_a_choice_is_drawn_worst_and_best_included(moment, urdf):
    candidates = np.repeat(moment.plan.candidates, 25, axis=0)
    plan = Plan(candidates, np.linspace(5.0, 6.0, 100)[::-1],
                np.repeat(moment.plan.clamped, 25, axis=0), moment.plan.action_dim,
                scores=np.linspace(5.0, 6.0, 100)[::-1])
    array = markers.plan_markers(plan, moment.robot, urdf, moment.start, [],
                                 markers.header_at(0, 'world'))
    lines = named(array, markers.CANDIDATES)
    assert len(lines) == 3 * markers.MAX_DRAWN
    assert (lines[0].text, lines[-1].text) == ('5', '6')
    assert named(array, markers.EXECUTED) == []


def test_equal_values_have_the_best_colour():
    assert_allclose(markers.value_colors(np.full(3, 7.0)), [markers.VALUE_COLORS[-1]] * 3)


def test_positions_follow_from_velocities_where_the_state_has_none(moment):
    states = moment.plan.candidates[..., moment.plan.action_dim:]
    positions = joint_positions(states, moment.robot, {'rootx': 2.0})
    assert list(positions) == [*dict.fromkeys(e.joint for e in moment.robot.state)]
    velocity = states[..., 8]
    assert_allclose(np.diff(positions['rootx'], axis=-1), 0.008 * velocity[..., :-1], atol=1e-12)
    assert_allclose(positions['rootx'][:, 0], 2.0)
    assert_allclose(positions['leg_joint'], states[..., 3])


def test_the_trajectory_message_has_the_same_positions(moment):
    msg = msg_from_plan(moment.plan, moment.robot, STAMP, moment.start)
    positions = joint_positions(moment.plan.states, moment.robot, moment.start)
    assert msg.joint_names == list(positions)
    for k, point in enumerate(msg.points):
        assert list(point.positions) == [p[k] for p in positions.values()]


def test_denoising_is_seen_from_noise_to_plan(planner, moment):
    steps = []
    few = Planner(planner.bundle, replace(planner.config, n_denoise_steps=4))
    plan = few.plan(moment.state, step=3, on_step=lambda t, x_t: steps.append((t, x_t)))
    assert [t for t, _ in steps] == [20, 15, 10, 5, 0]
    unseen = few.plan(moment.state, step=3)
    # One goes step by step, the other is one graph.
    assert_allclose(plan.candidates, unseen.candidates, atol=1e-3)
    n_action = plan.action_dim
    last = planner.bundle.normalizer.unnormalize(steps[-1][1].astype(np.float64))
    np.testing.assert_array_equal(last[..., n_action:], plan.candidates[..., n_action:])
    spread = [float(x_t.std(axis=0).mean()) for _, x_t in steps]  # the candidates come together
    assert spread == sorted(spread, reverse=True)
    for _, x_t in steps:
        assert_allclose(x_t[:, 0, n_action:], steps[0][1][:, 0, n_action:])  # the known state


def test_a_denoising_step_says_its_time_and_keeps_the_values_colours(moment, urdf):
    states = moment.plan.candidates[..., moment.plan.action_dim:]
    array = markers.denoising_markers(states, moment.plan, 12, 20, moment.robot, urdf,
                                      moment.start, markers.header_at(STAMP, 'world'))
    assert markers.diffusion_time(array) == (12, 20)
    lines = named(array, markers.DENOISING)
    assert len(lines) == 3 * len(moment.plan.values)
    assert_line_is_path(lines[-3], 'torso', moment, moment.plan.best)
    text = named(array, markers.DENOISING_TIME)[0]
    assert text.text.startswith('t = 12')
    assert text.pose.position.z > moment.start['rootz']
    assert named(array, markers.CHOSEN) == []


def test_the_last_denoising_step_shows_which_candidate_was_chosen(moment, urdf):
    states = moment.plan.candidates[..., moment.plan.action_dim:]
    array = markers.denoising_markers(states, moment.plan, 0, 20, moment.robot, urdf,
                                      moment.start, markers.header_at(STAMP, 'world'))
    chosen = named(array, markers.CHOSEN)
    assert [m.text for m in chosen] == list(urdf.traced)
    assert_line_is_path(chosen[0], 'torso', moment, moment.plan.best)
    assert len(named(array, markers.GHOSTS)) == markers.N_GHOSTS


def test_other_markers_have_no_diffusion_time(drawn):
    assert markers.diffusion_time(drawn) is None


def test_the_rviz_config_shows_what_is_published(screen, urdf):
    """A display of rviz2 for every topic, of the class that its type needs."""
    config = yaml.safe_load((SOURCE / 'config' / 'simulation.rviz').read_text())
    manager = config['Visualization Manager']
    displays = {d['Name']: d for d in manager['Displays']}
    planner_node = Node('planner')
    display = PlanDisplay(planner_node, urdf, DisplayConfig())
    try:
        published = dict(planner_node.get_publisher_names_and_types_by_node('planner', '/'))
    finally:
        display.close()
        planner_node.destroy_node()
    types = {'MarkerArray': 'visualization_msgs/msg/MarkerArray', 'Path': 'nav_msgs/msg/Path'}
    for display in displays.values():
        plugin = display['Class'].removeprefix('rviz_default_plugins/')
        if plugin in types:
            # Relative, so that rviz2 looks in its own namespace.
            assert published[f'/{display["Topic"]["Value"]}'] == [types[plugin]]
        else:
            assert plugin in ('Grid', 'RobotModel', 'TF')
        assert display['Enabled'] == display['Value']
    shown = {d['Topic']['Value'] for d in displays.values() if 'Topic' in d}
    assert shown == {'planner/markers', 'planner/denoising', 'planner/plan_path'}
    assert not displays['Denoising']['Enabled']
    assert displays['Robot']['Description Topic'] == {
        'Value': 'robot_description', 'Depth': 5, 'Durability Policy': 'Transient Local',
        'History Policy': 'Keep Last', 'Reliability Policy': 'Reliable'}
    assert manager['Global Options']['Fixed Frame'] == DisplayConfig().frame_id == urdf.root
    assert manager['Views']['Current']['Target Frame'] in urdf.traced


@pytest.mark.parametrize(('name', 'value'), [('marker_rate', 0.0), ('executed_time', -1.0)])
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f'{name} is {value}'):
        DisplayConfig(**{name: value})


def listen(node, topic, kind):
    heard = []
    node.create_subscription(kind, f'shower/{topic}', heard.append, 10)
    return heard


def shown(node, urdf, **settings):
    shower = Node('shower')
    return shower, PlanDisplay(shower, urdf, DisplayConfig(marker_rate=50.0, **settings))


def drawing_threads():
    return [t for t in threading.enumerate() if t.name.startswith('display')]


def test_the_display_draws_what_is_subscribed_and_forget(screen, planner, moment, urdf):
    shower, display = shown(screen, urdf, executed_time=0.08)
    try:
        paths = listen(screen, 'plan_path', PathMsg)
        arrays = listen(screen, 'markers', MarkerArray)
        for k in range(N_WALKED):
            display.show(Shown(planner, moment.plan, k * PERIOD, moment.executed[k], moment.redo))
        display.show(Shown(planner, moment.plan, N_WALKED * PERIOD, moment.start, moment.redo))
        spin_until(screen, lambda: paths and arrays, 'path and markers')
        chosen = named(arrays[-1], markers.CHOSEN)
        assert_line_is_path(chosen[0], 'torso', moment, moment.plan.best)
        # 24 ms apart (50 Hz at most), 80 ms back, and where the robot is now
        assert len(named(arrays[-1], markers.EXECUTED)[0].points) in (4, 5)
        display.forget()
        spin_until(screen, lambda: len(arrays[-1].markers) == 1, 'an empty screen')
        assert arrays[-1].markers[0].action == Marker.DELETEALL
        spin_until(screen, lambda: not paths[-1].poses, 'an empty path')
    finally:
        display.close()
        shower.destroy_node()
    assert not drawing_threads()


def test_a_plan_that_is_on_the_screen_is_not_drawn_again(screen, planner, moment, urdf):
    shower, display = shown(screen, urdf)
    try:
        arrays = listen(screen, 'markers', MarkerArray)
        display.show(Shown(planner, moment.plan, STAMP, moment.start, moment.redo))
        spin_until(screen, lambda: arrays, 'markers')
        spin_for(screen, 0.3)
        assert len(arrays) == 1
    finally:
        display.close()
        shower.destroy_node()


def test_what_is_drawn_is_a_plan_that_has_just_come_and_none_that_has_waited(
        screen, planner, moment, urdf, monkeypatch):
    """Right after a plan there is time until the next state; before it, drawing delays a plan."""
    monkeypatch.setattr(plan_display, 'MAX_WAIT', 60.0)  # for the next plan
    shower = Node('shower')
    display = PlanDisplay(shower, urdf, DisplayConfig(marker_rate=0.5))
    first, second, third = (Shown(planner, moment.plan, (k + 1) * STAMP, moment.start, moment.redo)
                            for k in range(3))
    try:
        arrays = listen(screen, 'markers', MarkerArray)
        while not arrays:
            display.show(first)
            spin_for(screen, 0.05)
        display.show(second)  # before it is time to draw again
        spin_for(screen, 2.5)  # and now it is
        assert len(arrays) == 1
        display.show(third)
        spin_until(screen, lambda: len(arrays) > 1, 'the next plan')
        assert [nanoseconds_from_stamp(a.markers[0].header.stamp) for a in arrays] == [
            first.stamp, third.stamp]
    finally:
        display.close()
        shower.destroy_node()


def test_denoising_is_shown_step_by_step(screen, planner, moment, urdf):
    shower, display = shown(screen, urdf)
    try:
        arrays = listen(screen, 'denoising', MarkerArray)
        display.show(Shown(planner, moment.plan, STAMP, moment.start, moment.redo))

        def times():
            return [markers.diffusion_time(a)[0] for a in arrays]

        spin_until(screen, lambda: 0 in times(), 'the end of denoising')
        seen = times()[:times().index(0) + 1]
        assert seen == sorted(seen, reverse=True)
        # Every step of the plan that was made, and no other one.
        assert len(seen) == planner.config.n_denoise_steps + 1
        ends = next(a for a in arrays if markers.diffusion_time(a)[0] == 0)
        drawn = {m.text: m for m in named(ends, markers.DENOISING)}  # by value, the last link's
        assert len(drawn) == len(moment.plan.values)
        assert f'{moment.plan.value:.3g}' in {f'{float(text):.3g}' for text in drawn}
    finally:
        display.close()
        shower.destroy_node()


def test_a_fault_in_drawing_is_reported_once_and_harms_nobody(screen, planner, moment, capfd):
    gripper = Urdf.from_text(
        '<robot name="other"><link name="a"/><link name="b"/><joint name="finger" '
        'type="prismatic"><parent link="a"/><child link="b"/></joint></robot>', 'other')
    shower, display = shown(screen, gripper)
    try:
        listen(screen, 'markers', MarkerArray)
        deadline = time.monotonic() + 10.0
        reported = ''
        for k in range(100_000):
            display.show(Shown(planner, moment.plan, k * PERIOD, moment.start, moment.redo))
            spin_for(screen, 0.02)
            reported += capfd.readouterr().err
            if 'drawing has ended' in reported:
                break
            assert time.monotonic() < deadline
        assert 'no position for joint finger' in reported
        assert 'Traceback' in reported
        display.show(Shown(planner, moment.plan, k * PERIOD, moment.start, moment.redo))
        display.forget()
        spin_for(screen, 0.2)
        assert 'drawing has ended' not in capfd.readouterr().err
    finally:
        display.close()
        shower.destroy_node()
