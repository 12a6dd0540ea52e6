"""The networks that a training configuration asks for."""

from torch import nn

from ...robot import Robot
from ...schedule import NoiseSchedule
from ..diffusion import Diffusion
from ..train_config import TrainConfig
from .dynamics_model import DynamicsModel
from .residual_mlp import ResidualMLP
from .temporal_unet import TemporalUNet
from .trajectory_value import TrajectoryValue


def build_diffusion(config: TrainConfig, robot: Robot) -> Diffusion:
    """Build the denoiser with its schedule, its weights drawn from torch's global generator."""
    row_dim = robot.action_dim + robot.state_dim
    network: nn.Module
    if config.denoiser == 'mlp':
        network = ResidualMLP(config.horizon, row_dim, config.width, config.depth)
    else:
        network = TemporalUNet(config.horizon, row_dim, config.width)
    return Diffusion(network, NoiseSchedule(config.schedule, config.n_diffusion_steps),
                     prediction=config.prediction, action_dim=robot.action_dim)


def build_value(config: TrainConfig, robot: Robot) -> TrajectoryValue:
    """Build the value network, its weights drawn from torch's global generator."""
    return TrajectoryValue(config.horizon, robot.action_dim + robot.state_dim,
                           config.value_width, config.value_depth)


def build_dynamics_model(config: TrainConfig, robot: Robot) -> DynamicsModel:
    """Build the dynamics model, its weights drawn from torch's global generator."""
    return DynamicsModel(robot.action_dim, robot.state_dim, config.dynamics_width,
                        config.dynamics_depth)
