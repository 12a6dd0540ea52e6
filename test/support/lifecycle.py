# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Drive a managed node through its states, and read its health, as a test."""

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from ros_processes import call, spin_until, TIME_LIMIT

from diffusion_planner_ros.experiments.ros.service_calls import change_state
from diffusion_planner_ros.nodes.common.diagnostics import facts_from_msg
from diffusion_planner_ros.nodes.common.topics import DIAGNOSTICS

CONFIGURE = Transition.TRANSITION_CONFIGURE
CLEANUP = Transition.TRANSITION_CLEANUP
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE


def change(node, transition, name='planner'):
    """Ask for a transition; return whether it succeeded."""
    client = node.create_client(ChangeState, f'{name}/change_state')
    try:
        return change_state(node, client, transition, turn=node.spin_once, limit=TIME_LIMIT)
    finally:
        node.destroy_client(client)


def state_of(node, name='planner'):
    return call(node, GetState, f'{name}/get_state', GetState.Request()).current_state.label


class Health:
    """Collects the diagnostics of one node."""

    def __init__(self, node, name='planner'):
        self._node, self._name = node, name
        self.levels, self.messages, self.facts = [], [], {}
        self.states = []
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.path, self._on_diagnostics, 10)

    def _on_diagnostics(self, msg):
        if (facts := facts_from_msg(msg, self._name)) is None:
            return
        self.facts = facts
        self.states.append(facts.get('state'))
        status = next(s for s in msg.status if s.name == self._name)
        self.levels.append(status.level)
        self.messages.append(status.message)

    def wait_for(self, state, process=None):
        """Wait for a report of a state, sent from now on."""
        n = len(self.states)
        spin_until(self._node, lambda: state in self.states[n:],
                   f'state {state}, heard {self.messages}', process)

    def wait_for_next(self, process=None):
        """Wait for a report that is sent from now on."""
        n = len(self.states)
        spin_until(self._node, lambda: len(self.states) > n, 'a report', process)
