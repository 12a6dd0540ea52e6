"""Walker2D: a planar biped that is to walk forwards."""

from pathlib import Path

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .mujoco_environment import MujocoEnvironment
from .perturbation import Perturbation, UNPERTURBED

FRAME_SKIP = 4
RESET_NOISE = 5e-3
HEALTHY_HEIGHT = (0.8, 2.0)  # [m]
HEALTHY_PITCH = (-1.0, 1.0)  # [rad]
MAX_VELOCITY = 10.0  # [m/s, rad/s], as Gymnasium clips its observations
CTRL_COST = 1e-3
MAX_EPISODE_STEPS = 1000

# D4RL's reference returns of walker2d: a random policy and a SAC expert, in Walker2d-v2.
RANDOM_RETURN, EXPERT_RETURN = 1.629008, 4592.3


def normalized_score(episode_return: float) -> float:
    """
    Scale a return as D4RL does: 0 is a random policy, 100 its expert.

    D4RL (Fu et al. 2020, https://arxiv.org/abs/2004.07219) measured both in ``Walker2d-v2``,
    whose friction and contacts differ from those of ``Walker2d-v5``, which is simulated here. The
    score ranks models of this package; it must not be put beside published D4RL scores.
    """
    return 100.0 * (episode_return - RANDOM_RETURN) / (EXPERT_RETURN - RANDOM_RETURN)


def mjcf_path() -> Path:
    """Return the MJCF file of Walker2d-v5 inside the installed gymnasium package."""
    return Path(gymnasium.__file__).parent / 'envs' / 'mujoco' / 'assets' / 'walker2d_v5.xml'


class Walker2D(MujocoEnvironment):
    """
    The planar biped of Gymnasium's ``Walker2d-v5``, number by number, unless it is perturbed.

    :param perturbation: what is different about the robot.
    """

    max_episode_steps = MAX_EPISODE_STEPS

    def __init__(self, perturbation: Perturbation = UNPERTURBED) -> None:
        super().__init__(mjcf_path(), perturbation, frame_skip=FRAME_SKIP, base='torso',
                         reset_noise=RESET_NOISE, max_velocity=MAX_VELOCITY)

    @property
    def is_healthy(self) -> bool:
        """Whether torso height and pitch are those of a robot that has not fallen."""
        height, pitch = self.data.qpos[1:3]
        return bool(HEALTHY_HEIGHT[0] < height < HEALTHY_HEIGHT[1]
                    and HEALTHY_PITCH[0] < pitch < HEALTHY_PITCH[1])

    def reward(self, velocity: float, action: NDArray) -> float:
        """Return velocity [m/s], 1 more while healthy, less a share of the squared action."""
        return velocity + float(self.is_healthy) - CTRL_COST * float(np.sum(np.square(action)))

    @staticmethod
    def normalized_score(episode_return: float) -> float:
        """Return D4RL's score; see ``normalized_score`` of this file."""
        return normalized_score(episode_return)
