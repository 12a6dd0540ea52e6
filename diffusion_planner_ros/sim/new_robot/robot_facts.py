# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What a model says of a robot, and the guesses that its folder begins with."""

from dataclasses import dataclass
import math

import mujoco
import numpy as np

from ...errors import ConfigError, RobotError
from ..model_check import check_motors, torque_limit_of

USUAL_PERIOD = 0.02  # [s]: 50 Hz, at which many policies of legged robots and arms run
FORWARD = np.array([1.0, 0.0, 0.0])  # in the world


@dataclass(frozen=True)
class JointFacts:
    """A slide or hinge of a model."""

    name: str
    is_slide: bool
    range: tuple[float, float] | None
    """Lowest and highest position [m, rad]; None without limits."""
    torque_limit: float | None
    """Largest torque of its motor [N m, N]; None where it has none."""

    @property
    def unit(self) -> str:
        """Unit of its position."""
        return 'm' if self.is_slide else 'rad'

    @property
    def torque_unit(self) -> str:
        """Unit of the torque, which is a force at a slide."""
        return 'N' if self.is_slide else 'N m'


@dataclass(frozen=True)
class RobotFacts:
    """A robot as its model describes it."""

    joints: tuple[JointFacts, ...]
    motors: tuple[JointFacts, ...]
    """Joints with a motor, in the order of the model's actuators."""
    timestep: float
    """Of the simulator [s]."""
    frame_skip: int
    """Simulator steps in a control period."""
    forward_joint: str
    """Guess: the slide nearest to the x axis of the world, or else the first joint."""
    pushed_body: str
    """Guess: the heaviest body."""

    @property
    def control_period(self) -> float:
        """Time between two actions [s]."""
        return float(f'{self.frame_skip * self.timestep:.9g}')

    @property
    def travels(self) -> bool:
        """Whether the forward joint is a slide without limits: a base that goes anywhere."""
        forward = next(j for j in self.joints if j.name == self.forward_joint)
        return forward.is_slide and forward.range is None


def robot_facts(model: mujoco.MjModel, source: str, control_period: float | None) -> RobotFacts:
    """
    Read what a layout and a task need from a model.

    :param source: where the model comes from, for errors.
    :param control_period: [s]; by default the multiple of the timestep nearest to 20 ms.
    :raises RobotError: if a joint or body has no name, there is no motor or there are two at a
        joint, or an actuator is not a motor.
    :raises ConfigError: if the control period is no multiple of the timestep.
    """
    if not model.njnt:
        raise RobotError(f'{source}: has no joint that moves, expected at least one')
    _check_names(model, source)
    if not model.nu:
        raise RobotError(f'{source}: has no actuator, expected a motor at every joint that the '
                         'planner is to drive: in MJCF <actuator><motor joint="..." '
                         'gear="TORQUE LIMIT" ctrllimited="true" ctrlrange="-1 1"/></actuator>, '
                         'in URDF <limit effort="TORQUE LIMIT" .../> in a joint')
    check_motors(model, source)
    driven = [int(i) for i in model.actuator_trnid[:, 0]]
    for joint in driven:
        if driven.count(joint) > 1:
            raise RobotError(f"{source}: joint '{model.joint(joint).name}' has "
                             f'{driven.count(joint)} motors, expected one')
    limits = dict(zip(driven, map(float, torque_limit_of(model)), strict=True))
    joints = tuple(JointFacts(
        model.joint(i).name, model.jnt_type[i] == mujoco.mjtJoint.mjJNT_SLIDE,
        _range(model, i), limits.get(i))
        for i in range(model.njnt))
    timestep = float(model.opt.timestep)
    return RobotFacts(
        joints, tuple(joints[i] for i in driven), timestep,
        _frame_skip(timestep, control_period, source), joints[_forward(model)].name,
        model.body(1 + int(np.argmax(model.body_mass[1:]))).name)


def _check_names(model: mujoco.MjModel, source: str) -> None:
    for kind, elements in (('joint', map(model.joint, range(model.njnt))),
                           ('body', map(model.body, range(1, model.nbody)))):
        for i, element in enumerate(elements):
            if not element.name:
                raise RobotError(f'{source}: {kind} {i} has no name, expected one for each: '
                                 'states, torques and links are matched by name')


def _frame_skip(timestep: float, control_period: float | None, source: str) -> int:
    if control_period is None:
        return max(1, round(USUAL_PERIOD / timestep))
    n = control_period / timestep
    if not (math.isfinite(n) and round(n) >= 1 and math.isclose(n, round(n), rel_tol=1e-6)):
        raise ConfigError(f'control_period is {control_period:g} s, expected a multiple of the '
                          f'{timestep:g} s of the timestep of {source}')
    return round(n)


def _range(model: mujoco.MjModel, joint: int) -> tuple[float, float] | None:
    """Return lowest and highest position of a joint [m, rad]; None without limits."""
    if not model.jnt_limited[joint]:
        return None
    low, high = map(float, model.jnt_range[joint])
    return low, high


def _forward(model: mujoco.MjModel) -> int:
    """Return the index of the slide that is nearest to the way forward; 0 without slides."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    along = np.where(model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE,
                     np.abs(data.xaxis @ FORWARD), -1.0)
    return int(np.argmax(along))
