# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, on the real nodes: it shows the robot, and its controls work."""

from contextlib import ExitStack
import signal
import time

from diagnostic_msgs.msg import DiagnosticArray
from fake_browser import fake_browser
import numpy as np
import pytest
from real_browser import browsing, picture
from ros_processes import observer, running, spin_for, spin_until, STOP_TIME

from diffusion_planner_ros.nodes.common.diagnostics import facts_from_msg
from diffusion_planner_ros.nodes.common.topics import DIAGNOSTICS
from diffusion_planner_ros.nodes.view.viewer_config import ViewerConfig

pytestmark = pytest.mark.browser
# A quarter of the speed: the browser draws by software on the cores that move the robot.
BRIDGE = {'max_episode_steps': 1_000_000, 'real_time_factor': 0.25, 'command_timeout': 0.3}
PLANNER = {'use_sim_time': True, 'ramp_time': 0.0, 'max_plan_gap': 5.0, 'max_state_age': 5.0}


class Watched:
    """A robot, the page that shows it, and what its nodes report."""

    def __init__(self, folder, opened, node, address):
        self.folder, self.node = folder, node
        self.opened, self.address = opened, address
        self.reports = {'planner': {}, 'mujoco_bridge': {}}
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.path, self.on_report, 10)
        self.page = opened(address)

    def on_report(self, msg):
        for name in self.reports:
            if (facts := facts_from_msg(msg, name)) is not None:
                self.reports[name] = facts

    def wait_until(self, condition, what):
        spin_until(self.node, lambda: condition(self.reports['mujoco_bridge'],
                                                self.reports['planner']), what)

    def wait_for_verdict(self, level, page=None):
        (page or self.page).wait_for_selector(f'#verdict[data-level={level}]')

    def press(self, name):
        self.page.get_by_role('button', name=name, exact=True).click()

    def field(self, label):
        return self.page.get_by_text(label, exact=True).locator(
            'xpath=ancestor::*[.//input][1]//input')

    @property
    def distance(self):
        return float(self.reports['mujoco_bridge'].get('distance', 0.0))

    def still_picture(self, name):
        """Return what is drawn while the robot does not move; the browser draws late."""
        file = self.folder / f'{name}.png'
        before = picture(self.page, file)
        for _ in range(20):
            spin_for(self.node, 0.3)
            after = picture(self.page, file)
            if np.array_equal(before, after):
                return after
            before = after
        raise AssertionError('the page still moves while the robot is paused')


@pytest.fixture(scope='module')
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp('watched')
    with (ExitStack() as stack, browsing() as opened,
          running('mujoco_bridge', folder, **BRIDGE) as bridge,
          running('planner', folder, **PLANNER) as planner,
          running('viewer', folder, port=0, draw_rate=5.0) as viewer, observer() as node):
        spin_until(node, lambda: 'live view: ' in viewer.output, 'the address', viewer)
        watched = Watched(folder, opened, node, viewer.output.split()[2])
        watched.planner, watched.bridge, watched.stack = planner, bridge, stack
        watched.viewer = viewer
        watched.wait_for_verdict('good')
        yield watched


def test_the_pause_button_pauses_and_the_picture_changes_as_the_robot_walks(watched):
    watched.wait_until(lambda bridge, _: bridge.get('state') == 'running', 'walking')
    watched.press('Pause')
    watched.wait_until(lambda bridge, _: bridge['state'] == 'paused', 'pause')
    first = watched.still_picture('first')
    begin = watched.distance
    watched.press('Go on')
    watched.wait_until(lambda bridge, _: bridge['state'] == 'running', 'going on')
    watched.wait_until(lambda *_: watched.distance > begin + 0.4, 'half a metre')
    watched.press('Pause')
    watched.wait_until(lambda bridge, _: bridge['state'] == 'paused', 'pause')
    second = watched.still_picture('second')
    changed = (np.abs(first - second).max(axis=2) > 40).mean()
    assert 0.003 < changed < 0.6
    colourful = np.ptp(second, axis=2) > 40  # robot and plans; the ground is grey
    assert colourful.mean() > 0.002
    watched.press('Go on')
    watched.wait_until(lambda bridge, _: bridge['state'] == 'running', 'going on')


def test_a_push_reaches_the_robot(watched):
    before = int(watched.reports['mujoco_bridge']['pushes'])
    watched.press('forward')
    watched.wait_until(lambda bridge, _: int(bridge['pushes']) == before + 1, 'push')


def test_a_browser_that_draws_by_software_draws_seldom_while_the_robot_walks(watched):
    watched.wait_until(lambda bridge, _: bridge.get('state') == 'running', 'walking')
    renderer = watched.page.evaluate('document.documentElement.dataset.renderer')
    assert 'SwiftShader' in renderer

    def n_drawn():
        return watched.page.evaluate('window.__viserTestpoints.rendererInfo.render.frame')
    before, begin = n_drawn(), time.monotonic()
    watched.page.wait_for_timeout(3000)
    drawn, passed = n_drawn() - before, time.monotonic() - begin
    assert 0 < drawn <= ViewerConfig().software_draw_rate * passed + 2


