# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who may command: two planners never do, whatever process they are in."""

from contextlib import contextmanager

import pytest
from rclpy.node import Node
from ros_processes import observer, spin_until

from diffusion_planner_ros.errors import ConflictError
from diffusion_planner_ros.nodes.common.topics import COMMANDS, PLANNER
from diffusion_planner_ros.nodes.control.command_conflicts import CommandConflicts


@pytest.fixture
def node():
    with observer() as node:
        yield node


@contextmanager
def conflicts_of(name):
    """Give what a planner in this process sees."""
    planner = Node(name)
    try:
        yield CommandConflicts(planner, planner.default_callback_group, on_other=lambda: None)
    finally:
        planner.destroy_node()


def test_a_planner_does_not_begin_beside_one_of_the_same_process(node):
    with conflicts_of('first') as first, conflicts_of('second') as second:
        first.begin()
        with pytest.raises(ConflictError, match='is commanded by /first'):
            second.begin()
        assert node.count_publishers(COMMANDS.path) == 1
        assert first.others() == {}


def test_a_planner_sees_another_publisher_of_the_same_process(node):
    with conflicts_of('first') as first:
        first.begin()
        assert first.others() == {}
        PLANNER.publisher(node, COMMANDS)
        spin_until(node, first.others, 'the other publisher is seen')
        assert set(first.others().values()) == {'/observer'}


def test_a_planner_begins_again_after_it_ended(node):
    with conflicts_of('first') as first, conflicts_of('second') as second:
        publisher = first.begin()
        publisher.destroy()
        spin_until(node, lambda: not node.count_publishers(COMMANDS.path), 'end')
        second.begin()
