# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The viewer as a process: what it listens to, whom it serves, and what it refuses."""

import gzip
from itertools import cycle
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.request import Request, urlopen

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from fake_browser import fake_browser
from geometry_msgs.msg import Point, Vector3
import pytest
from ros_processes import environment, observer, running, spin_for, spin_until, TIME_LIMIT
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray
from websockets.exceptions import InvalidStatus

from diffusion_planner_ros.messages.stamps import NANOSECONDS
from diffusion_planner_ros.nodes.common.conversions import stamp_from_nanoseconds
from diffusion_planner_ros.nodes.common.topics import (
    DENOISING,
    DIAGNOSTICS,
    JOINT_STATES,
    kept,
    MARKERS,
    PLAN,
    PUSH,
    reliability_of,
    ROBOT_DESCRIPTION,
    VIEWER,
)
from diffusion_planner_ros.sim.mjcf import ASSETS

ADDRESS = re.compile(r'live view: http://(\S+):(\d+) \((.*); (.*)\)')


@pytest.fixture
def viewer(tmp_path):
    """A viewer, which nobody looks at yet, and somebody who sees what it listens to."""
    with running('viewer', tmp_path, port=0) as process, observer() as node:
        spin_until(node, lambda: ADDRESS.search(process.output), 'its address', process)
        yield process, node


BALL = ('<robot name="r"><link name="w"/><link name="l"><visual><geometry><sphere radius="0.1"/>'
        '</geometry></visual></link><joint name="c" type="revolute"><parent link="w"/><child '
        'link="l"/></joint></robot>')


def port_of(process):
    return int(ADDRESS.search(process.output)[2])


def heard(node):
    """Return (name, type, reliability) of the topics that the viewer listens to."""
    names = node.get_subscriber_names_and_types_by_node(VIEWER.node_name, '/')
    return {(name, types[0].replace('/msg/', '/'), reliability_of(next(
        e.qos_profile for e in node.get_subscriptions_info_by_topic(name)
        if e.node_name == VIEWER.node_name))) for name, types in names
        if name != '/parameter_events'}


def sent(node):
    """Return the names of the topics on which the viewer may publish."""
    names = node.get_publisher_names_and_types_by_node(VIEWER.node_name, '/')
    return {name for name, _ in names} - {'/parameter_events', '/rosout'}


def test_it_listens_only_while_somebody_looks_and_to_what_the_documentation_says(viewer):
    process, node = viewer
    documented = {(f'/{e.topic.path.removeprefix("/")}', e.topic.ros_type, reliability_of(e.qos))
                  for e in VIEWER.subscribed if e.topic not in (DENOISING, PLAN)}  # if asked for
    topics = (JOINT_STATES.path, MARKERS.path)
    spin_until(node, lambda: VIEWER.node_name in node.get_node_names(), 'the viewer', process)
    assert heard(node) == sent(node) == set()
    with fake_browser(port_of(process)), fake_browser(port_of(process)):
        spin_until(node, lambda: heard(node) == documented, 'listening', process)
        published = {f'/{e.topic.path.removeprefix("/")}' for e in VIEWER.published}
        spin_until(node, lambda: sent(node) == published, 'what it publishes', process)
    spin_until(node, lambda: not any(map(node.count_subscribers, topics)), 'silence', process)
    spin_until(node, lambda: heard(node) == set(), 'silence', process)
    with fake_browser(port_of(process)):  # somebody comes again
        spin_until(node, lambda: heard(node) == documented, 'listening', process)
    assert process.stop() == 0
    assert 'Traceback' not in process.output


def test_it_says_where_it_is_and_serves_the_page_itself(viewer):
    process, _ = viewer
    host, port, reach, can = ADDRESS.search(process.output).groups()
    assert (host, reach, can) == ('localhost', 'this machine alone can open it', 'it has controls')
    with urlopen(f'http://localhost:{port}', timeout=TIME_LIMIT) as answer:
        page = answer.read().decode()
    assert answer.status == 200
    # Nothing comes from elsewhere; what is named is licences and the like.
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//[^"]*"', page) == []


def test_a_page_of_somebody_else_cannot_move_the_robot(viewer):
    process, _ = viewer
    port = port_of(process)
    for origin in (f'http://localhost:{port}', 'http://127.0.0.1:9999'):  # a tunnel of ssh
        with fake_browser(port, origin=origin):
            pass
    for origin in ('https://example.com', 'http://localhost.example.com:8080'):
        with pytest.raises(InvalidStatus, match='403'), fake_browser(port, origin=origin):
            pass


