# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where the base of a robot is, as odometry says."""

from ast import literal_eval
from collections.abc import Mapping

import numpy as np

from ....errors import ConfigError, StateError
from ....messages.odometry import AXES, BaseJoint, pose_and_rates


def base_joints(facts: Mapping[str, str]) -> tuple[BaseJoint, ...]:
    """
    Return the joints of the base that odometry measures, as the planner reports them.

    None where its report cannot be read: another version of the planner may have sent it.
    """
    try:
        texts = literal_eval(facts.get('odometry_joints', '()'))
        return tuple(BaseJoint.parse(text) for text in texts if text)
    except (ValueError, SyntaxError, TypeError, AttributeError, ConfigError):
        return ()


def base_positions(msg: object, joints: tuple[BaseJoint, ...]) -> dict[str, float]:
    """Return the positions of base joints [m, rad] by name; none of odometry that is refused."""
    try:
        pose = pose_and_rates(msg)
    except StateError:
        return {}
    return {j.joint: float(j.sign * pose[AXES.index(j.axis)]) for j in joints
            if np.isfinite(pose[AXES.index(j.axis)])}
