# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Requests and answers that DDS loses are asked for again: real processes, real DDS."""

from contextlib import contextmanager
import subprocess
import sys
import time

from lifecycle import ACTIVATE, change, CONFIGURE, state_of
from paths import SOURCE
import pytest
from rcl_interfaces.srv import SetParameters
from ros_processes import call, environment, observer, parameter, running, spin_until
from std_srvs.srv import Trigger

from diffusion_planner_ros.errors import PlannerError
from diffusion_planner_ros.experiments.ros import service_calls
from diffusion_planner_ros.experiments.ros.ros_session import Session
from diffusion_planner_ros.experiments.ros.service_calls import ask
from diffusion_planner_ros.planning.planner_config import PlannerConfig

UNHEARD = SOURCE / 'test' / 'support' / 'unheard_node.py'


@contextmanager
def unheard(what, name='unheard'):
    process = subprocess.Popen([sys.executable, str(UNHEARD), what, name], text=True,
                               stdout=subprocess.PIPE, env=environment())
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def node():
    with observer() as node:
        yield node


@pytest.fixture
def impatient(monkeypatch):
    """Ask again sooner than usual."""
    monkeypatch.setattr(service_calls, 'ANSWER_TIME', 1.0)


@pytest.mark.usefixtures('impatient')
@pytest.mark.parametrize('what', ['request', 'answer'])
def test_a_call_whose_request_or_answer_is_lost_is_answered_all_the_same(node, what):
    with unheard(what):
        change = SetParameters.Request(parameters=[parameter('use_sim_time', False)])
        answer = call(node, SetParameters, 'unheard/set_parameters', change)
        assert answer.results[0].successful


@pytest.mark.usefixtures('impatient')
@pytest.mark.parametrize('what', ['request', 'answer'])
def test_a_transition_is_made_once_whatever_was_lost(node, what):
    with unheard(what) as process:
        assert change(node, CONFIGURE, 'unheard')
        assert state_of(node, 'unheard') == 'inactive'
        assert not change(node, ACTIVATE, 'unheard')  # a refusal is none that was lost
        process.kill()
        assert process.stdout.read().split() == ['configured', 'refused']


@pytest.mark.usefixtures('impatient')
def test_a_session_asks_again(node):
    session = Session(PlannerConfig(), record=False)
    try:
        with unheard('request', 'planner') as process:
            assert session.set_planner('use_sim_time', False)
            with pytest.raises(PlannerError, match='cannot be started'):  # the stand-in refuses
                session.start_planner()
            process.kill()
            assert process.stdout.read().split() == ['configured', 'refused']
    finally:
        session.executor.shutdown()
        session.destroy_node()


def test_a_planner_is_configured_right_after_one_of_its_name_was_killed(node, tmp_path):
    with running('planner', tmp_path, autostart=False) as planner:
        assert state_of(node) == 'unconfigured'
        planner.process.kill()
        planner.process.wait()
    with running('planner', tmp_path, autostart=False):
        # The dead one's services are "ready" for 20 s, the new one has not come up yet.
        assert change(node, CONFIGURE)
        assert state_of(node) == 'inactive'


def test_a_service_that_nobody_offers_is_named_in_time(node):
    client = node.create_client(Trigger, 'nobody')
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match='service nobody was not found in 1 s'):
        ask(node, client, Trigger.Request(), turn=node.spin_once, limit=1.0)
    assert time.monotonic() - begin < 10.0


@pytest.mark.usefixtures('impatient')
def test_a_service_that_never_answers_is_asked_until_the_time_is_up(node):
    with running_silent(node) as n_taken:
        client = node.create_client(Trigger, 'silent')
        spin_until(node, client.service_is_ready, 'service')
        with pytest.raises(TimeoutError, match=r'silent did not answer \d requests in 3 s'):
            ask(node, client, Trigger.Request(), turn=node.spin_once, limit=3.0)
        assert len(n_taken) >= 2


@contextmanager
def running_silent(node):
    taken = []

    def take(request, response):
        taken.append(request)
        return response

    service = node.create_service(Trigger, 'silent', take)
    service.send_response = lambda response, header: None
    yield taken
    node.destroy_service(service)


def test_a_planner_that_ended_leaves_the_graph_at_once(node, tmp_path):
    with running('planner', tmp_path, autostart=False):
        assert state_of(node) == 'unconfigured'
    begin = time.monotonic()
    # As after a kill, DDS would list it and its services for 20 s more.
    spin_until(node, lambda: 'planner' not in node.get_node_names(), 'end of the planner')
    assert time.monotonic() - begin < 10.0
