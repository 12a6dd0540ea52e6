"""Build the networks that a training configuration asks for."""

from pkgutil import resolve_name

from torch import nn

from ...robot import Robot
from ...schedule import NoiseSchedule
from ..diffusion import Diffusion
from ..train_config import TrainConfig
from .denoiser_registry import DENOISERS
from .dynamics_model import DynamicsModel
from .trajectory_value import TrajectoryValue


def build_diffusion(config: TrainConfig, robot: Robot) -> Diffusion:
    """Build the denoiser with its schedule, its weights drawn from torch's global generator."""
    build = resolve_name(DENOISERS[config.denoiser])
    network: nn.Module = build(config, robot.action_dim + robot.state_dim)
    return Diffusion(network, NoiseSchedule(config.schedule, config.n_diffusion_steps),
                     prediction=config.prediction)


def build_value(config: TrainConfig, robot: Robot) -> TrajectoryValue:
    """Build the value network, its weights drawn from torch's global generator."""
    return TrajectoryValue(config.horizon, robot.action_dim + robot.state_dim,
                           config.value_width, config.value_depth)


def build_dynamics_model(config: TrainConfig, robot: Robot) -> DynamicsModel:
    """Build the dynamics model, its weights drawn from torch's global generator."""
    return DynamicsModel(robot.action_dim, robot.state_dim, config.dynamics_width,
                        config.dynamics_depth)


def build_networks(config: TrainConfig, robot: Robot) -> nn.ModuleDict:
    """
    Build denoiser, value and dynamics model, their weights drawn from torch's global generator.

    :return: ``diffusion``, ``value`` and ``dynamics_model``, in this order: the seed gives each
        network the weights that it would have without those that follow.
    """
    return nn.ModuleDict({'diffusion': build_diffusion(config, robot),
                          'value': build_value(config, robot),
                          'dynamics_model': build_dynamics_model(config, robot)})
