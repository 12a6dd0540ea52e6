"""Start our nodes as processes for a test, on a domain of their own, and leave none behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
import yaml

from diffusion_planner_ros.nodes.asking import ask

TIME_LIMIT = 30.0  # [s] for any condition; a healthy one takes a second
STOP_TIME = 10.0  # [s] for a node to end after SIGINT


def environment() -> dict[str, str]:
    """Return an environment whose ROS domain no other test process uses."""
    return {**os.environ, 'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1'}


class NodeProcess:
    """A running node and what it printed."""

    def __init__(self, module: str, parameters: dict, folder: Path, name: str = '') -> None:
        name = name or module
        parameter_file = folder / f'{name}.yaml'
        parameter_file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
        self._log = folder / f'{name}.log'
        with self._log.open('wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'diffusion_planner_ros.nodes', module, '--ros-args',
                 '--params-file', str(parameter_file), '-r', f'__node:={name}'],
                stdout=log, stderr=subprocess.STDOUT, env=environment())

    @property
    def output(self) -> str:
        return self._log.read_text()

    def stop(self) -> int:
        """End the node as Ctrl-C does and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_TIME)
        finally:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(module: str, folder: Path, node_name: str = '',
            **parameters: object) -> Iterator[NodeProcess]:
    node = NodeProcess(module, parameters, folder, node_name)
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def observer() -> Iterator[Node]:
    """Give a node of the test's own, in the same domain as the processes."""
    for name, value in environment().items():
        os.environ[name] = value
    rclpy.init()
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
