# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A preference of your own, in your own file: spare a motor that gets hot."""

import numpy as np
from numpy.typing import NDArray

from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.guides.guide_registry import GUIDES
from diffusion_planner_ros.planning.guides.guide_targets import GuideTargets
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.environment import make_environment

JOINT = 'leg_joint'  # the knee of the right leg
N_PERIODS = 250  # 2 s


class SpareMotor:
    """Minus half the squared torque of one joint over its limit, summed over the rows."""

    def __init__(self, bundle: Bundle, config: GuideTargets) -> None:
        self._column = [entry.joint for entry in bundle.robot.action].index(JOINT)
        limit = bundle.robot.torque_limit[self._column]
        # Trajectories are normalised: back to a share of the torque limit.
        self._scale = np.float32(bundle.normalizer.std[self._column] / limit)
        self._offset = np.float32(bundle.normalizer.mean[self._column] / limit)

    def value(self, x_0: NDArray) -> NDArray:
        """Return how good trajectories (N, H, D) are, shape (N,): the larger, the better."""
        return -0.5 * np.square(self._share(x_0)).sum(axis=1)

    def gradient(self, x_t: NDArray, t: int) -> NDArray:
        """Return its slope, shape (N, H, D): it pushes trajectories while they are denoised."""
        gradient = np.zeros_like(x_t)
        gradient[:, :, self._column] = -self._scale * self._share(x_t)
        return gradient

    def _share(self, x: NDArray) -> NDArray:
        return self._scale * x[:, :, self._column] + self._offset


GUIDES['spare_motor'] = SpareMotor  # before a PlannerConfig names it

bundle = Bundle.load(share_file('models/walker2d'))
motor = [entry.joint for entry in bundle.robot.action].index(JOINT)
for weight in (0.0, 1.0, 2.0, 10.0):
    planner = Planner(bundle, PlannerConfig(
        guides=('learned_value', 'spare_motor'), guide_weights=(1.0, weight),
        guidance_strength=1.0, n_denoise_steps=3))  # strength 0 only ranks the candidates
    walker = make_environment('walker2d')
    state, torques, has_fallen = walker.reset(seed=0), [], False
    while len(torques) < N_PERIODS and not has_fallen:
        action = planner.plan(state, step=len(torques)).actions[0]
        state, _, has_fallen = walker.step(action)
        torques.append(action[motor])
    print(f'weight {weight:4.1f}: {JOINT} has {np.sqrt(np.mean(np.square(torques))):4.1f} N m '
          f'(root mean square); {"falls" if has_fallen else "still walks"} after '
          f'{len(torques) * bundle.robot.control_period:.1f} s and {walker.position:.1f} m')
