# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The networks that a model consists of, by name."""

from torch import nn

from ..diffusion import Diffusion
from .dynamics_model import DynamicsModel
from .inverse_dynamics import InverseDynamics
from .trajectory_value import TrajectoryValue


class ModelNetworks(nn.ModuleDict):
    """Networks by name; the last two are there only where the configuration needs them."""

    diffusion: Diffusion
    value: TrajectoryValue
    dynamics_model: DynamicsModel
    inverse_dynamics: InverseDynamics
    state_value: TrajectoryValue
