# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The planner as a managed node: real transitions over real DDS."""

import shutil
import threading
from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticStatus
from driver import Driver, SETTINGS
from lifecycle import (
    ACTIVATE,
    change,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    Health,
    state_of,
)
import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from ros_processes import call, parameter, running, spin_for, spin_until
import yaml

from diffusion_planner_ros.messages.stamps import NO_STATE
from diffusion_planner_ros.nodes.common.conversions import torque_from_msg
from diffusion_planner_ros.nodes.common.lifecycle_transitions import transition
from diffusion_planner_ros.nodes.common.topics import COMMANDS, PLANNER, SET_PLANNER_PARAMETERS
from diffusion_planner_ros.nodes.control.control_loop import ControlLoop
from diffusion_planner_ros.nodes.control.model import Model
from diffusion_planner_ros.nodes.control.planner_node_config import PlannerNodeConfig
from diffusion_planner_ros.nodes.control.speed_command import SpeedCommandConfig
from diffusion_planner_ros.nodes.state.state_source import StateConfig
from diffusion_planner_ros.planning.bundle import Bundle, FACTS_FILE, read_facts, write_facts
from diffusion_planner_ros.planning.monitor import PredictionMonitor
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.planning.stop import StopBehaviour, StopConfig
from diffusion_planner_ros.share import share_file

SHIPPED = 'models/walker2d'


@pytest.fixture
def node(kept):
    with kept.observer() as node:
        yield node


@pytest.fixture
def planner(kept, node):
    """Give a planner that waits to be configured."""
    process = kept.start('planner', autostart=False, **SETTINGS)
    if process.n_uses:  # by tests that left it anyhow
        state = state_of(node)
        if state == 'active':
            assert change(node, DEACTIVATE)
        if state != 'unconfigured':
            assert change(node, CLEANUP)
        assert set_parameter(node, 'bundle', '').successful
        process.drop_output()
    return process


def set_parameter(node, name, value):
    request = SetParameters.Request(parameters=[parameter(name, value)])
    return call(node, SetParameters, SET_PLANNER_PARAMETERS.path, request).results[0]


def get_parameter(node, name):
    return call(node, GetParameters, 'planner/get_parameters',
                GetParameters.Request(names=[name])).values[0].string_value


def test_goes_through_its_states_and_commands_only_while_active(planner, node, walker):
    driver, health = Driver(node, planner.n_uses), Health(node)
    health.wait_for('unconfigured', planner)
    assert state_of(node) == 'unconfigured'
    assert node.count_publishers(COMMANDS.path) == 0

    assert change(node, CONFIGURE)
    assert state_of(node) == 'inactive'
    health.wait_for('inactive', planner)
    assert node.count_publishers(COMMANDS.path) == 0

    for _ in range(4):  # it can be activated again
        assert change(node, ACTIVATE)
        spin_until(node, driver.is_connected, 'connection', planner)
        assert any(driver.answer(0, walker.qpos, walker.qvel))
        driver.commands.clear()
        assert change(node, DEACTIVATE)
        spin_until(node, lambda: driver.commands, 'stop command', planner)
        torque, stamp = torque_from_msg(driver.commands[-1])
        assert stamp == NO_STATE
        assert not torque.any()
        driver.commands.clear()
        driver.show(1, walker.qpos, walker.qvel)
        spin_for(node, 0.3)
        assert not driver.commands

    assert change(node, CLEANUP)
    assert state_of(node) == 'unconfigured'
    health.wait_for('unconfigured', planner)
    assert 'bundle_hash' not in health.facts
    assert planner.stop() == 0
    assert 'Traceback' not in planner.output


def test_reports_that_it_loads_while_the_transition_blocks_its_executor(planner, node):
    health = Health(node)
    health.wait_for('unconfigured', planner)
    assert change(node, CONFIGURE)
    assert 'loading' in health.states


def test_what_a_user_can_mend_fails_the_transition_with_one_line(tmp_path, node):
    broken = shutil.copytree(share_file(SHIPPED), tmp_path / 'broken')
    with running('planner', tmp_path, autostart=False, bundle=str(broken)) as process:
        (broken / 'value.onnx').write_bytes(b'')
        assert not change(node, CONFIGURE)
        assert state_of(node) == 'unconfigured'
        assert f'{broken}/value.onnx: SHA-256 is' in process.output
        assert 'Traceback' not in process.output
        shutil.copy(share_file(SHIPPED) / 'value.onnx', broken)  # mended
        assert change(node, CONFIGURE)


