# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Plan for several robots at once: for all whose states wait when planning begins."""

import threading

from numpy.typing import NDArray

from ...errors import StateError
from ...planning.conditions import Condition
from ...planning.planner import Plan, Planner, Start


class _Request:
    """A plan that a thread asks for."""

    def __init__(self, planner: Planner, start: Start) -> None:
        self.planner = planner
        self.start = start
        self.woken = threading.Event()
        """Set when the plan is there, or when it is the thread's turn to plan."""
        self.plan: Plan | None = None
        self.fault: Exception | None = None

    @property
    def is_answered(self) -> bool:
        return self.plan is not None or self.fault is not None


class BatchPlanner:
    """
    Makes the plans of several robots, each of which asks in a thread of its own.

    One thread plans at a time. Whoever asks while nobody plans, plans at once, without a change of
    threads. Whoever asks meanwhile waits; the first of these then plans for all of them, in one
    batch through the networks (flat combining: Hendler et al. 2010,
    https://doi.org/10.1145/1810479.1810540). Planners that differ have batches of their own.

    If a batch fails because of a state, each of its plans is made alone, so that no robot suffers
    from the state of another one. Any other fault is that of all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for the next two
        self._waiting: list[_Request] = []
        self._is_planning = False

    def plan(self, planner: Planner, state: NDArray, *, step: int = 0,
             condition: Condition | None = None) -> Plan:
        """
        Plan as ``planner.plan`` does, together with what other threads ask for; see there.

        :raises Exception: what planning from this state raises.
        """
        request = _Request(planner, Start(state, step, condition))
        with self._lock:
            self._waiting.append(request)
            is_free = not self._is_planning
            self._is_planning = True
        if not is_free:
            request.woken.wait()
        if not request.is_answered:
            self._plan_for_all_like(request)
        if request.fault is not None:
            raise request.fault
        assert request.plan is not None  # it is answered
        return request.plan

    def _plan_for_all_like(self, request: _Request) -> None:
        """Answer a request, and all that wait with it; then let the next thread plan."""
        with self._lock:
            batch = [r for r in self._waiting if r.planner.is_like(request.planner)]
            self._waiting = [r for r in self._waiting if r not in batch]
        try:
            _answer(request.planner, batch)
        finally:  # in any case: somebody waits for the next turn
            with self._lock:
                following = self._waiting[:1]
                self._is_planning = bool(following)
            for other in (*batch, *following):
                other.woken.set()


def _answer(planner: Planner, batch: list[_Request]) -> None:
    try:
        plans = planner.plans([request.start for request in batch])
    except Exception as fault:  # none is lost: the threads that asked raise it
        if isinstance(fault, StateError) and len(batch) > 1:
            for request in batch:
                _answer(planner, [request])
        else:
            for request in batch:
                request.fault = fault
        return
    for request, plan in zip(batch, plans, strict=True):
        request.plan = plan
