# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""From arrays that you recorded to a data set that a model can learn from."""

from pathlib import Path
import tempfile

import numpy as np

from diffusion_planner_ros.data.d4rl_format import write_d4rl
from diffusion_planner_ros.data.formats import read_episodes
from diffusion_planner_ros.episode import Episode
from diffusion_planner_ros.robot import Robot

LAYOUT = """
name: my_arm
control_period: 0.02  # [s]
state:  # the columns of the states, in this order
  - {joint: elbow, quantity: position, unit: rad}
  - {joint: elbow, quantity: velocity, unit: rad/s}
action:
  - {joint: elbow, limit: 5.0}  # [N m]
"""
N_STEPS = 300


def recorded(robot: Robot, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return states (n + 1, S) and torques (n, A) [N m]; put what your robot recorded here."""
    rng = np.random.default_rng(seed)
    angle, speed, target = *rng.uniform(-1, 1, 2), rng.uniform(-1, 1)
    states, torques = [(angle, speed)], []
    for _ in range(N_STEPS):
        torque = np.clip(20 * (target - angle) - 2 * speed + rng.normal(), -5, 5)
        speed += robot.control_period * (torque - 0.5 * speed) / 0.2  # inertia of 0.2 kg m^2
        angle += robot.control_period * speed
        states.append((angle, speed))
        torques.append((torque,))
    return np.array(states), np.array(torques)


folder = Path(tempfile.mkdtemp(prefix='my_arm-'))
layout, data = folder / 'layout.yaml', folder / 'recorded.hdf5'
layout.write_text(LAYOUT)
robot = Robot.load(str(layout))  # checks it
episodes = []
for seed in range(20):
    states, torques = recorded(robot, seed)
    episodes.append(Episode(
        observations=states,
        actions=torques / robot.torque_limit,  # data hold shares of the limits
        rewards=-np.square(states[1:, 0]),  # what a good plan is: here, an angle near 0
        terminated=False))  # True where an episode ends in a fall
write_d4rl(data, episodes)

read = read_episodes(data, robot)  # as training reads it: order, shapes and numbers are checked
print(f'{data}: {len(read)} episodes, {sum(map(len, read))} steps')
print(f'diffusion_planner train --robot {layout} --data {data} --out {folder}/run')