class LosesItsTransition(LifecycleNode):
    """Has a bug in a transition and none in ``on_error``."""

    @transition
    def on_configure(self):
        raise RuntimeError('a bug')


def test_an_unexpected_fault_carries_its_traceback(node, capfd):
    del node  # its context is what the other needs
    faulty = LosesItsTransition('faulty')
    assert faulty.trigger_configure() == TransitionCallbackReturn.ERROR
    faulty.destroy_node()
    log = capfd.readouterr().err
    assert 'on_configure: Traceback (most recent call last)' in log
    assert 'RuntimeError: a bug' in log


def test_swaps_in_another_bundle_while_it_plans(planner, node, walker, bundle):
    driver, health = Driver(node, planner.n_uses), Health(node)
    assert change(node, CONFIGURE) and change(node, ACTIVATE)
    spin_until(node, driver.is_connected, 'connection', planner)
    before = driver.answer(0, walker.qpos, walker.qvel)
    assert set_parameter(node, 'bundle', str(bundle.path)).successful
    spin_until(node, lambda: health.facts.get('bundle_hash') == bundle.hash, 'swap', planner)
    after = driver.answer(1, walker.qpos, walker.qvel)
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(('spoil', 'reason'), [
    (lambda folder: (folder / 'denoiser.onnx').write_bytes(b'no network'), 'SHA-256 is'),
    (lambda folder: (folder / 'value.onnx').unlink(), 'no such file'),
    (lambda folder: rewrite(folder, format_version='6.0'), 'format version is 6.0'),
    (lambda folder: rewrite_robot(folder, control_period=0.01), 'another layout'),
])
def test_keeps_its_bundle_when_a_new_one_does_not_pass(planner, node, walker, tmp_path, spoil,
                                                       reason):
    driver, health = Driver(node, planner.n_uses), Health(node)
    assert change(node, CONFIGURE) and change(node, ACTIVATE)
    spin_until(node, driver.is_connected, 'connection', planner)
    driver.answer(0, walker.qpos, walker.qvel)
    spoilt = shutil.copytree(share_file(SHIPPED), tmp_path / 'spoilt')
    spoil(spoilt)
    assert set_parameter(node, 'bundle', str(spoilt)).successful  # it is tried
    spin_until(node, lambda: 'the bundle stays' in planner.output, 'refusal', planner)
    assert reason in planner.output
    spin_until(node, lambda: get_parameter(node, 'bundle') == str(share_file(SHIPPED)),
               'parameter tells the truth', planner)
    health.wait_for('planning', planner)
    assert health.levels[-1] == DiagnosticStatus.OK
    in_process = Planner(Bundle.load(share_file(SHIPPED)), PlannerConfig())
    np.testing.assert_array_equal(driver.answer(1, walker.qpos, walker.qvel),
                                  in_process.plan(walker.state, step=1).actions[0])


def test_keeps_its_bundle_when_a_new_one_does_not_fit_the_parameters(planner, node, bundle):
    assert change(node, CONFIGURE)
    assert set_parameter(node, 'n_denoise_steps', 20).successful
    try:
        assert set_parameter(node, 'bundle', str(bundle.path)).successful
        text = 'n_denoise_steps is 20, expected at most 10'
        spin_until(node, lambda: text in planner.output, text, planner)
        spin_until(node, lambda: get_parameter(node, 'bundle') == str(share_file(SHIPPED)),
                   'parameter tells the truth', planner)
    finally:
        set_parameter(node, 'n_denoise_steps', PlannerConfig().n_denoise_steps)


def rewrite(folder, **changes):
    facts = yaml.safe_load((folder / FACTS_FILE).read_text())
    (folder / FACTS_FILE).write_text(yaml.safe_dump({**facts, **changes}))


def rewrite_robot(folder, **changes):
    facts = read_facts(folder)
    robot = {**facts['robot'], **changes}
    write_facts(folder, {**{k: v for k, v in facts.items() if k != 'sha256'}, 'robot': robot})