def test_beyond_this_machine_it_is_only_to_look_at(tmp_path):
    with running('viewer', tmp_path, port=0, host='0.0.0.0') as process, observer() as node:
        spin_until(node, lambda: ADDRESS.search(process.output), 'its address', process)
        assert ADDRESS.search(process.output).groups()[2:] == (
            'whoever reaches this machine can open it, without a password',
            'it is only to look at')
        with fake_browser(port_of(process)):
            spin_until(node, lambda: node.count_subscribers(JOINT_STATES.path), 'it listens')
            spin_until(node, lambda: VIEWER.node_name in node.get_node_names(), 'the viewer')
            assert sent(node) == set()


@pytest.mark.parametrize(('parameters', 'reason'), [
    ({'host': '192.0.2.1'}, "host is '192.0.2.1' and port 8080: the page cannot be served there"),
    ({'host': 'no such name'}, "host is 'no such name', expected an address or a name of this "),
    ({'controls': 'maybe'}, "controls is 'maybe', expected one of auto, shown, hidden")])
def test_what_it_cannot_do_is_one_clear_line(tmp_path, parameters, reason):
    with running('viewer', tmp_path, **parameters) as process:
        assert process.process.wait(TIME_LIMIT) == 1
        assert process.output.startswith(f'Viewer: {reason}')
        assert len(process.output.splitlines()) == 1


def joint_states(names, positions, *, time=1.0, efforts=()):
    msg = JointState(name=names, position=positions, effort=efforts)
    msg.header.stamp = stamp_from_nanoseconds(round(time * NANOSECONDS))
    return msg


def test_a_robot_that_it_does_not_know_is_shown_as_far_as_that_goes(viewer):
    process, node = viewer
    states = node.create_publisher(JointState, JOINT_STATES.path, 1)
    reports = node.create_publisher(DiagnosticArray, DIAGNOSTICS.path, 1)
    markers = node.create_publisher(MarkerArray, MARKERS.path, 1)
    descriptions = node.create_publisher(String, ROBOT_DESCRIPTION.path, kept())
    line = Marker(type=Marker.LINE_STRIP, ns='candidates', text='7.5',
                  points=[Point(), Point(x=1.0)])
    report = DiagnosticArray(status=[
        DiagnosticStatus(name='planner', level=DiagnosticStatus.OK, hardware_id='nobody',
                         message='<b>planning</b>',
                         values=[KeyValue(key='state', value='planning'),
                                 KeyValue(key='plans', value='3'),
                                 KeyValue(key='ood_score', value='nonsense'),
                                 KeyValue(key='control_period', value='nonsense')])])
    awkward = [joint_states(['a', 'b'], [0.1, float('nan')], efforts=[5.0]),
               joint_states(['a', 'b'], [0.2]), joint_states([], []),
               joint_states(['a'], [0.3], time=1e6), joint_states(['a'], [0.4], time=3.0)]
    with fake_browser(port_of(process)) as browser:
        def show_until(condition, what):
            """Publish all again and again, as a robot does."""
            deadline = time.monotonic() + TIME_LIMIT
            for msg in cycle(awkward):
                assert time.monotonic() < deadline, what
                assert process.process.poll() is None, process.output
                states.publish(msg)
                reports.publish(report)
                markers.publish(MarkerArray(markers=[line]))
                spin_for(node, 0.1)
                if condition():
                    return
        show_until(lambda: browser.was_told('No URDF or MJCF of this robot'), 'a remark')
        show_until(lambda: browser.level == 'good', 'a verdict')
        assert not browser.was_told('<b>planning</b>')  # what others say is no HTML of ours
        descriptions.publish(String(data='<robot name="r"><link name="w"/>'))
        show_until(lambda: browser.was_told('topic robot_description: not XML'), 'the fault')
        descriptions.publish(String(data=BALL))
        show_until(lambda: browser.was_told('drawn at 0, as nobody measures them: c'), 'a robot')
        descriptions.publish(String(data=(ASSETS / 'hopper.xml').read_text()))
        show_until(lambda: browser.was_told('measures them: rootx, rootz, rooty'), 'MJCF')
        assert browser.was_told('foot')  # in the legend
    assert process.stop() == 0
    assert 'Traceback' not in process.output


