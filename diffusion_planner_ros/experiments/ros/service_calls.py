# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Call a service again if it does not answer.

DDS lists a process for up to 20 s after it was killed. In this time ``service_is_ready`` is true
of the dead process, and a request to a new node of the same name may reach the dead one alone. An
answer gets lost, too, if the server has not discovered the client's reader within 100 ms. The
client is told of neither.
"""

from collections.abc import Callable
import time
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.node import Node

ANSWER_TIME = 2.0  # [s] after which a request counts as lost; an answer takes milliseconds
GOALS = {Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
         Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
         Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
         Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE}


def ask(node: Node, client: Client, request: Any, *, turn: Callable[[], None], limit: float,
        check: Callable[[float], Any] = lambda limit: None) -> Any:
    """
    Call a service, again after every ``ANSWER_TIME`` without an answer, and return the answer.

    The server may take the request more than once.

    :param client: is asked first; after that every request has a fresh client.
    :param turn: lets the node's executor work for a moment.
    :param limit: of the time for all requests together [s].
    :param check: called with the time that is left before asking again; an answer that it returns
        instead of None is taken for the lost one.
    :raises TimeoutError: if no answer comes.
    """
    deadline = time.monotonic() + limit
    fresh: list[Client] = []
    futures = []
    try:
        while True:
            _turn_until(client.service_is_ready, turn, deadline)
            if not client.service_is_ready():
                break
            futures.append(client.call_async(request))
            # A late answer to an earlier request counts as well.
            _turn_until(lambda: any(f.done() for f in futures), turn,
                        min(deadline, time.monotonic() + ANSWER_TIME))
            answer = next((f.result() for f in futures if f.done()), None)
            if answer is None and time.monotonic() < deadline:
                answer = check(deadline - time.monotonic())
                # An answer that was on its way during the check has come by now, and is preferred.
                answer = next((f.result() for f in futures if f.done()), answer)
            if answer is not None:
                return answer
            if time.monotonic() >= deadline:
                break
            client = node.create_client(client.srv_type, client.srv_name)
            fresh.append(client)
    finally:
        for used in fresh:
            node.destroy_client(used)
    asked = f'did not answer {len(futures)} requests' if futures else 'was not found'
    raise TimeoutError(f'service {client.srv_name} {asked} in {limit:.0f} s')


def change_state(node: Node, client: Client, transition: int, *, turn: Callable[[], None],
                 limit: float) -> bool:
    """
    Ask a managed node for a transition; return whether it succeeded.

    A transition is not asked for twice if the first request came through and only its answer was
    lost: then the node is in the wanted state already.

    :param client: of the node's ``change_state``; ``turn`` and ``limit`` are as for ``ask``.
    :raises TimeoutError: if no answer comes.
    """
    states: Client = node.create_client(GetState,
                                        client.srv_name.removesuffix('change_state') + 'get_state')

    def check(left: float) -> ChangeState.Response | None:
        # A node that is busy with the transition answers when it is over, which may take a while.
        state = ask(node, states, GetState.Request(), turn=turn, limit=left).current_state
        return ChangeState.Response(success=True) if state.id == GOALS[transition] else None

    request = ChangeState.Request(transition=Transition(id=transition))
    try:
        return ask(node, client, request, turn=turn, limit=limit, check=check).success
    finally:
        node.destroy_client(states)


def _turn_until(condition: Callable[[], bool], turn: Callable[[], None], deadline: float) -> None:
    while not condition() and time.monotonic() < deadline:
        turn()