def test_a_bundle_that_does_not_pass_leaves_the_change_before_it(planner, node, walker, bundle,
                                                                 tmp_path):
    driver, health = Driver(node, planner.n_uses), Health(node)
    assert change(node, CONFIGURE) and change(node, ACTIVATE)
    spin_until(node, driver.is_connected, 'connection', planner)
    spoilt = shutil.copytree(share_file(SHIPPED), tmp_path / 'spoilt')
    (spoilt / 'value.onnx').unlink()
    client = node.create_client(SetParameters, SET_PLANNER_PARAMETERS.path)
    spin_until(node, client.service_is_ready, 'service', planner)
    answers = [client.call_async(SetParameters.Request(parameters=[
        parameter('bundle', str(path))])) for path in (bundle.path, spoilt)]
    spin_until(node, lambda: all(a.done() for a in answers), 'answers', planner)
    spin_until(node, lambda: 'the bundle stays' in planner.output, 'refusal', planner)
    spin_until(node, lambda: get_parameter(node, 'bundle') == str(bundle.path), 'parameter')
    health.wait_for('waiting', planner)
    health.wait_for('waiting', planner)
    assert health.facts['bundle_hash'] == bundle.hash
    assert planner.output.index('bundle changed to') < planner.output.index('the bundle stays')
    assert planner.output.count('bundle changed to') == 1


def test_a_folder_that_is_not_there_is_refused_at_once(planner, node, tmp_path):
    assert change(node, CONFIGURE)
    refused = set_parameter(node, 'bundle', str(tmp_path / 'nothing'))
    assert not refused.successful
    assert f'{tmp_path}/nothing/model.yaml: no such file' in refused.reason
    assert get_parameter(node, 'bundle') == ''


def test_a_bundle_whose_files_changed_is_loaded_again(planner, node, bundle, tmp_path):
    health = Health(node)
    folder = shutil.copytree(share_file(SHIPPED), tmp_path / 'bundle')
    assert change(node, CONFIGURE)
    assert set_parameter(node, 'bundle', str(folder)).successful
    text = f'bundle changed to {folder}'
    spin_until(node, lambda: text in planner.output, text, planner)
    shutil.rmtree(folder)
    shutil.copytree(bundle.path, folder)
    assert set_parameter(node, 'bundle', str(folder)).successful
    spin_until(node, lambda: health.facts.get('bundle_hash') == bundle.hash, 'swap', planner)


def test_joints_that_the_bundle_does_not_have_are_refused_when_it_is_configured(tmp_path, node):
    with running('planner', tmp_path, autostart=False, odometry_joints=['hip=x']) as process:
        assert not change(node, CONFIGURE)
        assert state_of(node) == 'unconfigured'
        text = "odometry_joints names 'hip', expected joints of the state of 'walker2d'"
        assert text in process.output
        assert node.count_publishers(COMMANDS.path) == 0
        assert process.stop() == 0


def test_a_control_loop_that_cannot_be_built_leaves_nothing_behind(node, monkeypatch):
    bundle = Bundle.load(share_file(SHIPPED))
    limit = bundle.robot.torque_limit
    stop = StopBehaviour(StopConfig(), [e.joint for e in bundle.robot.action], limit)
    before = threading.active_count()

    def build():
        return ControlLoop(
            node, Model(Planner(bundle, PlannerConfig()), PredictionMonitor(bundle)), limit,
            plan=Planner.plan, create_publisher=lambda: PLANNER.publisher(node, COMMANDS),
            config=PlannerNodeConfig(), stop=stop, state_config=StateConfig(),
            speed_config=SpeedCommandConfig(), control=SimpleNamespace(group=None, defer=print),
            frame_id='world',
            on_leap=print, on_plan=print, on_fault=print)

    with monkeypatch.context() as patch:
        patch.setattr(node, 'create_subscription', lambda *_, **__: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                build()
    assert threading.active_count() == before
    assert node.count_publishers(COMMANDS.path) == 0
    loop = build()
    assert node.count_publishers(COMMANDS.path) == 1
    loop.stop('test')
    loop.close()
    assert threading.active_count() == before
