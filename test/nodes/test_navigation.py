# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Goals from a user of ROS: a puck between walls goes there, with a model trained on its data."""

from contextlib import contextmanager

from action_msgs.msg import GoalStatus, GoalStatusArray
from geometry_msgs.msg import PoseStamped
from lifecycle import change, DEACTIVATE, Health
from nav_msgs.msg import Path
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_processes import call, observer, running, spin_for, spin_until
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from diffusion_planner_ros.commands.learn.collect import collect
from diffusion_planner_ros.commands.learn.export import export
from diffusion_planner_ros.commands.learn.train import train
from diffusion_planner_ros.nodes.common.topics import (
    GOAL_PATH,
    GOAL_POSE,
    JOINT_STATES,
    MARKERS,
    NAVIGATION_DISTANCE,
    NAVIGATION_RESULT,
    NAVIGATION_STATUS,
    OBSTACLES,
    RESET,
)
from diffusion_planner_ros.robots.robot_folder import SEARCH_PATH
from diffusion_planner_ros.sim.environment import make_environment
from diffusion_planner_ros.sim.urdf_export import urdf_from_mjcf

MODEL = """
<mujoco model="puck"><option timestep="0.02" gravity="0 0 0"/><worldbody>
  <body name="puck" pos="0 0 .2"><joint name="x" type="slide" axis="1 0 0" damping="3"/>
    <joint name="y" type="slide" axis="0 1 0" damping="3"/>
    <geom type="sphere" size=".2" mass="1"/></body></worldbody>
  <actuator><motor joint="x" gear="6" ctrllimited="true" ctrlrange="-1 1"/>
    <motor joint="y" gear="6" ctrllimited="true" ctrlrange="-1 1"/></actuator></mujoco>"""
LAYOUT = """
name: puck
control_period: 0.1
state:
  - {joint: x, quantity: position, unit: m}
  - {joint: y, quantity: position, unit: m}
  - {joint: x, quantity: velocity, unit: m/s}
  - {joint: y, quantity: velocity, unit: m/s}
action: [{joint: x, limit: 6.0}, {joint: y, limit: 6.0}]
goal:
  {kind: plane, joints: [x, y], tolerance: 0.3, clearance: 0.2,
   map: {cell: 1.0, origin: [-3.5, -2.5],
         rows: ['#######', '#.....#', '#.....#', '#...#.#', '#######']}}
"""
TASK = """
mjcf: puck.xml
frame_skip: 5
pushed_body: puck
reaching: {stiffness: 20.0, damping: 5.0, lookahead: 0.8, stay: 20, wall_height: 0.4}
initial_noise: {position_bound: 0.0, velocity_bound: 0.0}
reward: {goal_distance: 1.0, control_cost: 0.01}
max_episode_steps: 100
"""
HORIZON = 20
LEFT, RIGHT, WALL, HOME = (-2.0, 1.0), (1.0, 0.0), (1.0, -1.0), (0.0, 0.0)
# What answers no other question than whether goals lead somewhere.
QUIET = {'lockstep': True, 'use_sim_time': True, 'ramp_time': 0.0, 'ood_warn': 0.0,
         'ood_stop': 0.0, 'max_jump': 0.0, 'max_state_deviation': 0.0, 'max_equal_states': 0,
         'n_candidates': 4, 'n_denoise_steps': 2,
         'guides': ['learned_value', 'obstacles'], 'guide_weights': [1.0, 100.0]}


