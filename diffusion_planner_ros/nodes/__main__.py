# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Start a node as a process: ``python -m diffusion_planner_ros.nodes NODE --ros-args ...``.

Nothing but the standard library is imported at the top: a node takes half a second to import, and
Ctrl-C in that time would print the traceback of whatever is being imported.
"""

from importlib import import_module
from importlib.util import find_spec
import os
import signal
import sys

NODES = ('planner', 'mujoco_bridge', 'recorder', 'mcap_recorder', 'viewer')


def planner() -> None:
    """Run the planner node."""
    _run('planner')


def mujoco_bridge() -> None:
    """Run the simulated robot."""
    _run('mujoco_bridge')


def recorder() -> None:
    """Run the recorder."""
    _run('recorder')


def mcap_recorder() -> None:
    """Run the recorder of all topics."""
    _run('mcap_recorder')


def viewer() -> None:
    """Run the page that shows a robot in a browser."""
    _run('viewer')


def main() -> None:
    """Run the node that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    if name not in NODES:
        sys.exit(f"node is '{name}', expected one of {', '.join(NODES)}")
    _run(name)


def _run(name: str) -> None:
    if name == 'viewer' and find_spec('viser') is None:
        sys.exit("viewer: 'viser' is not installed; pip install 'viser>=1.1.1,<2'")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # until run_node takes over
    # No node draws. With OpenGL, mujoco imports glfw, which starts a process to look at its
    # library, and that one prints a traceback when a signal ends either of us.
    os.environ['MUJOCO_GL'] = 'disable'
    import_module(f'{__package__}.{name}_node').main()


def _end(signum: int, frame: object) -> None:
    """End at once: nothing runs yet, and an exception could be lost in what is imported."""
    del signum, frame
    os._exit(0)


if __name__ == '__main__':
    main()
