# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Topic ``~/obstacles``: what is taken, for how long, and what is refused."""

import re
import time

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
import numpy as np
from numpy.testing import assert_allclose
import pytest
from ros_processes import spin_until
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from diffusion_planner_ros.goals.obstacle import Disc
from diffusion_planner_ros.nodes.common.topics import OBSTACLES, PLANNER
from diffusion_planner_ros.nodes.navigation.obstacle_topic import ObstacleTopic
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file


@pytest.fixture
def node(kept):
    with kept.observer() as node:
        yield node


@pytest.fixture
def topic(node):
    topic = ObstacleTopic(node, 'world')
    yield topic
    topic.destroy()


@pytest.fixture
def warnings(node, monkeypatch):
    """Give what the node warns of."""
    said = []
    logger = type('Logger', (), {'warning': lambda self, text, **_: said.append(text)})()
    monkeypatch.setattr(node, 'get_logger', lambda: logger)
    return said


def marker(number=0, **changes):
    """Return a cylinder of 40 cm at (1, 2) m."""
    scale = Vector3(**{'x': 0.4, 'y': 0.4, 'z': 1.0, **changes.pop('scale', {})})
    pose = Pose(position=Point(x=1.0, y=2.0), orientation=Quaternion(**changes.pop('turn', {})))
    return Marker(**{'header': Header(frame_id='world'), 'ns': 'people', 'id': number,
                     'type': Marker.CYLINDER, 'pose': pose, 'scale': scale, **changes})


def test_an_obstacle_comes_over_dds(node, topic):
    publisher = node.create_publisher(Marker, PLANNER.name_of(OBSTACLES), 10)
    spin_until(node, publisher.get_subscription_count, 'a subscription')
    publisher.publish(marker())
    spin_until(node, lambda: topic.obstacles, 'an obstacle')
    assert topic.obstacles == (Disc((1.0, 2.0), 0.2),)


def test_a_cube_is_a_box_that_is_turned(topic):
    topic.on_marker(marker(type=Marker.CUBE, scale={'x': 2.0},
                           turn={'z': np.sin(0.3), 'w': np.cos(0.3)}))
    box, = topic.obstacles
    assert_allclose([*box.centre, *box.half, box.yaw], [1.0, 2.0, 1.0, 0.2, 0.6])


def test_namespace_and_number_identify_an_obstacle(topic):
    for msg in (marker(0), marker(1), marker(0, ns='cars'), marker(1, scale={'x': 1.0})):
        topic.on_marker(msg)
    assert [obstacle.radius for obstacle in topic.obstacles] == [0.2, 0.5, 0.2]
    topic.on_marker(marker(1, action=Marker.DELETE))
    topic.on_marker(marker(7, action=Marker.DELETE))  # that never was
    assert len(topic.obstacles) == 2
    topic.on_marker(marker(action=Marker.DELETEALL, ns='cars'))
    assert len(topic.obstacles) == 1
    topic.on_marker(marker(action=Marker.DELETEALL, ns=''))
    assert topic.obstacles == ()


def test_an_obstacle_is_gone_after_its_lifetime_or_a_jump_of_time(topic):
    topic.on_marker(marker(0, lifetime=Duration(nanosec=50_000_000)))
    topic.on_marker(marker(1))
    assert len(topic.obstacles) == 2
    time.sleep(0.06)
    assert len(topic.obstacles) == 1
    topic.on_marker(marker(2, lifetime=Duration(sec=60)))
    topic.forget()
    assert len(topic.obstacles) == 1


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'type': Marker.SPHERE}, r'its type is 2, expected 3 \(CYLINDER\) or 1 \(CUBE\)'),
    ({'header': Header(frame_id='map')}, r"in frame 'map', expected 'world' \(frame_id\)"),
    ({'scale': {'y': 0.0}}, 'its scale is 0.4 by 0 m, expected sizes above 0'),
    ({'scale': {'x': float('nan')}}, 'nan.*, expected finite numbers'),
    ({'turn': {'w': 0.0}}, 'its orientation is zero'),
    ({'turn': {'x': 0.5, 'w': 0.8}}, 'leans, expected it upright'),
    ({'action': 1}, r'its action is 1, expected 0 \(ADD\)')],
    ids=['type', 'frame', 'size', 'not finite', 'no turn', 'leans', 'action'])
def test_what_is_no_obstacle_is_refused_with_the_reason(topic, warnings, changes, reason):
    topic.on_marker(marker())
    topic.on_marker(marker(**changes))
    assert topic.obstacles == (Disc((1.0, 2.0), 0.2),)  # the one before stays
    assert len(warnings) == 1
    assert "obstacle 'people' 0 refused: " in warnings[0]
    assert re.search(reason, warnings[0])


def test_there_may_be_many_but_not_too_many(topic, warnings):
    for number in range(65):
        topic.on_marker(marker(number))
    assert len(topic.obstacles) == 64
    assert 'there are 64 already' in warnings[0]


def test_planners_evade_what_is_there_and_a_plan_into_it_is_warned_of(topic, warnings):
    bundle = Bundle.load(share_file('models/point_maze'))
    planner, state = Planner(bundle, PlannerConfig(**Preset.load('maze').planner)), np.zeros(4)
    state[:2] = 0.5, 1.0
    free = planner.plan(state)
    topic.on_marker(marker(pose=Pose(position=Point(x=0.8, y=1.0))))
    topic.steer(planner)
    topic.watch(planner, planner.plan(state))  # 0.1 m inside: it cannot be helped at once
    assert 'the plan leads' in warnings[0]
    topic.on_marker(marker(action=Marker.DELETE))
    topic.steer(planner)
    np.testing.assert_array_equal(planner.plan(state).candidates, free.candidates)
    topic.watch(planner, free)
    assert len(warnings) == 1


def test_without_the_guide_obstacles_are_reported_once(topic, warnings):
    planner = Planner(Bundle.load(share_file('models/point_maze')), PlannerConfig())
    topic.steer(planner)
    topic.on_marker(marker())
    for _ in range(3):
        topic.steer(planner)
    assert len(warnings) == 1
    assert "guides is learned_value, expected 'obstacles' among them" in warnings[0]