def test_a_robot_is_pushed_to_where_it_is_dragged(viewer):
    process, node = viewer
    pushes = []
    node.create_subscription(Vector3, PUSH.path, pushes.append, 1)
    node.create_publisher(String, ROBOT_DESCRIPTION.path, kept()).publish(String(data=BALL))
    states = node.create_publisher(JointState, JOINT_STATES.path, 1)
    with fake_browser(port_of(process)) as browser:
        def wait_for_push(start, end):
            # Until the robot is there, nothing can be dragged.
            pushes.clear()
            deadline = time.monotonic() + TIME_LIMIT
            while not pushes:
                assert time.monotonic() < deadline, process.output
                states.publish(joint_states(['c'], [0.0]))
                browser.drag('/world/robot/0', start, end)
                spin_for(node, 0.2)
            return pushes[-1].x, pushes[-1].z
        assert wait_for_push((0.0, 0.0, 1.0), (0.4, 0.0, 1.0)) == pytest.approx((3.0, 0.0))
        spin_for(node, 0.5)  # what was sent twice
        assert wait_for_push((0.0, 0.0, 1.0), (-0.3, 2.0, 1.4)) == pytest.approx((-1.8, 2.4))
        assert browser.was_told('pushed: 1.8 N s backward, 2.4 N s up')
        spin_for(node, 0.5)
        pushes.clear()
        browser.drag('/world/robot/0', (0.0, 0.0, 1.0), (0.01, 3.0, 1.0))  # across its plane
        spin_for(node, 0.5)
        assert pushes == []


def test_a_page_is_told_all_that_moves_in_one_message_at_the_draw_rate(tmp_path):
    rate, seconds = 5.0, 3.0
    with (running('viewer', tmp_path, port=0, draw_rate=rate) as process, observer() as node):
        spin_until(node, lambda: ADDRESS.search(process.output), 'its address', process)
        states = node.create_publisher(JointState, JOINT_STATES.path, 1)
        markers = node.create_publisher(MarkerArray, MARKERS.path, 1)
        node.create_publisher(String, ROBOT_DESCRIPTION.path, kept()).publish(String(data=BALL))
        with fake_browser(port_of(process)) as browser:
            spin_until(node, lambda: states.get_subscription_count(), 'listening', process)

            def walk(seconds):
                end = time.monotonic() + seconds
                while (now := time.monotonic()) < end:
                    states.publish(joint_states(['c'], [now], time=now))
                    markers.publish(MarkerArray(markers=[
                        Marker(type=Marker.LINE_STRIP, ns=name, points=[Point(), Point(x=now)])
                        for name in ('candidates', 'chosen plan', 'ghosts')]))
                    spin_for(node, 0.02)
            walk(2.0)
            n_before, begin = browser.n_messages, time.monotonic()
            walk(seconds)
            told, passed = browser.n_messages - n_before, time.monotonic() - begin
    assert 3 < told <= rate * passed * 1.2 + 2


def test_a_browser_that_draws_by_software_is_told_to_draw_seldom(viewer):
    process, _ = viewer
    pages = {}
    for coding in ('identity', 'gzip'):
        request = Request(f'http://localhost:{port_of(process)}/?fixedDpr=1',
                          headers={'Accept-Encoding': coding})
        with urlopen(request, timeout=TIME_LIMIT) as answer:
            pages[coding] = answer.read()
            assert answer.headers['Content-Length'] == str(len(pages[coding]))
    assert gzip.decompress(pages['gzip']) == pages['identity']
    assert b'const RATE = 5; // [Hz]' in pages['identity'].partition(b'</script>')[0]


def test_a_walk_prints_the_address_of_its_page_and_ends_it(tmp_path):
    walk = subprocess.Popen(
        [sys.executable, '-m', 'diffusion_planner_ros.commands', 'walk', '--episodes', '50',
         '--out', tmp_path], stderr=subprocess.PIPE, text=True, env=environment())
    try:
        while 'live view: ' not in (line := walk.stderr.readline()):
            assert walk.poll() is None
        port = int(ADDRESS.search(line)[2])
        with fake_browser(port) as told:
            deadline = time.monotonic() + TIME_LIMIT
            while told.level != 'good':
                assert time.monotonic() < deadline, told.verdicts
                time.sleep(0.1)
        walk.send_signal(signal.SIGINT)
        walk.communicate(timeout=TIME_LIMIT)
        with pytest.raises(OSError, match='refused'):
            socket.create_connection(('localhost', port))
    finally:
        walk.kill()
        walk.wait()
