# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Do what a line of ``ros2`` in a page does, with rclpy.

The command itself comes with an installation of ROS only. Names and types are those of the line;
they have to be those of the running nodes.
"""

import array
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
import re
import runpy
import shlex
import time
from typing import Any

from lifecycle import ACTIVATE, change, CLEANUP, CONFIGURE, DEACTIVATE, state_of
from paths import SOURCE
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import get_parameter_value, parameter_value_to_python
from rclpy.qos import QoSProfile
from ros_processes import call, spin_until
import yaml

from diffusion_planner_ros.nodes.__main__ import NODES

PACKAGE = 'diffusion_planner_ros'
TRANSITIONS = {'configure': CONFIGURE, 'activate': ACTIVATE, 'deactivate': DEACTIVATE,
               'cleanup': CLEANUP}
N_MEASURED = 20  # messages from which hz and delay are taken


@dataclass(frozen=True)
class Measured:
    """Messages of a topic, and when they came."""

    messages: list[Any]
    times: list[float]
    """On a steady clock [s]."""


class Ros2Line:
    """
    A line of ``ros2``.

    :param text: the line, as ``ros2 topic echo /joint_states --once``.
    """

    def __init__(self, text: str) -> None:
        self.text = text.replace(f'$(ros2 pkg prefix --share {PACKAGE})', str(SOURCE))
        words = shlex.split(self.text, comments=True)
        assert words[0] == 'ros2', text
        self.verb = ' '.join(words[1:3])
        self._words = words[3:]

    def do(self, node: Node) -> Any:
        """
        Do it as a node; return what ``ros2`` would print.

        :raises AssertionError: naming the line, if nobody answers, or if names or types are wrong.
        """
        return VERBS[self.verb](node, *self._words)

    @property
    def executable(self) -> str:
        """What ``ros2 run`` starts, which is one of ours."""
        assert self.verb == f'run {PACKAGE}', self.text
        assert self._words[0] in NODES, self.text
        return self._words[0]

    @property
    def arguments(self) -> list[str]:
        """What comes after that."""
        return self._words[1:]

    def launch_arguments(self) -> dict[str, str]:
        """Return what ``ros2 launch`` is told, which the launch file declares."""
        assert self.verb == f'launch {PACKAGE}', self.text
        file, *arguments = self._words
        declared = runpy.run_path(str(SOURCE / 'docs' / 'tables.py'))['launch_table'](file)
        given = dict(argument.split(':=') for argument in arguments)
        assert all(f'`{name}`' in declared for name in given), self.text
        return given


def set_parameter(node: Node, target: str, name: str, value: str) -> str:
    """Set a parameter; return the reason if it is refused, and nothing otherwise."""
    request = SetParameters.Request(
        parameters=[Parameter(name=name, value=get_parameter_value(value))])
    result = call(node, SetParameters, f'{target}/set_parameters', request).results[0]
    assert result.successful or result.reason
    return result.reason


def get_parameter(node: Node, target: str, name: str) -> Any:
    answer = call(node, GetParameters, f'{target}/get_parameters',
                  GetParameters.Request(names=[name]))
    return parameter_value_to_python(answer.values[0])


def describe_parameter(node: Node, target: str, name: str) -> str:
    answer = call(node, DescribeParameters, f'{target}/describe_parameters',
                  DescribeParameters.Request(names=[name]))
    return answer.descriptors[0].description


def set_lifecycle(node: Node, target: str, transition: str) -> bool:
    return change(node, TRANSITIONS[transition], target)


def get_lifecycle(node: Node, target: str) -> str:
    return state_of(node, target)


def call_service(node: Node, name: str, kind: str, values: str = '{}') -> Any:
    spin_until(node, lambda: name in dict(node.get_service_names_and_types()), f'service {name}')
    assert kind in dict(node.get_service_names_and_types())[name]
    service = interface(kind)
    return call(node, service, name, filled(service.Request(), yaml.safe_load(values)))


def list_nodes(node: Node) -> list[str]:
    return [f'/{name}' for name in node.get_node_names() if name != node.get_name()]


def list_topics(node: Node) -> list[str]:
    return [name for name, _ in node.get_topic_names_and_types()]


def echo(node: Node, name: str, *options: str) -> Any:
    """Return the next message of a topic."""
    assert set(options) <= {'--once'}
    return listen(node, name, 1).messages[0]


def measure_rate(node: Node, name: str) -> float:
    """Return how often messages come [Hz]."""
    times = listen(node, name, N_MEASURED).times
    return (len(times) - 1) / (times[-1] - times[0])


def measure_delay(node: Node, name: str) -> float:
    """Return how old messages are when they come, by the clock of this machine [s]."""
    now = time.time() - time.monotonic()
    heard = listen(node, name, N_MEASURED)
    ages = [t + now - (m.header.stamp.sec + m.header.stamp.nanosec * 1e-9)
            for t, m in zip(heard.times, heard.messages, strict=True)]
    return sum(ages) / len(ages)


def publish(node: Node, *words: str) -> None:
    """Publish one message to those who listen."""
    once, name, kind, values = words
    assert once == '--once'
    publisher = node.create_publisher(interface(kind), absolute(name), 1)
    try:
        spin_until(node, publisher.get_subscription_count, f'somebody who listens to {name}')
        heard = {i.topic_type for i in node.get_subscriptions_info_by_topic(absolute(name))}
        assert heard == {full_name(kind, 'msg')}
        publisher.publish(filled(interface(kind)(), yaml.safe_load(values)))
        spin_until(node, lambda: publisher.wait_for_all_acked(), 'its arrival')
    finally:
        node.destroy_publisher(publisher)


VERBS: dict[str, Callable[..., Any]] = {
    'param set': set_parameter, 'param get': get_parameter, 'param describe': describe_parameter,
    'lifecycle set': set_lifecycle, 'lifecycle get': get_lifecycle,
    'service call': call_service, 'node list': list_nodes, 'topic list': list_topics,
    'topic echo': echo, 'topic hz': measure_rate, 'topic delay': measure_delay,
    'topic pub': publish}


def listen(node: Node, name: str, n_messages: int) -> Measured:
    """Hear messages of a topic as ``ros2`` does: of the type and the quality that it has."""
    heard = Measured([], [])
    spin_until(node, lambda: node.count_publishers(absolute(name)), f'a publisher of {name}')
    offered = node.get_publishers_info_by_topic(absolute(name))[0]
    quality = QoSProfile(depth=100, reliability=offered.qos_profile.reliability,
                         durability=offered.qos_profile.durability)

    def on_message(msg: Any) -> None:
        heard.messages.append(msg)
        heard.times.append(time.monotonic())
    subscription = node.create_subscription(
        interface(offered.topic_type), absolute(name), on_message, quality)
    try:
        spin_until(node, lambda: len(heard.times) >= n_messages, f'messages of {name}')
    finally:
        node.destroy_subscription(subscription)
    return heard


def absolute(name: str) -> str:
    return f'/{name.removeprefix("/")}'


def full_name(kind: str, sort: str) -> str:
    """Return ``std_msgs/msg/String`` of ``std_msgs/String``, too, as ``ros2`` takes both."""
    package, *_, name = kind.split('/')
    return f'{package}/{sort}/{name}'


def interface(kind: str) -> type:
    """Return the class of a message or a service."""
    assert re.fullmatch(r'\w+/(msg/|srv/)?\w+', kind), kind
    package, sort, name = full_name(kind, 'srv' if '/srv/' in kind else 'msg').split('/')
    return getattr(import_module(f'{package}.{sort}'), name)


def filled(message: Any, values: dict[str, Any]) -> Any:
    """Fill a message with what YAML says; rclpy checks names and types."""
    for name, value in (values or {}).items():
        field = getattr(message, name)
        if isinstance(value, dict):
            filled(field, value)
        elif isinstance(field, array.array):
            setattr(message, name, array.array(field.typecode, value))
        else:
            setattr(message, name, float(value) if isinstance(field, float) else value)
    return message
