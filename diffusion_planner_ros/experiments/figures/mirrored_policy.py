# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A second gait: the same policy with left and right exchanged."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import RobotError
from ...robot import ActionEntry, Robot, StateEntry
from ...sim.behaviour.gaussian_policy import GaussianPolicy

LEFT, RIGHT = '_left_joint', '_joint'  # how the names of the joints of a pair of legs end


def _other_side(joint: str, joints: Sequence[str]) -> str:
    """Return the joint of the other leg; of one in the middle, itself."""
    if joint.endswith(LEFT):
        return joint.removesuffix(LEFT) + RIGHT
    other = joint.removesuffix(RIGHT) + LEFT
    return other if other in joints else joint


def _mirror(entries: Sequence[StateEntry | ActionEntry], robot: Robot) -> NDArray:
    keys = [(entry.joint, getattr(entry, 'quantity', 'torque')) for entry in entries]
    joints = [joint for joint, _ in keys]
    if not any(joint.endswith(LEFT) for joint in joints):
        raise RobotError(f"robot '{robot.name}' has no joint *{LEFT}, expected a robot with a "
                         'left and a right leg')
    return np.array([keys.index((_other_side(joint, joints), quantity))
                     for joint, quantity in keys])


def mirrored_orders(robot: Robot) -> tuple[NDArray, NDArray]:
    """
    Return where the entries of a mirrored state (S,) and action (A,) come from.

    :raises RobotError: if the robot has no left leg.
    """
    return _mirror(robot.state, robot), _mirror(robot.action, robot)


def mirrored_policy(policy: GaussianPolicy, robot: Robot) -> GaussianPolicy:
    """
    Return the policy that does with the left leg what a policy does with the right one.

    In a robot whose legs are alike it walks as well as the other, in the other gait.

    :raises RobotError: if the robot has no left leg.
    """
    state, action = mirrored_orders(robot)
    first, *middle, last = policy.weights
    return replace(
        policy, mean=policy.mean[state], std=policy.std[state],
        weights=(first[:, state], *middle, last[action]),
        biases=(*policy.biases[:-1], policy.biases[-1][action]),
        action_std=policy.action_std[action])
