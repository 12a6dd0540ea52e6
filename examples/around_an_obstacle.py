# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Send a robot to a goal, with an obstacle in its way that no training data had."""

import numpy as np

from diffusion_planner_ros.goals.obstacle import Disc
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.planning.navigation.navigator import Navigator
from diffusion_planner_ros.planning.planner import Planner
from diffusion_planner_ros.planning.planner_config import PlannerConfig
from diffusion_planner_ros.presets.preset import Preset
from diffusion_planner_ros.share import share_file
from diffusion_planner_ros.sim.environment import make_environment

START, GOAL = (-4.5, 3.0), (-1.5, 3.0)  # [m]; at both ends of a corridor 1 m wide
OBSTACLE = Disc((-3.0, 3.1), radius=0.1)

bundle = Bundle.load(share_file('models/point_maze'))
planner = Planner(bundle, PlannerConfig(**Preset.load('maze').planner))
radius = bundle.robot.goal.clearance


def go(knows_of_it: bool) -> None:
    """Let the robot go to the goal, and print how near it came to the obstacle."""
    planner.avoid([OBSTACLE] if knows_of_it else [])
    navigator = Navigator(bundle.robot, horizon=bundle.horizon)
    navigator.go([GOAL])  # several points are gone to one after the other
    mass = make_environment('point_maze', obstacles=[OBSTACLE])
    mass.reset(seed=0)
    mass.place(np.array([*START, 0.0, 0.0]))
    state, nearest = mass.state, np.inf
    for step in range(mass.max_episode_steps):
        if navigator.has_arrived(state):
            break
        condition = navigator.advance(state)  # what is known of the plan: its end
        state, _, _ = mass.step(planner.plan(state, step=step, condition=condition).actions[0])
        distance, _ = OBSTACLE.distance(state[:2])
        nearest = min(nearest, distance - radius)
    print(f'{"knows of the obstacle" if knows_of_it else "does not know of it"}: '
          f'{"collides" if mass.has_collided else f"passes it at {nearest * 100:.0f} cm"}, '
          f'{"arrives" if navigator.has_arrived(state) else "is not there"} after '
          f'{step * bundle.robot.control_period:.1f} s')


go(knows_of_it=False)
go(knows_of_it=True)
