# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A mass of 1 kg on a rail, pushed by forces: the smallest robot that a planner can move."""

import numpy as np

from diffusion_planner_ros.data.windows import Windows
from diffusion_planner_ros.experiments.bundle_export import export_model
from diffusion_planner_ros.learning.onnx_export import TrainedModel
from diffusion_planner_ros.learning.trainer import train, Trainer
from diffusion_planner_ros.planning.bundle import Bundle
from diffusion_planner_ros.robot import ActionEntry, Robot, StateEntry

PERIOD = 0.1  # [s]
ROBOT = Robot('mass', PERIOD, (StateEntry('rail', 'position', 'm'),
                               StateEntry('rail', 'velocity', 'm/s')),
              (ActionEntry('rail', 1.0),))


def follow(state, forces):
    """Return the states (n + 1, 2) under forces [N], from a first one."""
    states = [np.asarray(state, dtype=float)]
    for force in forces:
        position, velocity = states[-1]
        velocity = velocity + PERIOD * force
        states.append(np.array([position + PERIOD * velocity, velocity]))
    return np.array(states)


def trained(config, episodes, folder, teacher=None):
    """Return the checkpoint of a model that learned from episodes, and its bundle."""
    windows = Windows.cut(episodes, ROBOT, config.horizon, discount=config.discount,
                          fall_penalty=config.fall_penalty)
    file = train(Trainer(config, ROBOT, windows, teacher), folder, {},
                 on_update=lambda n_done, losses: None)
    export_model(TrainedModel.load(file), folder / 'bundle', [], source=file)
    return file, Bundle.load(folder / 'bundle')
