# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Start our nodes as processes for a test, on a domain of their own, and leave none behind."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, ExitStack
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_domain import taken_domain
import yaml

from diffusion_planner_ros.experiments.ros.service_calls import ask
from diffusion_planner_ros.nodes.common.join_graph import join_graph

TIME_LIMIT = 30.0  # [s] for any condition; a healthy one takes a second
STOP_TIME = 10.0  # [s] for a node to end after SIGINT
ENTITIES = ('publisher', 'subscription', 'client', 'service', 'timer')  # that a node has


def environment() -> dict[str, str]:
    """Return an environment whose ROS domain no other test run uses."""
    domain, _ = taken_domain()
    return {**os.environ, 'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1'}


class NodeProcess:
    """A running node and what it printed."""

    def __init__(self, module: str, parameters: dict, folder: Path, name: str = '', *,
                 remaps: Iterable[str] = ()) -> None:
        name = name or module
        parameter_file = folder / f'{name}.yaml'
        parameter_file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
        self._log = folder / f'{name}.log'
        self._begin = 0  # where the output begins that counts [bytes]
        self.n_uses = 0  # by tests before this one
        with self._log.open('wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'diffusion_planner_ros.nodes', module, '--ros-args',
                 '--params-file', str(parameter_file),
                 *(word for rule in (f'__node:={name}', *remaps) for word in ('-r', rule))],
                stdout=log, stderr=subprocess.STDOUT, env=environment(),
                pass_fds=taken_domain()[1:])

    @property
    def output(self) -> str:
        return self._log.read_bytes()[self._begin:].decode()

    def drop_output(self) -> None:
        """Let the output count from now on."""
        self._begin = self._log.stat().st_size

    def stop(self) -> int:
        """End the node as Ctrl-C does and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_TIME)
        finally:
            self.process.kill()
            self.process.wait()


class Kept:
    """
    A node and its observer that tests share, one after the other: to start one takes seconds.

    The node ends when a test asks for another one or starts one of its own, and the observer when
    it makes one of its own. A test that spoils the node stops it, and the next one gets a new one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._node: NodeProcess | None = None
        self._settings: tuple[str, dict] | None = None
        self._n_started = 0
        self._observer: Node | None = None
        self._observing = ExitStack()

    def start(self, module: str, **parameters: object) -> NodeProcess:
        """Give a node with these parameters, the one of the test before if that is the same."""
        node, settings = self._node, (module, parameters)
        if node is not None and settings == self._settings and node.process.poll() is None:
            node.n_uses += 1
            node.drop_output()
            return node
        self.end()
        self._n_started += 1
        folder = self._folder / str(self._n_started)
        folder.mkdir()
        self._node, self._settings = NodeProcess(module, parameters, folder), settings
        return self._node

    def end(self) -> None:
        """End the node, so that the next test begins with a fresh one."""
        node, self._node = self._node, None
        if node is not None:
            node.stop()

    @contextmanager
    def observer(self) -> Iterator[Node]:
        """
        Give the observer: a new one may need seconds to be discovered by a node that runs.

        What a test lets it publish, hear and call is gone at the end.
        """
        if self._observer is None:
            self._observer = self._observing.enter_context(_new_observer())
        node = self._observer
        before = {kind: {*getattr(node, f'{kind}s')} for kind in ENTITIES}
        try:
            yield node
        finally:
            for kind, old in before.items():
                for entity in {*getattr(node, f'{kind}s')} - old:
                    getattr(node, f'destroy_{kind}')(entity)

    def close(self) -> None:
        """End both."""
        self.end()
        self._observer = None
        self._observing.close()


_kept: list[Kept] = []


@contextmanager
def keeping(folder: Path) -> Iterator[Kept]:
    """Give tests a node to share."""
    kept = Kept(folder)
    _kept.append(kept)
    try:
        yield kept
    finally:
        kept.close()
        _kept.remove(kept)


@contextmanager
def running(module: str, folder: Path, node_name: str = '', *, remaps: Iterable[str] = (),
            **parameters: object) -> Iterator[NodeProcess]:
    for kept in _kept:  # it would disturb
        kept.end()
    node = NodeProcess(module, parameters, folder, node_name, remaps=remaps)
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def observer() -> Iterator[Node]:
    """Give a node of the test's own, in the same domain as the processes."""
    for kept in _kept:
        kept.close()
    with _new_observer() as node:
        yield node


@contextmanager
def _new_observer() -> Iterator[Node]:
    for name, value in environment().items():
        os.environ[name] = value
    join_graph()
    node = Node('observer')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.spin_once = lambda: executor.spin_once(timeout_sec=0.05)
    try:
        yield node
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def spin_until(node: Node, condition: Callable[[], bool], what: str,
               process: NodeProcess | None = None) -> None:
    """Spin until a condition holds; fail with ``what`` and the process's output otherwise."""
    deadline = time.monotonic() + TIME_LIMIT
    while not condition():
        output = process.output if process else ''
        assert time.monotonic() < deadline, f'{what} did not happen in {TIME_LIMIT} s\n{output}'
        node.spin_once()


def spin_for(node: Node, seconds: float) -> None:
    """Spin to see that something does not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        node.spin_once()


def call(node: Node, service_type: type, name: str, request: object) -> object:
    """Call a service, again if need be, and wait for its answer."""
    client = node.create_client(service_type, name)
    try:
        return ask(node, client, request, turn=node.spin_once, limit=TIME_LIMIT)
    finally:
        node.destroy_client(client)


def parameter(name: str, value: object) -> object:
    return Parameter(name, value=value).to_parameter_msg()
