# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Call services without waiting; the answer comes later, or none does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from ..common.topics import Service

ASK_AGAIN = 1.5  # [s] without an answer after which a request counts as lost
GIVE_UP = 6.0  # [s]

Then = Callable[[Any], None]
"""Is called with the response, or with ``None`` if no answer came."""


@dataclass
class _Call:
    service: Service
    request: Any
    then: Then
    until: float
    asked_at: float = float('-inf')
    futures: list[Future] = field(default_factory=list)
    fresh: list[Client] = field(default_factory=list)


class RemoteCalls:
    """
    Calls services of nodes that may have been restarted.

    DDS lists a process for up to 20 s after it was killed, and a request may reach the dead one
    alone. So a request that is not answered is sent again, by a fresh client.
    All methods are for the thread of the executor.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[Service, Client] = {}
        self._calls: list[_Call] = []

    def open(self, *services: Service) -> None:
        """Look for services, so that they are found when they are called."""
        for service in services:
            self._clients.setdefault(service, service.client(self._node))

    def close(self) -> None:
        """Drop all calls and clients."""
        for call in self._calls:
            self._free(call)
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._calls, self._clients = [], {}

    def is_there(self, service: Service) -> bool:
        """Return whether a node offers a service that was opened."""
        client = self._clients.get(service)
        return client is not None and client.service_is_ready()

    def call(self, service: Service, request: Any, then: Then, now: float) -> None:
        """Send a request; ``now`` is the steady clock's time [s]."""
        self.open(service)
        self._calls.append(_Call(service, request, then, now + GIVE_UP))
        self.turn(now)

    def turn(self, now: float) -> None:
        """Hand over answers that have come, and ask again where none came; call it often."""
        for call in self._calls.copy():
            answer = next((f.result() for f in call.futures if f.done()), None)
            if answer is None and now < call.until:
                self._ask(call, now)
                continue
            self._calls.remove(call)
            self._free(call)
            call.then(answer)

    def _ask(self, call: _Call, now: float) -> None:
        if now - call.asked_at < ASK_AGAIN:
            return
        client = self._clients[call.service]
        if call.futures:
            if not call.fresh or call.fresh[-1].service_is_ready():
                call.fresh.append(call.service.client(self._node))
            client = call.fresh[-1]
        if client.service_is_ready():
            call.futures.append(client.call_async(call.request))
            call.asked_at = now

    def _free(self, call: _Call) -> None:
        for client in call.fresh:
            self._node.destroy_client(client)
