# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Several robots in one ROS domain, each with a planner or all with one: none sees the others."""

from contextlib import ExitStack
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from driver import Driver, SETTINGS
from lifecycle import change, DEACTIVATE, Health
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from ros_processes import (
    call,
    observer,
    parameter,
    running,
    spin_for,
    spin_until,
)

from diffusion_planner_ros.errors import ConfigError
from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.nodes.common.topics import CLOCK, COMMANDS, DIAGNOSTICS, JOINT_STATES
from diffusion_planner_ros.nodes.control.planner_node_config import PlannerNodeConfig
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.settings import as_facts
from diffusion_planner_ros.share import share_file

# A poor planner: its short episodes say the same of two ways to run them.
POOR = PlannerConfig(n_candidates=1, n_denoise_steps=1, temperature=10.0)
SEEDS = {'robot1': 7, 'robot2': 8}
OWN_CLOCK = '/clock:=clock'


@pytest.fixture(scope='module')
def bundle():
    return Bundle.load(share_file('models/walker2d'))


@pytest.fixture
def start(tmp_path):
    """Give a function that starts a node in a namespace."""
    with ExitStack() as stack:
        def start(module, namespace, *remaps, **parameters):
            folder = tmp_path / namespace
            folder.mkdir(parents=True, exist_ok=True)
            return stack.enter_context(running(
                module, folder, remaps=(f'__ns:=/{namespace}', *remaps), **parameters))
        yield start


@pytest.fixture(params=['planners', 'one planner'])
def is_one(request):
    """Whether one process plans for all robots."""
    return request.param == 'one planner'


@pytest.fixture
def start_planners(start, is_one):
    """Give a function that starts planners; it returns the process of each robot."""
    def start_planners(*remaps, **parameters):
        settings = {**SETTINGS, **parameters}
        if not is_one:
            return {robot: start('planner', f'hall/{robot}', *remaps, **settings)
                    for robot in SEEDS}
        process = start('planner', 'hall', *remaps, robots=list(SEEDS), **settings)
        return dict.fromkeys(SEEDS, process)
    return start_planners


def is_published_once(node, topic):
    return node.count_publishers(topic) == 1


def test_each_walks_as_it_does_alone_in_the_time_of_its_own_clock(
        start, start_planners, is_one, bundle):
    reports, levels = {}, set()

    def collect(msg):
        for status in msg.status:
            reports[status.name] = {v.key: v.value for v in status.values}
            levels.add((status.name, status.level))

    with observer() as node:
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.path, collect, 100)
        for robot, seed in SEEDS.items():
            start('mujoco_bridge', f'hall/{robot}', OWN_CLOCK, lockstep=True, auto_reset=False,
                  seed=seed)
        planner, _ = start_planners(OWN_CLOCK, **as_facts(POOR)).values()
        ends = [f'hall/{robot}/mujoco_bridge' for robot in SEEDS]
        spin_until(node, lambda: all(reports.get(name, {}).get('state') == 'over'
                                     for name in ends), 'the end of both walks', planner)
        for robot, seed in SEEDS.items():
            expected, _ = run_episode(seed, planner=Planner(bundle, POOR))
            facts = reports[f'hall/{robot}/mujoco_bridge']
            found = float(facts['return']), int(facts['steps'])
            if is_one:  # a batch of another size may round differently, which grows
                assert found == pytest.approx((expected.episode_return, expected.steps), rel=0.1)
            else:
                assert found == (expected.episode_return, expected.steps)  # to the last bit
            for topic in ('clock', COMMANDS.path):  # short walks are over before all is discovered
                spin_until(node, partial(is_published_once, node, f'/hall/{robot}/{topic}'),
                           f'discovery of {topic}', planner)
        assert node.count_publishers(CLOCK.path) == 0
        assert node.count_publishers(f'/{JOINT_STATES.path}') == 0
        assert not {name for name, level in levels if level == DiagnosticStatus.ERROR}


def test_robots_that_share_a_clock_are_planned_for_and_stopped_each_on_its_own(
        start_planners, bundle, walker):
    planner = Planner(bundle, PlannerConfig())
    with observer() as node:
        processes = start_planners()
        first, second = (Driver(node, namespace=f'hall/{robot}') for robot in SEEDS)
        reports = [Health(node, f'hall/{robot}/planner') for robot in SEEDS]
        for driver in (first, second):
            spin_until(node, driver.is_connected, 'planners')
        for step in range(2):
            torques = [driver.answer(step, walker.qpos + shift, walker.qvel)
                       for driver, shift in ((first, 0.0), (second, 0.01))]
            np.testing.assert_array_equal(torques[0],
                                          planner.plan(walker.state, step=step).actions[0])
            assert np.abs(torques[1] - torques[0]).max() > 1e-3
            walker.step(torques[0])
        spoilt = np.full(9, np.nan)
        second.show_until(lambda: '[hall.robot2.planner]: stop: state not finite'
                          in processes['robot2'].output, 2, spoilt, spoilt)
        second.commands.clear()
        np.testing.assert_array_equal(first.answer(2, walker.qpos, walker.qvel),
                                      planner.plan(walker.state, step=2).actions[0])
        spin_for(node, 0.2)
        assert second.only_stopped()
        assert '[hall.robot1.planner]: stop:' not in processes['robot1'].output
        reports[1].wait_for('stopped')
        reports[0].wait_for('planning')  # the last report may precede its first state


def test_one_planner_has_a_lifecycle_and_parameters_for_each_robot(start, walker):
    with observer() as node:
        process = start('planner', 'hall', robots=list(SEEDS), **SETTINGS)
        first, second = (Driver(node, namespace=f'hall/{robot}') for robot in SEEDS)
        for driver in (first, second):
            spin_until(node, driver.is_connected, 'planners', process)
        before = first.answer(0, walker.qpos, walker.qvel)
        assert change(node, DEACTIVATE, 'hall/robot2/planner')
        request = SetParameters.Request(parameters=[parameter('seed', 1)])
        assert call(node, SetParameters, 'hall/robot1/planner/set_parameters',
                    request).results[0].successful
        first.answer(1, walker.qpos, walker.qvel)
        assert np.abs(first.answer(2, walker.qpos, walker.qvel) - before).max() > 1e-3
        assert process.stop() == 0
        assert 'Traceback' not in process.output


@pytest.mark.parametrize('robots', [['robot1', 'robot1'], ['robot-1'], ['/robot1']])
def test_namespaces_that_cannot_be_are_refused(robots):
    with pytest.raises(ConfigError, match=r'robots is .*, expected namespaces of letters, digits'):
        PlannerNodeConfig(robots=tuple(robots))
