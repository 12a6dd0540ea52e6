# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Topic ``cmd_vel``: what is followed, for how long, and what is refused; once over real DDS."""

import time

from driver import Driver, SETTINGS
from geometry_msgs.msg import Twist, TwistStamped, Vector3
import numpy as np
import pytest
from ros_processes import spin_for, spin_until

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.messages.stamps import NANOSECONDS
from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds
from diffusion_planner_ros.nodes.common.topics import CMD_VEL
from diffusion_planner_ros.nodes.control.speed_command import SpeedCommand, SpeedCommandConfig
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file

# Plans are pushed, so that any change of the speed shows.
SPEED = {'guides': ('learned_value', 'speed'), 'guide_weights': (1.0, 5.0),
         'guidance_strength': 0.5}


@pytest.fixture
def node(kept):
    with kept.observer() as node:
        yield node


@pytest.fixture
def warnings(node, monkeypatch):
    """Give what the node warns of."""
    said = []
    logger = type('Logger', (), {'warning': lambda self, text, **_: said.append(text)})()
    monkeypatch.setattr(node, 'get_logger', lambda: logger)
    return said


@pytest.fixture(scope='module')
def bundle():
    return Bundle.load(share_file('models/walker2d'))


@pytest.fixture
def command(node):
    command = SpeedCommand(node, SpeedCommandConfig())
    yield command
    command.destroy()


def twist(speed, **angular):
    return Twist(linear=Vector3(x=float(speed)), angular=Vector3(**angular))


def stamped(speed, age=0.0, frame=''):
    msg = TwistStamped(twist=twist(speed))
    msg.header.stamp = stamp_from_nanoseconds(time.time_ns() - round(age * NANOSECONDS))
    msg.header.frame_id = frame
    return msg


def planned(planner, walker):
    return planner.plan(walker.state).actions


def test_a_planner_keeps_its_speed_until_the_first_command_and_then_follows(command, bundle,
                                                                            walker):
    planner = Planner(bundle, PlannerConfig(target_speed=3.0, **SPEED))
    first = planned(planner, walker)
    command.steer(planner)
    np.testing.assert_array_equal(planned(planner, walker), first)
    command.on_twist(twist(0.5))
    command.steer(planner)
    expected = Planner(bundle, PlannerConfig(target_speed=0.5, **SPEED))
    np.testing.assert_array_equal(planned(planner, walker), planned(expected, walker))
    assert np.abs(planned(planner, walker) - first).max() > 0


def test_an_old_command_counts_as_zero(node):
    command = SpeedCommand(node, SpeedCommandConfig(cmd_vel_timeout=0.05))
    assert command.speed is None
    command.on_twist(twist(0.7))
    assert command.speed == 0.7
    time.sleep(0.06)
    assert command.speed == 0.0
    command.destroy()


def test_a_command_from_before_a_jump_of_time_counts_as_zero(command):
    command.on_twist(twist(0.7))
    command.forget()
    assert command.speed == 0.0


def test_a_command_that_is_not_finite_is_refused_and_the_one_before_stays(command, warnings):
    command.on_twist(twist(0.7))
    command.on_twist(twist(float('nan')))
    assert command.speed == 0.7
    assert warnings == ["command on 'cmd_vel' refused: linear.x is nan, expected a finite number "
                        '[m/s]']


def test_speeds_beyond_the_limits_are_cut(node):
    command = SpeedCommand(node, SpeedCommandConfig(cmd_vel_limits=(0.0, 2.0)))
    for asked, followed in ((3.0, 2.0), (-1.0, 0.0), (1.5, 1.5)):
        command.on_twist(twist(asked))
        assert command.speed == followed
    command.destroy()


def test_limits_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match=r'cmd_vel_limits is \(2.0, 1.0\), expected two speeds'):
        SpeedCommandConfig(cmd_vel_limits=(2.0, 1.0))


def test_what_cannot_be_followed_is_named(command, warnings):
    command.on_twist(twist(0.7, z=0.3))
    assert command.speed == 0.7
    assert 'angular.z is ignored' in warnings[0]


@pytest.mark.parametrize(('msg', 'reason'), [
    (stamped(0.7, frame='map'), "its frame is 'map', expected 'base_link' (cmd_vel_frame)"),
    (stamped(0.7, age=3600.0, frame='base_link'), 's old, expected at most 0.5 s'),
    (stamped(0.7, age=-3600.0, frame='base_link'), 's in the future, expected at most 0.5 s'),
])
def test_a_stamped_command_of_another_frame_or_time_is_refused(node, warnings, msg, reason):
    command = SpeedCommand(node, SpeedCommandConfig(use_stamped_vel=True,
                                                    cmd_vel_frame='base_link'))
    command.on_stamped(msg)
    assert command.speed is None
    assert reason in warnings[0]
    command.destroy()


def test_the_age_of_a_stamped_command_counts_from_its_stamp(node):
    command = SpeedCommand(node, SpeedCommandConfig(use_stamped_vel=True, cmd_vel_timeout=0.5))
    command.on_stamped(stamped(0.7, age=0.45))
    assert command.speed == 0.7
    time.sleep(0.1)
    assert command.speed == 0.0
    command.on_stamped(TwistStamped(twist=twist(0.3)))  # no stamp: of now
    assert command.speed == 0.3
    command.destroy()


def test_without_the_guide_a_command_is_reported_once_and_changes_nothing(command, warnings,
                                                                          bundle, walker):
    planner = Planner(bundle, PlannerConfig())
    before = planned(planner, walker)
    command.on_twist(twist(1.0))
    for _ in range(3):
        command.steer(planner)
    np.testing.assert_array_equal(planned(planner, walker), before)
    assert len(warnings) == 1
    assert "guides is learned_value, expected 'speed' among them" in warnings[0]


def test_a_planner_without_the_guide_cannot_be_told_a_speed(bundle):
    with pytest.raises(ConfigError, match="expected 'speed' among them"):
        Planner(bundle, PlannerConfig()).aim_speed(1.0)


def test_a_node_follows_the_topic_and_an_old_command_is_zero(kept, bundle, walker):
    process = kept.start('planner', **SETTINGS, cmd_vel_timeout=0.08,
                         **{name: list(value) if isinstance(value, tuple) else value
                            for name, value in SPEED.items()})
    with kept.observer() as node:
        commands = node.create_publisher(Twist, CMD_VEL.path, 1)
        driver = Driver(node)
        spin_until(node, lambda: driver.is_connected() and commands.get_subscription_count(),
                   'planner', process)

        def answer_of(step, speed):
            planner = Planner(bundle, PlannerConfig(target_speed=speed, **SPEED))
            return planner.plan(walker.state, step=step).actions[0]

        driver.set_clock(0)
        torque = driver.answer(0, walker.qpos, walker.qvel)
        np.testing.assert_array_equal(torque, answer_of(0, PlannerConfig().target_speed))
        for step, speed in ((1, 1.0), (2, 2.0)):
            commands.publish(twist(speed))
            spin_for(node, 0.3)  # simulated time stands still: the command stays new
            torque = driver.answer(step, walker.qpos, walker.qvel)
            np.testing.assert_array_equal(torque, answer_of(step, speed))
        torque = driver.answer(20, walker.qpos, walker.qvel)  # 0.144 s later
        np.testing.assert_array_equal(torque, answer_of(20, 0.0))
