# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Build the networks that a training configuration asks for."""

from functools import partial
from pkgutil import resolve_name

import torch
from torch import nn, Tensor

from ...robot import Robot
from ...schedule import NoiseSchedule
from ..diffusion import Diffusion
from ..train_config import TrainConfig
from ..window_parts import seen_entries
from .denoiser_registry import DENOISERS
from .dynamics_model import DynamicsModel
from .inverse_dynamics import InverseDynamics
from .model_networks import ModelNetworks
from .return_conditioned import ReturnConditioned
from .trajectory_value import TrajectoryValue


def build_diffusion(config: TrainConfig, robot: Robot) -> Diffusion:
    """Build the denoiser with its schedule, its weights drawn from torch's global generator."""
    build = partial(resolve_name(DENOISERS[config.denoiser]), config)
    row_dim = robot.action_dim + robot.state_dim
    network: nn.Module = (ReturnConditioned(build, row_dim) if config.return_share
                          else build(row_dim))
    return Diffusion(network, NoiseSchedule(config.schedule, config.n_diffusion_steps),
                     prediction=config.prediction, seen=_seen(config, robot))


def _seen(config: TrainConfig, robot: Robot) -> Tensor:
    return seen_entries(config.window, config.horizon, robot.action_dim + robot.state_dim,
                        robot.action_dim)


def build_value(config: TrainConfig, robot: Robot) -> TrajectoryValue:
    """Build the value network, its weights drawn from torch's global generator."""
    return TrajectoryValue(_seen(config, robot), config.value_width, config.value_depth)


def build_dynamics_model(config: TrainConfig, robot: Robot) -> DynamicsModel:
    """Build the dynamics model, its weights drawn from torch's global generator."""
    return DynamicsModel(robot.action_dim, robot.state_dim, config.dynamics_width,
                         config.dynamics_depth)


def build_networks(config: TrainConfig, robot: Robot) -> ModelNetworks:
    """
    Build all that a model consists of, its weights drawn from torch's global generator.

    :return: ``diffusion``, ``value`` and ``dynamics_model``, and where they are needed
        ``inverse_dynamics`` and ``state_value``, in this order: the seed gives each network the
        weights that it would have without those that follow.
    """
    networks: dict[str, nn.Module] = {
        'diffusion': build_diffusion(config, robot),
        'value': build_value(config, robot),
        'dynamics_model': build_dynamics_model(config, robot)}
    if config.window == 'states':
        networks['inverse_dynamics'] = InverseDynamics(
            robot.action_dim, robot.state_dim, config.dynamics_width, config.dynamics_depth)
    if config.value_target == 'expectile':
        networks['state_value'] = TrajectoryValue(
            torch.ones(1, robot.state_dim, dtype=torch.bool), config.value_width,
            config.value_depth)
    return ModelNetworks(networks)
