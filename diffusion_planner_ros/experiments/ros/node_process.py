"""Run a node as a process of its own, and leave none behind."""

from collections.abc import Iterator
from contextlib import contextmanager
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
def node_process(name: str, parameters: dict[str, Any], folder: Path
                 ) -> Iterator[subprocess.Popen]:
    """
    Run a node with parameters, and end it.

    :param name: of the node.
    :param parameters: values by name.
    :param folder: where the parameter file is written.
    """
    file = folder / f'{name}.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    process = subprocess.Popen(
        [sys.executable, '-m', 'diffusion_planner_ros.nodes', name, '--ros-args',
         '--log-level', 'warn', '--params-file', str(file)],
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the nodes in order
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
