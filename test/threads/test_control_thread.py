# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A thread of its own for measurements and the clock: what it serves, and what it leaves alone."""

import threading
import time

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_processes import observer, spin_for, spin_until, TIME_LIMIT
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from diffusion_planner_ros.nodes.common.topics import CLOCK
from diffusion_planner_ros.nodes.threads.control_thread import ControlThread

BLOCKED = 1.0  # [s] that a service keeps the node's executor


class Counting(SingleThreadedExecutor):
    """Counts how often it wakes up."""

    n_wakes = 0

    def get_nodes(self):
        self.n_wakes += 1
        return super().get_nodes()


class World:
    """A node with simulated time, its executor in a thread, and an observer beside it."""

    def __init__(self, observer):
        self.observer = observer
        self.node = Node('served', parameter_overrides=[Parameter('use_sim_time', value=True)])
        self.faults = []
        self.heard = []
        self.defers = None  # what a message lets the control thread do
        self.control = ControlThread(self.node, self.faults.append)
        self.node.create_subscription(
            Float64MultiArray, 'numbers', self._on_numbers, 10, callback_group=self.control.group)
        self.node.create_service(Trigger, 'block', self._block)
        self.control.start()
        self.executor = Counting()
        self.executor.add_node(self.node)
        self._is_closed = False
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.numbers = observer.create_publisher(Float64MultiArray, 'numbers', 10)
        self.clock = observer.create_publisher(Clock, CLOCK.path, 10)
        spin_until(observer, lambda: self.numbers.get_subscription_count()
                   and self.clock.get_subscription_count(), 'discovery')

    def _spin(self):
        while not self._is_closed:
            self.executor.spin_once(timeout_sec=0.1)

    def _on_numbers(self, msg):
        self.heard.append((time.monotonic(), threading.get_ident()))
        if self.defers is not None:
            self.control.defer(self.defers)
        if not msg.data:
            raise RuntimeError('a bug')

    def _block(self, request, response):
        time.sleep(BLOCKED)
        return response

    def close(self):
        self._is_closed = True
        self._thread.join()
        self.control.close()
        self.executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def world():
    with observer() as node:
        world = World(node)
        yield world
        world.close()


def test_serves_measurements_and_clock_while_a_service_blocks_the_executor(world):
    client = world.observer.create_client(Trigger, 'block')
    spin_until(world.observer, client.service_is_ready, 'service')
    asked = client.call_async(Trigger.Request())
    k = 0
    while not asked.done():
        k += 1
        message = Clock()
        message.clock.nanosec = k
        before = len(world.heard)
        deadline = time.monotonic() + TIME_LIMIT
        while len(world.heard) == before or world.node.get_clock().now().nanoseconds != k:
            assert time.monotonic() < deadline
            world.numbers.publish(Float64MultiArray(data=[1.0]))
            world.clock.publish(message)
            world.observer.spin_once()
    # All of it came while the service had the executor.
    assert k > 2
    assert len({thread for _, thread in world.heard}) == 1


def test_what_it_serves_does_not_wake_the_executor(world):
    spin_for(world.observer, 0.5)
    before, begin = world.executor.n_wakes, time.monotonic()
    for _ in range(200):
        world.numbers.publish(Float64MultiArray(data=[1.0]))
        world.clock.publish(Clock())
        time.sleep(0.005)
    spin_until(world.observer, lambda: len(world.heard) > 100, 'messages')
    # Ten a second, as it polls; each message would be one more, or a thousand.
    assert world.executor.n_wakes - before < 20 * (time.monotonic() - begin) + 20


def test_what_is_deferred_is_done_by_the_thread_that_was_called_and_another_one_serves(world):
    done, ended, is_released = [], [], threading.Event()

    def defer():
        world.defers = None
        done.append(threading.get_ident())
        is_released.wait(TIME_LIMIT)
        ended.append(True)

    def publish():
        world.numbers.publish(Float64MultiArray(data=[1.0]))

    for _ in range(10):
        is_released.clear()
        before, world.defers = len(world.heard), defer
        spin_until(world.observer, lambda n=before: publish() or len(world.heard) > n + 2,
                   'messages beside it')
        is_released.set()
        assert world.heard[before][1] == done[-1]
        assert done[-1] not in {thread for _, thread in world.heard[before + 1:]}
        spin_until(world.observer, lambda: len(ended) == len(done), 'its end')
    assert len(done) == 10


def test_what_is_deferred_is_done_even_if_the_callback_fails(world):
    done = threading.Event()
    world.defers = done.set
    world.numbers.publish(Float64MultiArray())
    assert done.wait(TIME_LIMIT)
    spin_until(world.observer, lambda: world.faults, 'fault')


def test_a_fault_of_a_callback_ends_it_and_is_passed_on(world):
    world.numbers.publish(Float64MultiArray())
    spin_until(world.observer, lambda: world.faults, 'fault')
    assert str(world.faults[0]) == 'a bug'


def test_a_clock_that_is_switched_on_later_is_served_as_well(world):
    for value in (False, True):
        world.node.set_parameters([Parameter('use_sim_time', value=value)])
    world.control.adopt_clock()
    spin_until(world.observer, world.clock.get_subscription_count, 'discovery')
    (clock,) = (s for s in world.node.subscriptions if s.topic_name == '/clock')
    assert clock.callback_group is world.control.group
    assert {e.callback_group for e in clock.event_handlers} == {world.control.group}


def test_a_subscription_may_go_while_it_is_about_to_be_waited_for(world):
    """Another thread destroys it; rclpy does not expect that of a subscription's events."""
    going = world.node.create_subscription(
        Float64MultiArray, 'others', lambda msg: None, 10, callback_group=world.control.group)
    for handler in going.event_handlers:
        handler.destroy()
    for _ in range(10):
        world.control.wake()
        time.sleep(0.01)
    world.node.destroy_subscription(going)
    assert not world.faults

    def is_heard():
        world.numbers.publish(Float64MultiArray(data=[1.0]))
        return bool(world.heard)

    spin_until(world.observer, is_heard, 'a message')
