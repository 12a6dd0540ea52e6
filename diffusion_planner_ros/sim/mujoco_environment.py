# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots in MuJoCo, simulated as their task says: torques in; states, rewards and falls out."""

from collections import deque
from collections.abc import Sequence
import copy
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import RobotError
from ..goals.obstacle import Obstacle
from ..robot import Robot
from ..robots.task import Task
from .mjcf import load_model, mjcf_path
from .model_check import check_model, joints_of, torque_limit_of
from .perturbation import Disturbance, Perturbation
from .walls import OBSTACLE

_load = cache(load_model)  # robots drawn anew in every episode are copies of one


class MujocoEnvironment:
    """
    A robot with a motor at each joint of its actions, on slides and hinges.

    A robot that is sent to goals begins an episode at rest, but for the initial noise, somewhere
    among all goals, and has another one of them as its goal.

    One control period is ``task.frame_skip`` simulator steps. The state is that of the layout,
    clipped as it says. With the task of one of Gymnasium's planar robots, it is that robot number
    by number, unless it is perturbed.

    :param robot: layout of state and actions.
    :param task: model, reward, end and beginning of an episode.
    :param perturbation: what is different about the robot.
    :param obstacles: that are in its way, as high as the walls of its map.
    :raises RobotError: if layout, task and model do not fit together.
    """

    _disturbance: Disturbance

    def __init__(self, robot: Robot, task: Task, perturbation: Perturbation,
                 obstacles: Sequence[Obstacle] = ()) -> None:
        self.robot = robot
        self.task = task
        height = (None if task.reaching is None else task.reaching.wall_height) or 0.0
        walls = robot.goal.grid if height and robot.goal else None
        if obstacles and not height:
            raise RobotError(f'{task.file}: there are {len(obstacles)} obstacles and no height of '
                             'them, expected wall_height in its section reaching')
        self.model = (load_model(mjcf_path(task), walls, height, obstacles) if obstacles else
                      copy.copy(_load(mjcf_path(task), walls, height if walls else 0.0)))
        check_model(self.model, robot, task)
        perturbation.alter(self.model)
        self.data = mujoco.MjData(self.model)
        self.joint_names = joints_of(self.model)
        self.actuated_joints = [entry.joint for entry in robot.action]
        self.control_period = float(self.model.opt.timestep) * task.frame_skip  # [s]
        self.forward = (0 if task.forward_joint is None
                        else self.joint_names.index(task.forward_joint))
        self.goal: NDArray | None = None
        """Of an episode of a robot that is sent to goals [m], shape (2,)."""
        self.has_collided = False
        """Whether the robot has touched an obstacle in this episode."""
        self._obstacles = [self.model.geom(f'{OBSTACLE}{i}').id for i in range(len(obstacles))]
        self.torque_limit = torque_limit_of(self.model)  # (A,) [N m]
        self._max_control = self.model.actuator_ctrlrange[:, 1].copy()
        self._base = self.model.body(task.pushed_body).id
        self._entries = np.array([self.joint_names.index(e.joint) for e in robot.state])
        self._is_velocity = np.array([e.quantity == 'velocity' for e in robot.state])
        self._checked, self._low, self._high = _healthy_ranges(task, self.joint_names)
        self._perturbation = perturbation
        self._restart(0)

    @property
    def max_episode_steps(self) -> int:
        """Time limit of an episode [control periods]."""
        return self.task.max_episode_steps

    @property
    def is_healthy(self) -> bool:
        """Whether the robot is in the ranges that its task calls healthy."""
        found = np.concatenate([self.data.qpos, self.data.qvel])[self._checked]
        return bool(((self._low < found) & (found < self._high)).all())

    @property
    def has_fallen(self) -> bool:
        """Whether it is not healthy, where that ends an episode."""
        return self.task.has_falls and not self.is_healthy

    @property
    def qpos(self) -> NDArray:
        """Joint positions [m, rad], in the order of ``joint_names``."""
        return self.data.qpos.copy()

    @property
    def qvel(self) -> NDArray:
        """Joint velocities [m/s, rad/s], in the order of ``joint_names``, not clipped."""
        return self.data.qvel.copy()

    @property
    def position(self) -> float:
        """Forward position, or how far short of its goal the robot is, below 0 [m]."""
        if self.goal is not None:
            place = self.robot.goal_space.position(self._exact_state)
            return -float(np.linalg.norm(place - self.goal))
        return float(self.data.qpos[self.forward])

    @property
    def state(self) -> NDArray:
        """What the layout says, with sensor noise and then clipped, shape (S,)."""
        measured = self._exact_state + self._disturbance.sensor_noise
        return np.clip(measured, -self.robot.state_clip, self.robot.state_clip)

    @property
    def _exact_state(self) -> NDArray:
        entries = self._entries
        return np.where(self._is_velocity, self.data.qvel[entries], self.data.qpos[entries])

    def reset(self, seed: int) -> NDArray:
        """Start an episode with the initial noise that Gymnasium draws from the same seed."""
        rng = np.random.default_rng(seed)
        noise, model = self.task.initial_noise, self.model
        self.has_collided = False
        self._restart(seed)
        mujoco.mj_resetData(model, self.data)
        bound = noise.position_bound
        self.data.qpos[:] = model.qpos0 + rng.uniform(-bound, bound, model.nq)
        if noise.velocity_std is None:
            bound = noise.velocity_bound or 0.0
            self.data.qvel[:] = rng.uniform(-bound, bound, model.nv)
        else:
            self.data.qvel[:] = noise.velocity_std * rng.standard_normal(model.nv)
        if self.task.reaching:
            self._draw_start(rng)
            self.aim(self.robot.goal_space.draw(rng))
        mujoco.mj_forward(model, self.data)
        return self.state

    def _draw_start(self, rng: np.random.Generator) -> None:
        """Move the robot from where its model puts it to a point that might be a goal."""
        space = self.robot.goal_space
        start = space.state_at(space.draw(rng), rng.uniform(-1.0, 1.0, self.robot.state_dim))
        joints = self._entries[list(space.entries.positions)]
        self.data.qpos[joints] += space.entries.positions_of(start) - self.model.qpos0[joints]

    def aim(self, goal: NDArray) -> None:
        """
        Give a robot that is sent to goals another one, and show it; its reward is about that.

        :param goal: [m], shape (2,).
        """
        self.goal = np.array(goal, dtype=np.float64)
        reaching = self.task.reaching
        shown = () if reaching is None else reaching.goal_joints or ()
        for joint, place in zip(shown, self.goal, strict=False):
            i = self.joint_names.index(joint)
            self.data.qpos[i], self.data.qvel[i] = place, 0.0

    def place(self, state: NDArray) -> None:
        """
        Put the robot in a recorded state; what the state does not hold is as in the model.

        So it is at the origin where the way forward was not recorded.

        :param state: shape (S,).
        """
        mujoco.mj_resetData(self.model, self.data)
        entries, is_velocity = self._entries, self._is_velocity
        self.data.qpos[entries[~is_velocity]] = state[~is_velocity]
        self.data.qvel[entries[is_velocity]] = state[is_velocity]
        mujoco.mj_forward(self.model, self.data)

    def snapshot(self) -> NDArray:
        """Return MuJoCo's integration state, a pending push included, and torques still to act."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        snapshot = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, snapshot, kind)
        return np.concatenate([snapshot, *self._controls])

    def restore(self, snapshot: NDArray) -> None:
        """Go back to a snapshot; noise and pushes to come stay those of this environment."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        n = mujoco.mj_stateSize(self.model, kind)
        mujoco.mj_setState(self.model, self.data, snapshot[:n], kind)
        self._controls = deque(snapshot[n:].reshape(-1, self.model.nu))

    def push(self, impulse: NDArray) -> None:
        """
        Push the base with a constant force during the next control period.

        It acts at the centre of mass of that body. Another push before that period replaces it, a
        reset forgets it.

        :param impulse: [N s], shape (3,), finite, in the world frame; a planar robot moves along
            x and z, so that y has no effect.
        """
        self.data.xfrc_applied[self._base, :3] = impulse / self.control_period

    def step(self, torque: NDArray) -> tuple[NDArray, float, bool]:
        """
        Hold a torque for one control period.

        The reward counts the torque that was asked for: noise on it is not the controller's.

        :param torque: [N m], shape (A,), in the order of ``actuated_joints``.
        :return: state (S,), reward, and whether the robot fell.
        """
        action = torque / self.torque_limit
        position_before = self.position
        impulse, noise, _ = self._disturbance
        if impulse is not None:
            self.push(impulse)
        self._controls.append((action + noise / self.torque_limit) * self._max_control)
        frame_skip = self.task.frame_skip
        n_late = self._perturbation.torque_delay % frame_skip
        if n_late:
            self._act(self._controls[0], n_late)
        self._controls.popleft()
        self._act(self._controls[0], frame_skip - n_late)
        self.data.xfrc_applied[self._base] = 0.0  # a push lasts one control period
        self._disturbance = next(self._disturbances)
        velocity = (self.position - position_before) / self.control_period
        return self.state, self.reward(velocity, action), self.has_fallen

    def reward(self, velocity: float, action: NDArray) -> float:
        """
        Return what a control period that has just passed was worth.

        :param velocity: mean forward velocity in it [m/s].
        :param action: torque over its limit, shape (A,).
        """
        weights = self.task.reward
        worth = (weights.forward_velocity * velocity + weights.healthy * self.is_healthy
                 - weights.control_cost * float(np.sum(np.square(action))))
        return worth if self.goal is None else worth + weights.goal_distance * self.position

    def _act(self, control: NDArray, n_steps: int) -> None:
        self.data.ctrl[:] = control
        if not self._obstacles:
            mujoco.mj_step(self.model, self.data, nstep=n_steps)
            return
        for _ in range(n_steps):
            mujoco.mj_step(self.model, self.data)
            self.has_collided |= bool(np.isin(self.data.contact.geom, self._obstacles).any())

    def _restart(self, seed: int) -> None:
        n_torques = self.model.nu
        self._disturbances = self._perturbation.disturbances(
            seed, control_period=self.control_period, n_torques=n_torques,
            is_velocity=self._is_velocity)
        self._disturbance = next(self._disturbances)
        # The torque that acts, then those that do not act yet.
        n_periods = self._perturbation.torque_delay // self.task.frame_skip
        self._controls = deque(np.zeros((n_periods + 1, n_torques)))


def _healthy_ranges(task: Task, joints: Sequence[str]) -> tuple[NDArray, NDArray, NDArray]:
    """Return which of all positions and velocities have a range, and its two ends, (n,) each."""
    ranges: dict[int, tuple[float, float]] = {}
    if task.healthy is not None:
        if task.healthy.others is not None:
            ranges = dict.fromkeys(range(2 * len(joints)), task.healthy.others)
            if task.forward_joint is not None:
                del ranges[joints.index(task.forward_joint)]
        ranges |= {joints.index(joint): ends for joint, ends in task.healthy.positions.items()}
    low, high = np.array([*ranges.values()]).reshape(-1, 2).T
    return np.array([*ranges], dtype=int), low, high
