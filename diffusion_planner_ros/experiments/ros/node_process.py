# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Run nodes and other programs as processes of their own, and leave none behind."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, ExitStack
import ctypes
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import yaml

STOP_TIME = 5.0  # [s] that a node has to end by itself
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, even by SIGKILL."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def child_process(*words: str, environment: Mapping[str, str] | None = None
                  ) -> Iterator[subprocess.Popen]:
    """
    Run Python in a process of its own, and end it.

    :param words: arguments of the interpreter.
    :param environment: of the process; that of this one by default.
    """
    process = subprocess.Popen(
        [sys.executable, *words], env=environment,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end our processes in order
        preexec_fn=_end_with_parent)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """Keep ``n`` cores busy with processes that compute without a pause."""
    with ExitStack() as stack:
        for _ in range(n):
            stack.enter_context(child_process('-c', 'while True: pass'))
        yield


@contextmanager
def node_process(name: str, parameters: dict[str, Any], folder: Path, *,
                 remaps: Iterable[str] = ()) -> Iterator[subprocess.Popen]:
    """
    Run a node with parameters, and end it.

    :param name: of the node.
    :param parameters: values by name.
    :param folder: where the parameter file is written.
    :param remaps: of names in ROS, as ``__ns:=/robot1``.
    """
    file = folder / f'{name}.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    with child_process('-m', 'diffusion_planner_ros.nodes', name, '--ros-args',
                       '--log-level', 'warn', '--params-file', str(file),
                       *(word for rule in remaps for word in ('-r', rule))) as process:
        yield process
