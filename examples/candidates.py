# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What one plan holds: the candidates, what is predicted of each, and which one is chosen."""

import time

from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.environment import make_environment

N_PLANS = 50

bundle = Bundle.load(share_file('models/walker2d'))
robot = bundle.robot
print('state: ', ', '.join(f'{e.joint} {e.quantity} [{e.unit}]' for e in robot.state))
print('action:', ', '.join(f'{e.joint} [N m]' for e in robot.action))

planner = Planner(bundle, PlannerConfig(n_candidates=8))
walker = make_environment('walker2d')
state = walker.reset(seed=0)  # or what your robot measures, shape (S,)
for step in range(100):
    state, _, _ = walker.step(planner.plan(state, step=step).actions[0])
plan = planner.plan(state, step=100)
period = robot.control_period
print(f'{len(plan.candidates)} candidates of {bundle.horizon} rows, one per {period * 1e3:g} ms')

# A row is [action | state], in SI units.
forward = robot.action_dim + robot.state_index('rootx', 'velocity')
for k, candidate in enumerate(plan.candidates):
    torque = candidate[0, :robot.action_dim]
    print(f'{"->" if k == plan.best else "  "} candidate {k}: predicted return '
          f'{plan.values[k]:6.1f}, speed at its end {candidate[-1, forward]:5.2f} m/s, '
          f'first torques {torque.round().astype(int)} N m')

begin = time.perf_counter()
for step in range(N_PLANS):
    planner.plan(state, step=step)  # another step, other noise
taken = (time.perf_counter() - begin) / N_PLANS
print(f'a plan takes {taken * 1e3:.1f} ms here (mean of {N_PLANS}); it has {period * 1e3:g} ms')
