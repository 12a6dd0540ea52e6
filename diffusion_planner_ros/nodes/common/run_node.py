# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Run nodes as a process; after a signal they can still publish before they end."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
import gc
import sys
from typing import Protocol

import rclpy
from rclpy.exceptions import ParameterException

from ...errors import PlannerError
from .join_graph import join_graph
from .stop_signals import StopSignals
from .warning_executor import WarningExecutor

SWITCH_INTERVAL = 0.0005  # [s]
POLL_PERIOD = 0.1  # [s], longest wait before a signal is noticed


class Spun(Protocol):
    """A node that can be run as a process."""

    @property
    def is_done(self) -> bool:
        """Whether the process may end."""

    def stop(self) -> None:
        """Come to an end, because of a signal."""

    def close(self) -> None:
        """Free everything; it may still publish."""

    def destroy_node(self) -> None:
        """Leave the graph, as every ``Node`` can."""


def freeze_garbage() -> None:
    """
    Exempt all objects that exist now from garbage collection: they live as long as the node.

    To search them would take milliseconds in the middle of a control period.
    """
    gc.collect()
    gc.freeze()


def run_node(build: Callable[[], Spun], argv: list[str] | None = None) -> None:
    """Spin a single node; see ``run_nodes``."""
    run_nodes(build.__name__, lambda: [build()], argv)


def run_nodes(name: str, build: Callable[[], Sequence[Spun]], argv: list[str] | None = None
              ) -> None:
    """
    Spin nodes until each of them ``is_done``; then close them.

    On SIGINT or SIGTERM it calls ``stop()`` of every node, and goes on until all are done. A
    second signal closes them at once, and ends the process by force if it still runs then. If a
    node cannot be built because of its settings or its model, the process prints one line that
    says why, and its exit code is 1.

    :param name: of the process, for this line.
    :param build: makes the nodes.
    :param argv: arguments of ROS; those of the process by default.
    """
    join_graph(argv)
    signals = StopSignals(name)
    is_told = False
    try:
        try:
            nodes = build()
        except (PlannerError, ParameterException) as error:
            sys.exit(f'{name}: {error}')
        freeze_garbage()
        # By default Python lets a thread compute for 5 ms, most of a period, before another may.
        sys.setswitchinterval(SWITCH_INTERVAL)
        executor = WarningExecutor()
        for node in nodes:
            # No type says that it is a `Node`, too.
            executor.add_node(node)  # type: ignore[arg-type]
        try:
            with ExitStack() as closing:  # all, also if one raises what had ended it
                for node in nodes:
                    closing.callback(node.close)
                while not signals.must_end:
                    if signals.count and not is_told:
                        for node in nodes:
                            node.stop()
                        is_told = True
                    if all(node.is_done for node in nodes):
                        break
                    executor.spin_once(timeout_sec=POLL_PERIOD)
        except PlannerError as error:
            sys.exit(f'{name}: {error}')
        finally:
            executor.shutdown()
            for node in nodes:
                node.destroy_node()
            # A node that is not collected does not announce its end, and DDS would list it and
            # its services for 20 s more.
            gc.unfreeze()
    finally:
        rclpy.try_shutdown()
