# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Threads in place of processes: to start a process that imports the package takes seconds."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
import pickle


class CopyingThreads(ThreadPoolExecutor):
    """Threads that get copies, as processes do; what cannot be sent to a process is an error."""

    def submit(self, function: Callable, /, *args: object, **kwargs: object) -> Future:
        """Call a function in a thread."""
        return super().submit(_call, pickle.dumps((function, args, kwargs)))


def _call(sent: bytes) -> object:
    function, args, kwargs = pickle.loads(sent)
    return pickle.loads(pickle.dumps(function(*args, **kwargs)))
