# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Plans of a running robot as arrays, in a process of your own.

Start a robot first, in another terminal: ``make walk ARGS="--episodes 5"``.
"""

import time

import numpy as np
import rclpy
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

N_PLANS = 5
TIME_LIMIT = 20.0  # [s]


class PlanListener(Node):
    """Keeps the newest plan and the paths of all candidates as arrays."""

    def __init__(self) -> None:
        super().__init__('plan_listener')
        self.n_plans, self.candidates = 0, None
        self.create_subscription(JointTrajectory, 'planner/plan', self._on_plan, 10)
        # Drawn at a lower rate: where links of the robot will be, for each candidate.
        self.create_subscription(MarkerArray, 'planner/markers', self._on_markers, 1)

    def _on_plan(self, msg: JointTrajectory) -> None:
        self.n_plans += 1
        self.joints = msg.joint_names  # J of them; the planned base among them
        self.position = np.array([point.positions for point in msg.points])  # (H, J) [m, rad]
        self.velocity = np.array([point.velocities for point in msg.points])  # [m/s, rad/s]
        self.torque = np.array([point.effort for point in msg.points])  # [N m], 0 without motor

    def _on_markers(self, msg: MarkerArray) -> None:
        lines = [marker for marker in msg.markers if marker.ns == 'candidates']
        if lines:  # L of them, for every candidate and link; the text is the candidate's value
            values = np.array([float(line.text) for line in lines])
            paths = np.array([[(p.x, p.y, p.z) for p in line.points] for line in lines])
            self.candidates = values, paths  # (L,), (L, H, 3) [m]


rclpy.init()
node = PlanListener()
begin = time.monotonic()
while node.n_plans < N_PLANS or node.candidates is None:
    rclpy.spin_once(node, timeout_sec=0.1)
    if time.monotonic() > begin + TIME_LIMIT:
        raise SystemExit(f'{node.n_plans} plans in {TIME_LIMIT:g} s; does a planner run, in this '
                         'ROS domain and namespace?')
for k, joint in enumerate(node.joints):
    print(f'{joint}: from {node.position[0, k]:.3f} to {node.position[-1, k]:.3f} m or rad, '
          f'first torque {node.torque[0, k]:.1f} N m')
values, paths = node.candidates
print(f'{node.n_plans} plans; candidates: values {values.min():.1f} to {values.max():.1f}, '
      f'paths of shape {paths.shape}')
rclpy.shutdown()
