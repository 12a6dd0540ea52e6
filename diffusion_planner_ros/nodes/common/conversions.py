# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Messages from numbers, and numbers from messages; joints are matched by name, not by order."""

from collections.abc import Mapping

from builtin_interfaces.msg import Duration, Time
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ...errors import StateError
from ...messages.names import shortened
from ...messages.stamps import NANOSECONDS, stamp_from_label
from ...planning.planner import Plan
from ...robot import Robot


def stamp_from_nanoseconds(nanoseconds: int) -> Time:
    """Return nanoseconds as a stamp."""
    sec, nanosec = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def msg_from_torque(torque: NDArray, stamp: int) -> Float64MultiArray:
    """
    Build a command.

    :param torque: [N m], in the order of the robot's action layout, shape (A,).
    :param stamp: of the state that it answers [ns], or ``NO_STATE``; it travels as the label of
        the only dimension, which controllers ignore and our bridge checks.
    """
    msg = Float64MultiArray(data=torque.tolist())
    n = len(msg.data)
    msg.layout.dim.append(MultiArrayDimension(label=str(stamp), size=n, stride=n))
    return msg


def torque_from_msg(msg: Float64MultiArray) -> tuple[NDArray, int | None]:
    """
    Return the torque of a command, and the state that it answers.

    :return: torque [N m], shape (A,); stamp of the state [ns], ``NO_STATE``, or ``None`` if the
        label is neither.
    """
    label = msg.layout.dim[0].label if msg.layout.dim else ''
    return np.array(msg.data), stamp_from_label(label)


def msg_from_joints(names: list[str], position: NDArray, velocity: NDArray, effort: NDArray,
                    stamp: int) -> JointState:
    """
    Build a message of joint states.

    :param names: of the J joints.
    :param position: [m, rad], shape (J,).
    :param velocity: [m/s, rad/s], shape (J,).
    :param effort: [N, N m], shape (J,).
    :param stamp: time of the state [ns].
    """
    msg = JointState(name=names, position=position.tolist(), velocity=velocity.tolist(),
                     effort=effort.tolist())
    msg.header.stamp = stamp_from_nanoseconds(stamp)
    return msg


def joint_positions(states: NDArray, robot: Robot, start: Mapping[str, float]
                    ) -> dict[str, NDArray]:
    """
    Return the joint positions of planned states.

    :param states: in the order and units of ``robot.state``, shape (..., H, S).
    :param start: measured positions by joint [m, rad]; a joint whose position is not part of the
        state moves from there, or from 0, with its planned velocity.
    :return: positions by joint [m, rad], each of shape (..., H), joints in the state's order.
    """
    column = {(e.joint, e.quantity): k for k, e in enumerate(robot.state)}
    positions = {}
    for joint in dict.fromkeys(entry.joint for entry in robot.state):
        if (joint, 'position') in column:
            positions[joint] = states[..., column[joint, 'position']]
        else:
            velocity = states[..., column[joint, 'velocity']]
            travelled = np.cumsum(velocity, axis=-1) - velocity
            positions[joint] = start.get(joint, 0.0) + robot.control_period * travelled
    return positions


def msg_from_plan(plan: Plan, robot: Robot, stamp: int,
                  start: dict[str, float]) -> JointTrajectory:
    """
    Build the trajectory of the chosen candidate.

    :param plan: with H states and actions.
    :param stamp: of the state that the plan starts from [ns].
    :param start: measured positions by joint [m, rad], as for ``joint_positions``.
    """
    positions = joint_positions(plan.states, robot, start)
    still = np.zeros(len(plan.states))
    velocity = {e.joint: plan.states[:, k] for k, e in enumerate(robot.state)
                if e.quantity == 'velocity'}
    effort = {e.joint: plan.actions[:, k] for k, e in enumerate(robot.action)}
    rows = zip(*(np.array(columns).T.tolist() for columns in (
        list(positions.values()), [velocity.get(j, still) for j in positions],
        [effort.get(j, still) for j in positions])), strict=True)
    msg = JointTrajectory(joint_names=list(positions))
    msg.header.stamp = stamp_from_nanoseconds(stamp)
    for k, (position, velocity, torque) in enumerate(rows):
        ahead = stamp_from_nanoseconds(round(k * robot.control_period * NANOSECONDS))
        msg.points.append(JointTrajectoryPoint(
            positions=position, velocities=velocity, effort=torque,
            time_from_start=Duration(sec=ahead.sec, nanosec=ahead.nanosec)))
    return msg


def states_from_plan(msg: JointTrajectory, robot: Robot) -> NDArray:
    """
    Return the planned states [SI] in the order of ``robot.state``, shape (H, S).

    :raises StateError: if the trajectory lacks a joint, or has a number that single precision
        cannot hold, in which recordings are stored.
    """
    index = {joint: i for i, joint in enumerate(msg.joint_names)}
    if missing := [e.joint for e in robot.state if e.joint not in index]:
        raise StateError(f"joint '{missing[0]}' is missing in the plan, found "
                         f'{shortened(msg.joint_names) or "no joint"}')
    if len(index) < len(msg.joint_names):
        raise StateError(f'the plan names {len(msg.joint_names) - len(index)} joints again, '
                         'expected each once')
    quantities = {'position': 'positions', 'velocity': 'velocities'}
    lists = [{q: getattr(p, field) for q, field in quantities.items()} for p in msg.points]
    if any(len(numbers) != len(index) for point in lists for numbers in point.values()):
        raise StateError(f'a point of the plan has another number of positions or velocities '
                         f'than its {len(index)} joints')
    rows = [[point[e.quantity][index[e.joint]] for e in robot.state] for point in lists]
    states = np.array(rows, dtype=float).reshape(len(lists), robot.state_dim)
    if not (np.abs(states) <= np.finfo(np.float32).max).all():  # a NaN neither
        raise StateError('the plan has states that are not finite, expected numbers that single '
                         'precision can hold')
    return states


def msg_from_reward(reward: float, terminated: bool, stamp: int) -> JointState:
    """
    Build the message of the reward of one control period.

    It is a ``JointState`` because that is the standard message with a stamp and named numbers.

    :param reward: of the task.
    :param terminated: whether the episode ended in a fall.
    :param stamp: of the state that the period led to [ns].
    """
    msg = JointState(name=['reward', 'terminated'], position=[reward, float(terminated)])
    msg.header.stamp = stamp_from_nanoseconds(stamp)
    return msg
