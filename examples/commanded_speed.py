# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tell a robot how fast to go, and change that while it goes."""

from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.environment import make_environment

SPEEDS = (0.0, 1.5, 0.5)  # [m/s], one after the other
N_PERIODS = 200  # of each, 1.6 s

# This model learned from data with commanded speeds; the preset says how it is told one.
bundle = Bundle.load(share_file('models/walker2d_speeds'))
planner = Planner(bundle, PlannerConfig(**Preset.load('commanded').planner))
walker = make_environment('walker2d')
state, step = walker.reset(seed=0), 0
for speed in SPEEDS:
    planner.aim_speed(speed)  # from the next plan on
    for k in range(N_PERIODS):
        if k == N_PERIODS // 2:  # it needs a moment to follow
            begin = walker.position
        state, _, has_fallen = walker.step(planner.plan(state, step=step).actions[0])
        step += 1
        if has_fallen:
            raise SystemExit(f'it fell after {step * bundle.robot.control_period:.1f} s')
    seconds = (N_PERIODS - N_PERIODS // 2) * bundle.robot.control_period
    print(f'told {speed:.1f} m/s, it goes {(walker.position - begin) / seconds:.2f} m/s')
