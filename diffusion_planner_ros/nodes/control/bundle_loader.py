# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Load another bundle while the planner goes on with the one in use."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
import traceback
from typing import Any

from ...errors import ModelError, PlannerError
from ...planning.bundle import Bundle
from ...planning.planner_config import PlannerConfig
from ...robot import Robot


def load_bundle(path: Path, settings: PlannerConfig) -> Bundle:
    """
    Load and warm up a bundle on the execution provider of the settings.

    :raises PlannerError: if it cannot be used; see ``Bundle.load``.
    """
    return Bundle.load(path, provider=settings.provider, n_threads=settings.n_threads)


class BundleLoader:
    """
    Load bundles in a thread of its own, in the order in which they were asked for.

    :param execute: calls a function with arguments in the thread of the node's executor.
    :param on_loaded: called there with a bundle that was loaded.
    :param on_refused: called there with the reason why a bundle cannot be used.
    """

    def __init__(self, execute: Callable[..., Any], *, on_loaded: Callable[[Bundle], None],
                 on_refused: Callable[[str], None]) -> None:
        self.n_loading = 0
        """Bundles that were asked for, and are neither loaded nor refused."""
        self._execute = execute
        self._on_loaded, self._on_refused = on_loaded, on_refused
        self._n_forgotten = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix='loader')

    def load(self, path: Path, settings: PlannerConfig, robot: Robot) -> None:
        """
        Begin to load the bundle of a folder.

        :param robot: the robot in use; a bundle of another layout or control period is refused.
        """
        self.n_loading += 1
        loading = self._thread.submit(_load_for, robot, path, settings)
        loading.add_done_callback(partial(self._on_done, self._n_forgotten))

    def forget(self) -> None:
        """Drop what was asked for until now: neither callback is called for it."""
        self._n_forgotten += 1

    def close(self) -> None:
        """Finish the bundle that is being loaded, and end the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _on_done(self, n_forgotten: int, loading: Future[Bundle]) -> None:
        """Hand the result on; in the loader's thread."""
        if loading.cancelled():
            return
        # Results and reasons take the same way, so that they come in the order of the requests.
        if (fault := loading.exception()) is None:
            self._execute(self._finish, n_forgotten, self._on_loaded, loading.result())
        else:
            reason = (str(fault) if isinstance(fault, PlannerError)
                      else ''.join(traceback.format_exception(fault)))
            self._execute(self._finish, n_forgotten, self._on_refused, reason)

    def _finish(self, n_forgotten: int, callback: Callable[[Any], None], result: Any) -> None:
        self.n_loading -= 1
        if n_forgotten == self._n_forgotten:
            callback(result)


def _load_for(robot: Robot, path: Path, settings: PlannerConfig) -> Bundle:
    bundle = load_bundle(path, settings)
    found = bundle.robot
    if (found.state, found.action, found.control_period, found.goal) != (
            robot.state, robot.action, robot.control_period, robot.goal):
        raise ModelError(f"{bundle.path}: is for robot '{found.name}' with another layout, "
                         f"control period or goals, expected those of '{robot.name}'")
    return bundle
