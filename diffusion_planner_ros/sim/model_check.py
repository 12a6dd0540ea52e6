# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Whether layout and task of a robot fit MuJoCo's model of it."""

import math

import mujoco
from numpy.typing import NDArray

from ..errors import RobotError
from ..robot import Robot
from ..robots.task import Task

QUATERNIONS = {
    mujoco.mjtJoint.mjJNT_FREE: 'a free joint, with seven positions, four of them a quaternion, '
                                'and six velocities',
    mujoco.mjtJoint.mjJNT_BALL: 'a ball, with the four positions of a quaternion and three '
                                'velocities'}


def joints_of(model: mujoco.MjModel) -> list[str]:
    """Return the names of all joints, in the order of ``qpos``."""
    return [model.joint(i).name for i in range(model.njnt)]


def torque_limit_of(model: mujoco.MjModel) -> NDArray:
    """Return the largest torque of every motor [N m], shape (A,)."""
    return model.actuator_gear[:, 0] * model.actuator_ctrlrange[:, 1]


def check_joints(model: mujoco.MjModel, source: str) -> None:
    """
    Refuse all but slides and hinges.

    :param source: where the model comes from, for the error.
    :raises RobotError: naming the joint, and what a layout would need.
    """
    for i in range(model.njnt):
        kind = QUATERNIONS.get(mujoco.mjtJoint(model.jnt_type[i]))
        if kind is not None:
            raise RobotError(f"{source}: joint '{model.joint(i).name}' is {kind}, expected slides "
                             'and hinges: an entry of a layout is the one position or the one '
                             'velocity of a joint; put a slide or hinge there for every way in '
                             'which it moves, as rootx, rootz and rooty of walker2d')


def check_motors(model: mujoco.MjModel, source: str) -> None:
    """
    Refuse all but motors, each at a joint and with a range.

    :param source: where the model comes from, for the error.
    :raises RobotError: naming the actuator, what it is and what is expected.
    """
    for i in range(model.nu):
        if (fault := _motor_fault(model, i)) is not None:
            raise RobotError(f"{source}: actuator {i}, '{model.actuator(i).name}', {fault}; "
                             'expected motors alone, <motor joint="..." gear="TORQUE LIMIT" '
                             'ctrllimited="true" ctrlrange="-1 1"/>: a planner commands torques')


def _motor_fault(model: mujoco.MjModel, i: int) -> str | None:
    """Return what actuator i is or lacks; None for a motor with a range."""
    if model.actuator_trntype[i] != mujoco.mjtTrn.mjTRN_JOINT:
        return f'drives {mujoco.mjtTrn(model.actuator_trntype[i]).name}, no joint'
    if model.actuator_dyntype[i] != mujoco.mjtDyn.mjDYN_NONE:
        return f'has dynamics ({mujoco.mjtDyn(model.actuator_dyntype[i]).name})'
    if model.actuator_biastype[i] != mujoco.mjtBias.mjBIAS_NONE:
        _, stiffness, damping = model.actuator_biasprm[i, :3]
        return (f'is a position servo (kp {-stiffness:g})' if stiffness else
                f'is a velocity servo (kv {-damping:g})' if damping else 'has a bias')
    if (model.actuator_gaintype[i] != mujoco.mjtGain.mjGAIN_FIXED
            or model.actuator_gainprm[i, 0] != 1.0):
        return f'has a gain of {model.actuator_gainprm[i, 0]:g}, which belongs into its gear'
    low, high = model.actuator_ctrlrange[i]
    if not model.actuator_ctrllimited[i] or not low == -high < 0:
        return f'has the ctrlrange {low:g} {high:g}, no range from -x to x'
    return None if model.actuator_gear[i, 0] > 0 else (
        f'has a gear of {model.actuator_gear[i, 0]:g}, not above 0')


def check_model(model: mujoco.MjModel, robot: Robot, task: Task) -> None:
    """
    Refuse what cannot be simulated.

    :raises RobotError: naming what the task or the layout says, and what the model has.
    """
    joints = joints_of(model)
    check_joints(model, f'{task.file}: {task.mjcf}')
    bodies = [model.body(i).name for i in range(1, model.nbody)]
    for what, name, known in (
            *((('forward_joint', task.forward_joint, joints),) if not task.reaching else ()),
            ('pushed_body', task.pushed_body, bodies),
            *(('a joint of healthy.positions', joint, joints)
              for joint in (task.healthy.positions if task.healthy else ()))):
        if name not in known:
            raise RobotError(f"{task.file}: {what} is '{name}', expected one of {task.mjcf}'s "
                             f'{", ".join(known)}')
    _check_goals(robot, task, joints)
    for entry in robot.state:
        if entry.joint not in joints:
            raise RobotError(f"layout of {robot.name}: the state has joint '{entry.joint}', "
                             f"expected joints of {task.mjcf}: {', '.join(joints)}")
    _check_motors(model, robot, task)
    period = model.opt.timestep * task.frame_skip
    if not math.isclose(robot.control_period, period):
        raise RobotError(f'layout of {robot.name}: control_period is {robot.control_period:g} s, '
                         f'expected {period:g} s, frame_skip {task.frame_skip} times the '
                         f"{model.opt.timestep:g} s of {task.mjcf}'s timestep")


def _check_goals(robot: Robot, task: Task, joints: list[str]) -> None:
    """Refuse a task with goals whose layout or model is without what they need."""
    if (reaching := task.reaching) is None:
        return
    if robot.goal is None:
        raise RobotError(f'layout of {robot.name}: no section goal, expected one, as '
                         f'{task.file} has a section reaching')
    if reaching.wall_height is not None and robot.goal.grid is None:
        raise RobotError(f'{task.file}: reaching.wall_height is {reaching.wall_height:g}, '
                         f'expected none: the goals of {robot.name} have no map with walls')
    for joint in reaching.goal_joints or ():
        if joint not in joints:
            raise RobotError(f"{task.file}: reaching.goal_joints has '{joint}', expected joints "
                             f"of {task.mjcf}: {', '.join(joints)}")


def _check_motors(model: mujoco.MjModel, robot: Robot, task: Task) -> None:
    """Refuse anything but a motor for every action entry, in the same order."""
    check_motors(model, f'{task.file}: {task.mjcf}')
    driven = [model.joint(int(i)).name for i in model.actuator_trnid[:, 0]]
    commanded = [entry.joint for entry in robot.action]
    if commanded != driven:
        raise RobotError(f'layout of {robot.name}: the action is of {", ".join(commanded)}, '
                         f"expected {task.mjcf}'s motors in their order: {', '.join(driven)}")
    for entry, limit in zip(robot.action, torque_limit_of(model), strict=True):
        if not math.isclose(entry.limit, limit):
            raise RobotError(f"layout of {robot.name}: limit of joint '{entry.joint}' is "
                             f'{entry.limit:g} N m, expected {limit:g} N m, gear times ctrlrange '
                             f'of {task.mjcf}')