@pytest.fixture(scope='module')
def bundle(tmp_path_factory, config_of):
    """Folder of a tiny model of a robot that knows goals; ROS nodes find the robot by its name."""
    root = tmp_path_factory.mktemp('puck')
    folder = root / 'puck'
    folder.mkdir()
    for name, text in (('puck.xml', MODEL), ('layout.yaml', LAYOUT), ('task.yaml', TASK)):
        (folder / name).write_text(text)
    (folder / 'robot.urdf').write_text(urdf_from_mjcf(folder / 'puck.xml'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SEARCH_PATH, str(root))
        patch.setenv('MINARI_DATASETS_PATH', '')
        collect('puck', root / 'data', n_transitions=6000)
        train((root / 'data' / 'puck' / 'goals-v0',), config_of(
            n_updates=1200, width=64, horizon=HORIZON, condition_share=0.9, batch_size=128,
            first_action_weight=10.0), robot='puck', out=root / 'run')
        export(root / 'run' / 'checkpoint.pt', root / 'bundle')
        yield root / 'bundle'


class User:
    """Sends goals to a puck that moves, and hears what becomes of them."""

    def __init__(self, node, planner):
        self.node, self.planner = node, planner
        self.results, self.distances, self.positions, self.speeds = [], [], [], []
        self.status = []
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._poses = node.create_publisher(PoseStamped, GOAL_POSE.path, 1)
        self._paths = node.create_publisher(Path, GOAL_PATH.path, 1)
        node.create_subscription(GoalStatusArray, NAVIGATION_STATUS.path, self._on_status, kept)
        node.create_subscription(String, NAVIGATION_RESULT.path,
                                 lambda msg: self.results.append(msg.data), kept)
        node.create_subscription(Float64, NAVIGATION_DISTANCE.path,
                                 lambda msg: self.distances.append(msg.data), 100)
        node.create_subscription(JointState, JOINT_STATES.path, self._on_state, 100)
        self.wait(lambda: self._poses.get_subscription_count()
                  and self._paths.get_subscription_count() and self.positions, 'a moving puck')

    def _on_status(self, msg):
        self.status = [s.status for s in msg.status_list]

    def _on_state(self, msg):
        self.positions.append(msg.position[:2])
        self.speeds.append(np.hypot(*msg.velocity[:2]))

    def wait(self, condition, what):
        spin_until(self.node, condition, what, self.planner)

    def pose(self, place, frame='world'):
        """Send a goal."""
        self._poses.publish(self._pose(place, frame))

    def path(self, *places, frame='world'):
        """Send goals."""
        msg = Path(poses=[self._pose(place, '') for place in places])
        msg.header.frame_id = frame
        self._paths.publish(msg)

    def _pose(self, place, frame):
        msg = PoseStamped()
        msg.header.frame_id = frame
        msg.pose.position.x, msg.pose.position.y = place
        return msg

    def result(self, text):
        """Wait for a result that begins with a text."""
        self.wait(lambda: self.results and self.results[-1].startswith(text),
                  f'result {text!r} after {self.results}')
        return self.results[-1]

    def away(self, place):
        """Return the distance of the puck from a place [m]."""
        return float(np.hypot(*np.subtract(self.positions[-1], place)))


@contextmanager
def moving(bundle, folder, **parameters):
    """Run a puck and its planner, both for as long as it takes."""
    with (running('mujoco_bridge', folder, robot='puck', lockstep=True,
                  max_episode_steps=1_000_000, **parameters),
          running('planner', folder, bundle=str(bundle), **QUIET) as planner,
          observer() as node):
        yield User(node, planner)


def test_the_simulation_gives_the_goal_of_every_episode_where_it_is_asked_to(bundle, tmp_path):
    with moving(bundle, tmp_path, send_goals=True, seed=3) as user:
        goal = make_environment('puck')
        goal.reset(3)
        x, y = goal.goal
        assert user.result(f'reached ({x:g}, {y:g}) m')
        call(user.node, Trigger, RESET.path, Trigger.Request())
        user.wait(lambda: user.status == [GoalStatus.STATUS_SUCCEEDED] * 2, 'the next episode')


@pytest.fixture(scope='module')
def shared(bundle, tmp_path_factory):
    with moving(bundle, tmp_path_factory.mktemp('shared')) as user:
        yield user


@pytest.fixture
def user(shared):
    """A user whose goals of before have ended."""
    if GoalStatus.STATUS_EXECUTING in shared.status:
        # Whoever cancels a goal that has just ended cancels the next one.
        shared.path(HOME)
        shared.result('reached (0, 0) m')
    shared.planner.drop_output()
    for heard in (shared.results, shared.distances, shared.positions, shared.speeds):
        heard.clear()
    shared.wait(lambda: shared.positions, 'a state')
    return shared


def test_a_goal_is_reached_and_the_robot_stays_there(user):
    user.pose(LEFT)
    assert user.result('reached (-2, 1) m')
    user.wait(lambda: user.status[-1:] == [GoalStatus.STATUS_SUCCEEDED], 'its status')
    user.wait(lambda: user.distances[-1] <= 0.3, 'its distance')  # may come after the status
    assert user.away(LEFT) < 0.5
    spin_for(user.node, 1.0)
    assert user.away(LEFT) < 0.5
    n = len(user.distances)
    spin_for(user.node, 0.3)
    assert len(user.distances) == n  # there is no goal any more
    user.pose(RIGHT, frame='')  # a sender that does not say is taken to mean our frame
    user.result('reached (1, 0) m')
    user.wait(lambda: user.status[-2:] == [GoalStatus.STATUS_SUCCEEDED] * 2, 'its status')


@pytest.mark.parametrize(('place', 'frame', 'reason'), [
    (WALL, 'world', 'refused: goal (1, -1) m is inside a wall: row 3, column 4 of the map'),
    ((9.0, 0.0), 'world', 'refused: goal (9, 0) m is outside the workspace, expected x from -3.5'),
    (LEFT, 'map', "refused: goal is in frame 'map', expected 'world' (frame_id)"),
    ((np.nan, 0.0), 'world', 'refused: goal is [nan, 0.0], expected two finite numbers'),
], ids=['wall', 'outside', 'frame', 'not finite'])
def test_a_goal_to_which_it_cannot_go_is_refused_with_the_reason(user, place, frame, reason):
    user.pose(place, frame)
    user.result(reason)
    user.wait(lambda: user.status[-1:] == [GoalStatus.STATUS_ABORTED], 'its status')
    user.wait(lambda: f'goal {reason}' in user.planner.output, 'a line of the log')


def test_a_path_is_followed_in_its_order_and_a_wrong_one_changes_nothing(user):
    user.path(LEFT, RIGHT, LEFT)
    order = 'heading for (-2, 1) m, then (1, 0) m, then (-2, 1) m'
    user.wait(lambda: order in user.planner.output, order)
    user.path(RIGHT, WALL)
    user.result('refused: goal (1, -1) m is inside a wall')
    user.result('reached (-2, 1) m')
    output = user.planner.output
    assert output.index('heading for (1, 0) m, 2 left') < output.index(
        'heading for (-2, 1) m, 1 left') < output.index('goal reached (-2, 1) m')
    user.wait(lambda: user.status[-2:] == [GoalStatus.STATUS_ABORTED,
                                           GoalStatus.STATUS_SUCCEEDED], 'its status')


def test_a_new_goal_replaces_the_old_one_and_an_empty_path_cancels(user):
    health = Health(user.node)
    user.path(*[LEFT, RIGHT] * 200)
    user.wait(lambda: int(health.facts.get('goals_left', 0)) > 100, 'a report')
    user.path(*[RIGHT, LEFT] * 200)
    user.result('replaced by another goal')
    user.path()
    user.result('cancelled')
    user.wait(lambda: user.status[-2:] == [GoalStatus.STATUS_CANCELED] * 2, 'its status')
    health.wait_for_next(user.planner)
    assert health.facts['goals_left'] == '0'
    user.wait(lambda: np.max(user.speeds[-20:]) < 0.2, 'rest')
    place = user.positions[-1]
    spin_for(user.node, 1.0)
    assert user.away(place) < 0.6  # it is held there


def test_a_goal_outlives_the_end_of_an_episode(user):
    user.path(*[LEFT, RIGHT] * 20)
    user.wait(lambda: len(user.distances) > 5, 'a start')
    call(user.node, Trigger, RESET.path, Trigger.Request())
    user.result('reached (1, 0) m')


def test_the_robot_goes_around_an_obstacle_that_appears(user):
    user.pose(LEFT)
    user.result('reached (-2, 1) m')
    user.wait(lambda: np.max(user.speeds[-20:]) < 0.2, 'rest')
    obstacles = user.node.create_publisher(Marker, OBSTACLES.path, 10)
    user.wait(obstacles.get_subscription_count, 'a subscription')
    pillar = Marker(type=Marker.CYLINDER)
    pillar.pose.position.x, pillar.pose.position.y = -0.5, 0.5  # on the straight way
    pillar.scale.x = pillar.scale.y = 0.4
    obstacles.publish(Marker(type=Marker.SPHERE))
    obstacles.publish(pillar)  # in order: with the log of the one before, this one is there, too
    user.wait(lambda: 'its type is 2, expected 3 (CYLINDER)' in user.planner.output, 'the log')
    spin_for(user.node, 0.3)
    user.positions.clear()
    user.pose(RIGHT)
    user.result('reached (1, 0) m')
    away = np.hypot(*np.subtract(user.positions, (-0.5, 0.5)).T)
    assert away.min() > 0.2 + 0.2  # both radii
    obstacles.publish(Marker(action=Marker.DELETEALL))


def test_goals_and_walls_are_drawn(user):
    drawn = []
    user.node.create_subscription(MarkerArray, MARKERS.path, drawn.append, 10)
    user.path(*[LEFT, RIGHT] * 10)

    def shown():
        return {m.ns: m for m in (drawn[-1].markers if drawn else ())}
    user.wait(lambda: {'goals', 'walls', 'chosen plan'} <= set(shown()), 'markers')
    assert len(shown()['walls'].points) == 21
    assert shown()['goals'].scale.x == pytest.approx(0.6)


def test_a_planner_that_is_deactivated_gives_its_goal_up_and_hears_no_other(user):
    user.path(*[LEFT, RIGHT] * 50)
    user.wait(lambda: 'and 95 more' in user.planner.output, 'a start')
    assert change(user.node, DEACTIVATE)
    user.result('given up: deactivated')
    user.wait(lambda: not user.node.count_subscribers(GOAL_POSE.path), 'its end')
    assert user.planner.process.poll() is None
