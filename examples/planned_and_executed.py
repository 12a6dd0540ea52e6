# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Do plans come true? Execute plans and compare the states that follow with the planned ones."""

import numpy as np

from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.environment import make_environment

N_PERIODS, EVERY = 500, 10  # every 10th plan of 4 s is executed to its end, on the side

bundle = Bundle.load(share_file('models/walker2d'))
robot, horizon = bundle.robot, bundle.horizon
planner = Planner(bundle, PlannerConfig())
walker, other = make_environment('walker2d'), make_environment('walker2d')
other.reset(seed=0)
state, planned, forecast = walker.reset(seed=0), [], []
for step in range(N_PERIODS):
    plan = planner.plan(state, step=step)
    if step % EVERY == 0:
        other.restore(walker.snapshot())
        executed = np.array([other.step(action)[0] for action in plan.actions[:-1]])
        planned.append(plan.states[1:] - executed)  # row 0 is the measured state
        # The dynamics model of the bundle, from the same actions.
        forecast.append(bundle.forecast(state, plan.actions[:-1]) - executed)
    state, _, _ = walker.step(plan.actions[0])

spread = bundle.normalizer.std[robot.action_dim:]  # of the training data, as errors are shown in
planned, forecast = (np.sqrt(np.square(np.array(errors) / spread).mean(axis=(0, 2)))
                     for errors in (planned, forecast))
print('errors of the state [standard deviations], root mean square over all entries')
print('control periods ahead   planned   dynamics model')
for k in range(horizon - 1):
    print(f'{k + 1:21d} {planned[k]:9.3f} {forecast[k]:16.3f}')