def test_an_entry_that_is_chosen_is_shown_against_what_plans_predicted(watched):
    page = watched.page
    page.get_by_text('Joints', exact=True).first.click()
    page.get_by_text('Predicted against measured').locator(
        'xpath=ancestor::*[.//input][1]//input').first.click()
    page.get_by_role('option', name='thigh_joint velocity', exact=True).click()
    watched.wait_until(lambda _, planner: planner.get('plan_subscribers') == '1', 'plans')
    page.get_by_text('root mean square of the difference').wait_for()
    page.get_by_text('Health', exact=True).first.click()


def test_candidates_are_changed_and_a_refused_value_shows_the_reason_of_the_node(watched):
    field = watched.field('candidates')
    field.fill('5')
    watched.wait_until(lambda _, planner: planner.get('n_candidates') == '5', 'five candidates')
    field.fill('1000')
    refused = watched.page.get_by_text('n_candidates is 1000, expected').or_(
        watched.page.get_by_text('n_candidates')).first
    refused.wait_for()
    watched.page.wait_for_function('field => field.value === "5"', arg=field.element_handle())
    for typed in ('many', ''):
        field.fill(typed)
        watched.page.get_by_text(f"n_candidates is '{typed}', expected a whole number"
                                 ).first.wait_for()
        watched.page.wait_for_function('field => field.value === "5"', arg=field.element_handle())
    watched.page.get_by_text("n_candidates is 'many'").wait_for(state='hidden')  # of before
    assert watched.reports['planner']['n_candidates'] == '5'


def test_whoever_drags_the_slider_sees_how_a_plan_came_about(watched):
    page = watched.page
    page.get_by_text('From noise to plan', exact=True).click()
    slider = page.get_by_text('noise to plan [%]', exact=True).locator(
        'xpath=ancestor::*[.//input][1]').locator('.mantine-Slider-root')
    slider.wait_for()
    box = slider.bounding_box()
    slider.click(position={'x': box['width'] - 1, 'y': box['height'] / 2})  # once it stands still
    page.get_by_text('the plans, the chosen one in green. The live plans are hidden').wait_for()
    page.get_by_label('show it').uncheck()
    page.get_by_text('From noise to plan', exact=True).click()


def test_a_simulator_that_is_started_again_is_shown_again(watched):
    port = int(watched.address.rpartition(':')[2])
    with fake_browser(port) as told:
        spin_until(watched.node, lambda: told.level == 'good', 'all is well')
        watched.bridge.stop()
        spin_until(watched.node, lambda: told.level == 'bad', 'the page is told')
        # Its time begins anew, too.
        watched.bridge = watched.stack.enter_context(
            running('mujoco_bridge', watched.folder, **BRIDGE))
        spin_until(watched.node, lambda: told.level == 'good', 'all is well again')
        watched.wait_for_verdict('good')


def test_two_browsers_show_the_same(watched):
    other = watched.opened(watched.address)
    watched.wait_for_verdict('good', other)
    other.close()
    watched.wait_for_verdict('good')


def test_a_planner_that_is_killed_is_red_within_a_second_and_a_new_one_is_welcome(watched):
    port = int(watched.address.rpartition(':')[2])
    # How long Chromium takes to draw depends on the machine; what it is told does not.
    with fake_browser(port) as told:
        watched.wait_for_verdict('good')
        spin_until(watched.node, lambda: told.level == 'good', 'all is well')
        watched.planner.process.send_signal(signal.SIGKILL)
        watched.reports['mujoco_bridge'], stops = {}, []

        def is_told():
            if watched.reports['mujoco_bridge'].get('state') == 'stopped':
                stops.append(time.monotonic())
            return stops and told.level == 'bad'

        # From the stop on: how long the bridge waits for a command is for its own tests.
        spin_until(watched.node, is_told, 'the page is told')
        assert told.verdicts[-1][0] - stops[0] < 1.0
        watched.wait_for_verdict('bad')
    with running('planner', watched.folder, **PLANNER):
        watched.wait_for_verdict('good')


def test_the_last_thing_that_it_says_is_that_it_has_ended_and_it_comes_back(watched):
    watched.viewer.process.send_signal(signal.SIGTERM)
    watched.wait_for_verdict('idle')
    assert 'The program has ended' in watched.page.locator('#verdict').inner_text()
    assert watched.viewer.process.wait(STOP_TIME) == 0
    port = int(watched.address.rpartition(':')[2])
    with running('viewer', watched.folder, port=port, draw_rate=5.0):
        watched.wait_for_verdict('bad')  # there is a robot, but no planner any more
