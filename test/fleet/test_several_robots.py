"""Several robots in one ROS domain, each in its namespace: none notices the others."""

from contextlib import ExitStack
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from driver import Driver, SETTINGS
import numpy as np
import pytest
from ros_processes import observer, running, spin_for, spin_until

from diffusion_planner_ros.experiments.closed_loop import run_episode
from diffusion_planner_ros.nodes.common.topics import CLOCK, COMMANDS, DIAGNOSTICS, JOINT_STATES
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
    """Give a function that starts a node of one of the robots."""
    with ExitStack() as stack:
        def start(module, robot, *remaps, **parameters):
            folder = tmp_path / robot
            folder.mkdir(exist_ok=True)
            return stack.enter_context(running(
                module, folder, remaps=(f'__ns:=/{robot}', *remaps), **parameters))
        yield start


def test_each_walks_as_it_does_alone_in_the_time_of_its_own_clock(start, bundle):
    reports, levels = {}, set()

    def collect(msg):
        for status in msg.status:
            reports[status.name] = {v.key: v.value for v in status.values}
            levels.add((status.name, status.level))

    with observer() as node:
        node.create_subscription(DiagnosticArray, DIAGNOSTICS.path, collect, 100)
        for robot, seed in SEEDS.items():
            start('mujoco_bridge', robot, OWN_CLOCK, lockstep=True, auto_reset=False, seed=seed)
            planner = start('planner', robot, OWN_CLOCK,
                            **{**SETTINGS, **as_facts(POOR), 'seed': seed})
        ends = [f'{robot}/mujoco_bridge' for robot in SEEDS]
        spin_until(node, lambda: all(reports.get(name, {}).get('state') == 'over'
                                     for name in ends), 'the end of both walks', planner)
        for robot, seed in SEEDS.items():
            expected, _ = run_episode(seed, planner=Planner(bundle, replace(POOR, seed=seed)))
            facts = reports[f'{robot}/mujoco_bridge']
            assert float(facts['return']) == expected.episode_return  # to the last bit
            assert int(facts['steps']) == expected.steps
            assert node.count_publishers(f'/{robot}/clock') == 1
            assert node.count_publishers(f'/{robot}/{COMMANDS.path}') == 1
        assert node.count_publishers(CLOCK.path) == 0
        assert node.count_publishers(f'/{JOINT_STATES.path}') == 0
        assert not {name for name, level in levels if level == DiagnosticStatus.ERROR}


def test_robots_that_share_a_clock_are_planned_for_and_stopped_each_on_its_own(
        start, bundle, walker):
    planner = Planner(bundle, PlannerConfig())
    with observer() as node:
        processes = {robot: start('planner', robot, **SETTINGS) for robot in SEEDS}
        first, second = (Driver(node, namespace=robot) for robot in SEEDS)
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
        second.show_until(lambda: 'stop: state not finite' in processes['robot2'].output, 2,
                          spoilt, spoilt)
        second.commands.clear()
        np.testing.assert_array_equal(first.answer(2, walker.qpos, walker.qvel),
                                      planner.plan(walker.state, step=2).actions[0])
        spin_for(node, 0.2)
        assert second.only_stopped()
        assert 'stop:' not in processes['robot1'].output
