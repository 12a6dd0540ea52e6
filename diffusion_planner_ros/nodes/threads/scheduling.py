# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Let a node go before other processes, and keep its memory from being paged out."""

from collections.abc import Callable, Iterable
from contextlib import suppress
import ctypes
from dataclasses import dataclass
import os
import resource

from ...settings import check_settings, document_settings, setting

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4  # sys/mman.h
LIMITS = '/etc/security/limits.conf'


@document_settings
@dataclass(frozen=True)
class SchedulingConfig:
    """How Linux treats the process of a node; what it refuses is logged, and the node goes on."""

    realtime_priority: int = setting(
        0, 'Priority of all threads of the process under SCHED_FIFO; those that serve '
        'measurements and plan get one more. 0: as other processes.',
        low=0, high=98, read_only=True)
    lock_memory: bool = setting(
        False, 'Whether memory that was used once stays in RAM (mlockall).', read_only=True)

    def __post_init__(self) -> None:
        check_settings(self)


def schedule(config: SchedulingConfig, first: Iterable[int],
             warn: Callable[[str], object]) -> None:
    """
    Treat this process as the settings say.

    All threads get the priority, because one that has the lock of the interpreter, or receives for
    DDS, delays the others. Threads that begin later inherit it.

    :param first: identifiers in Linux of the threads that get one more.
    :param warn: is told in one line what the system refuses, why, and what to do.
    """
    if priority := config.realtime_priority:
        try:
            for thread in os.listdir('/proc/self/task'):
                _set_fifo(int(thread), priority)
            for identifier in first:
                _set_fifo(identifier, priority + 1)
        except OSError as error:
            limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
            warn(f'realtime_priority is {priority}, but the system refuses it: {error.strerror} '
                 f'(ulimit -r is {limit}, expected at least {priority + 1}); add "USER - rtprio '
                 f'{priority + 1}" to {LIMITS} and log in again; going on without it')
    if config.lock_memory:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT):
            limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
            warn(f'lock_memory is true, but the system refuses it: '
                 f'{os.strerror(ctypes.get_errno())} (ulimit -l is {limit // 1024}, expected '
                 f'unlimited); add "USER - memlock unlimited" to {LIMITS} and log in again; going '
                 'on without it')


def _set_fifo(thread: int, priority: int) -> None:
    with suppress(ProcessLookupError):  # it has ended meanwhile
        # Threads of another node of this process may have more already.
        if os.sched_getparam(thread).sched_priority < priority:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
