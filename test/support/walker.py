# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The robot that most tests simulate."""

from functools import partial

from diffusion_planner_ros.robots.task import Task
from diffusion_planner_ros.sim.environment import make_environment

Walker2D = partial(make_environment, 'walker2d')
normalized_score = Task.load('walker2d').normalized_score
