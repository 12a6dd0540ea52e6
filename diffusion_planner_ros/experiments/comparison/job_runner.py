# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Jobs side by side, each in a process of its own; one that fails does not stop the others."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import PlannerError
from ..closed_loop import end_workers, open_pool


@dataclass(frozen=True)
class Job:
    """Work for another process."""

    run: Callable[[], Any]
    """It and what it returns can be sent to another process."""
    after: Hashable | None = None
    """Key of the job that must have ended well before."""


@dataclass(frozen=True)
class Failure:
    """Why a job came to nothing, in one line."""

    reason: str


def run_jobs(jobs: Mapping[Any, Job], n_processes: int, *,
             on_end: Callable[[Any, Any], None]) -> dict[Any, Any]:
    """
    Run jobs; of those that wait for no other one, always the first.

    :param jobs: by a key.
    :param n_processes: jobs at a time.
    :param on_end: called with key and result of every job.
    :return: what every job returned, or its ``Failure``. A job fails with the one it comes after.
    """
    results: dict[Hashable, Any] = {}
    waiting = dict(jobs)
    running: dict[Future, Hashable] = {}
    with ThreadPoolExecutor(n_processes) as threads, _ending_workers():
        while waiting or running:
            ready = [key for key, job in waiting.items()
                     if job.after not in jobs or job.after in results]
            for key in ready[:n_processes - len(running)]:
                job = waiting.pop(key)
                before = results.get(job.after)
                if isinstance(before, Failure):
                    results[key] = before
                    on_end(key, before)
                else:
                    running[threads.submit(_run_apart, job.run)] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key, error = running.pop(future), future.exception()
                results[key] = future.result() if error is None else Failure(_line(error))
                on_end(key, results[key])
    return results


@contextmanager
def _ending_workers() -> Iterator[None]:
    """After Ctrl-C, do not wait for the jobs that run."""
    try:
        yield
    except KeyboardInterrupt:
        end_workers()
        raise


def _run_apart(run: Callable[[], Any]) -> Any:
    """Run in a process of its own: should it die, none but this job is lost."""
    with open_pool(1) as pool:
        return pool.submit(run).result()


def _line(error: BaseException) -> str:
    text = ' '.join(str(error).split())
    return text if isinstance(error, PlannerError) else f'{type(error).__name__}: {text}'
