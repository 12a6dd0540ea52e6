"""Whether layout and task of a robot fit MuJoCo's model of it."""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import RobotError
from ..robot import Robot
from ..robots.task import Task


def joints_of(model: mujoco.MjModel) -> list[str]:
    """Return the names of all joints, in the order of ``qpos``."""
    return [model.joint(i).name for i in range(model.njnt)]


def torque_limit_of(model: mujoco.MjModel) -> NDArray:
    """Return the largest torque of every motor [N m], shape (A,)."""
    return model.actuator_gear[:, 0] * model.actuator_ctrlrange[:, 1]


def check_model(model: mujoco.MjModel, robot: Robot, task: Task) -> None:
    """
    Refuse what cannot be simulated.

    :raises RobotError: naming what the task or the layout says, and what the model has.
    """
    joints = joints_of(model)
    if model.nq != model.njnt:
        raise RobotError(f'{task.file}: {task.mjcf} has {model.njnt} joints with {model.nq} '
                         'positions, expected slides and hinges, which have one each')
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
    is_motor = ((model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT)
                & (model.actuator_gaintype == mujoco.mjtGain.mjGAIN_FIXED)
                & (model.actuator_gainprm[:, 0] == 1.0)
                & (model.actuator_biastype == mujoco.mjtBias.mjBIAS_NONE)
                & (model.actuator_dyntype == mujoco.mjtDyn.mjDYN_NONE))
    limits = model.actuator_ctrlrange
    is_limited = model.actuator_ctrllimited.astype(bool) & (limits[:, 0] == -limits[:, 1])
    if not (is_motor & is_limited).all():
        i = int(np.argmin(is_motor & is_limited))
        raise RobotError(f"{task.file}: actuator {i} of {task.mjcf}, '{model.actuator(i).name}', "
                         'is no motor at a joint with a ctrlrange from -x to x, expected motors '
                         'alone: a planner commands torques')
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
