# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a simulated robot must be able to do, and how one is built from its folder."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from numpy.typing import NDArray

from ..errors import RobotError
from ..goals.obstacle import Obstacle
from ..robot import Robot
from ..robots.robot_folder import robot_folder
from ..robots.task import Task
from .mujoco_environment import MujocoEnvironment
from .perturbation import Perturbation, UNPERTURBED


class Environment(Protocol):
    """A simulated robot: torques in; states, rewards and falls out."""

    robot: Robot
    """Layout of state and actions."""
    task: Task
    """Reward, end and beginning of an episode."""
    joint_names: list[str]
    """All joints, in the order of ``qpos`` and ``qvel``."""
    forward: int
    """Index of the joint whose position is the way forward [m]; the first one, without such."""
    goal: NDArray | None
    """Goal of the episode [m], shape (2,), of a robot that is sent to goals."""
    has_collided: bool
    """Whether the robot has touched an obstacle in this episode."""
    actuated_joints: list[str]
    """Joints with a motor, in the order of a torque."""
    control_period: float
    """Time that a torque is held [s]."""
    torque_limit: NDArray
    """Largest torque of every motor [N m], shape (A,); an action of 1 is this torque."""

    @property
    def max_episode_steps(self) -> int:
        """Time limit of an episode [control periods]."""

    @property
    def is_healthy(self) -> bool:
        """Whether the robot is in the ranges that its task calls healthy."""

    @property
    def has_fallen(self) -> bool:
        """Whether it is not healthy, where that ends an episode."""

    @property
    def state(self) -> NDArray:
        """Measured state, in the order and units of the layout, shape (S,)."""

    @property
    def qpos(self) -> NDArray:
        """Copy of the position of every joint [m, rad], shape (number of joints,)."""

    @property
    def qvel(self) -> NDArray:
        """Copy of the velocity of every joint [m/s, rad/s], not clipped."""

    @property
    def position(self) -> float:
        """Forward position, or how far short of its goal the robot is, below 0 [m]."""

    def reset(self, seed: int) -> NDArray:
        """Start an episode and return its first state, shape (S,); the seed decides it all."""

    def step(self, torque: NDArray) -> tuple[NDArray, float, bool]:
        """
        Hold a torque for one control period.

        :param torque: [N m], shape (A,), in the order of ``actuated_joints``.
        :return: the state afterwards, shape (S,), the reward, and whether the robot fell.
        """

    def reward(self, velocity: float, action: NDArray) -> float:
        """
        Return what a control period that has just passed was worth.

        :param velocity: mean forward velocity in it [m/s].
        :param action: torque over its limit, shape (A,).
        """

    def aim(self, goal: NDArray) -> None:
        """Give a robot that is sent to goals another one [m], shape (2,)."""

    def push(self, impulse: NDArray) -> None:
        """Push the robot during the next control period; impulse [N s], world frame, (3,)."""

    def snapshot(self) -> NDArray:
        """Return all that decides how the simulation goes on, disturbances to come excluded."""

    def restore(self, snapshot: NDArray) -> None:
        """Go back to a snapshot of this environment or of another one of the same robot."""

    def place(self, state: NDArray) -> None:
        """Put the robot, at rest from all pushes, where a recorded state (S,) says."""


def in_mujoco(environment: Environment) -> MujocoEnvironment:
    """
    Return an environment for those who look into MuJoCo's model and data.

    :raises RobotError: if something else simulates it.
    """
    if not isinstance(environment, MujocoEnvironment):
        raise RobotError(f"robot '{environment.robot.name}' is simulated by "
                         f'{type(environment).__name__}, expected MuJoCo')
    return environment


@cache
def _described(folder: Path) -> tuple[Robot, Task]:
    """Read a robot once: one that is drawn anew in every episode is the same robot."""
    return Robot.load(str(folder)), Task.load(str(folder))


def make_environment(robot: str, perturbation: Perturbation = UNPERTURBED,
                     obstacles: Sequence[Obstacle] = ()) -> Environment:
    """
    Build the simulation of a robot.

    :param robot: its name, or the path of its folder.
    :param perturbation: what is different about it.
    :param obstacles: that are in its way.
    :raises RobotError: if there is no such robot, or what its folder says cannot be simulated.
    """
    return MujocoEnvironment(*_described(robot_folder(robot)), perturbation, obstacles)
