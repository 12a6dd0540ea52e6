"""Walker2D on the MuJoCo bindings: torques in, states out."""

from pathlib import Path

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from .perturbation import Perturbation, UNPERTURBED

FRAME_SKIP = 4
RESET_NOISE = 5e-3
HEALTHY_HEIGHT = (0.8, 2.0)  # [m]
HEALTHY_PITCH = (-1.0, 1.0)  # [rad]
MAX_VELOCITY = 10.0  # [m/s, rad/s], as Gymnasium clips its observations
CTRL_COST = 1e-3
MAX_EPISODE_STEPS = 1000

# D4RL's reference returns of walker2d: a random policy and a SAC expert.
RANDOM_RETURN, EXPERT_RETURN = 1.629008, 4592.3


def normalized_score(episode_return: float) -> float:
    """Scale a return as D4RL does: 0 is a random policy, 100 its expert."""
    return 100.0 * (episode_return - RANDOM_RETURN) / (EXPERT_RETURN - RANDOM_RETURN)


def mjcf_path() -> Path:
    """Return the MJCF file of Walker2d-v5 inside the installed gymnasium package."""
    return Path(gymnasium.__file__).parent / 'envs' / 'mujoco' / 'assets' / 'walker2d_v5.xml'


class Walker2D:
    """
    The planar biped of Gymnasium's ``Walker2d-v5``, number by number.

    One control period is ``FRAME_SKIP`` simulator steps. The reward is the forward velocity [m/s]
    plus 1 while healthy minus ``CTRL_COST`` times the squared action, the action being the torque
    over the gear. All this holds unless the robot is changed.
    """

    def __init__(self, perturbation: Perturbation = UNPERTURBED) -> None:
        self.model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
        perturbation.alter(self.model)
        self.data = mujoco.MjData(self.model)
        self.gear = self.model.actuator_gear[:, 0].copy()  # (A,) [N m]
        self.joint_names = [self.model.joint(i).name for i in range(self.model.njnt)]
        self.actuated_joints = [
            self.model.joint(int(i)).name for i in self.model.actuator_trnid[:, 0]]
        self.control_period = float(self.model.opt.timestep) * FRAME_SKIP  # [s]
        self._torso = self.model.body('torso').id
        self._perturbation = perturbation
        self._restart_disturbances(0)

    @property
    def qpos(self) -> NDArray:
        """Joint positions [m, rad], shape (9,), in the order of ``joint_names``."""
        return self.data.qpos.copy()

    @property
    def qvel(self) -> NDArray:
        """Joint velocities [m/s, rad/s], shape (9,), not clipped."""
        return self.data.qvel.copy()

    @property
    def position(self) -> float:
        """Forward position of the torso [m]."""
        return float(self.data.qpos[0])

    @property
    def is_healthy(self) -> bool:
        """Whether torso height and pitch are those of a robot that has not fallen."""
        height, pitch = self.data.qpos[1:3]
        return bool(HEALTHY_HEIGHT[0] < height < HEALTHY_HEIGHT[1]
                    and HEALTHY_PITCH[0] < pitch < HEALTHY_PITCH[1])

    @property
    def observation(self) -> NDArray:
        """State as Gymnasium orders it: 8 positions (all but rootx), 9 clipped velocities."""
        velocity = np.clip(self.data.qvel, -MAX_VELOCITY, MAX_VELOCITY)
        return np.concatenate([self.data.qpos[1:], velocity])

    def reset(self, seed: int) -> NDArray:
        """Start an episode with the initial noise that Gymnasium draws from the same seed."""
        rng = np.random.default_rng(seed)
        self._restart_disturbances(seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.model.qpos0 + rng.uniform(
            -RESET_NOISE, RESET_NOISE, self.model.nq)
        self.data.qvel[:] = rng.uniform(-RESET_NOISE, RESET_NOISE, self.model.nv)
        mujoco.mj_forward(self.model, self.data)
        return self.observation

    def _restart_disturbances(self, seed: int) -> None:
        self._disturbances = self._perturbation.disturbances(
            seed, control_period=self.control_period, n_torques=self.model.nu)

    def push(self, impulse: NDArray) -> None:
        """
        Push the torso with a constant force during the next control period.

        It acts at the torso's centre of mass. Another push before that period replaces it, a reset
        forgets it.

        :param impulse: [N s], shape (3,), finite, in the world frame; the robot moves in the plane
            of x and z, so that y has no effect.
        """
        self.data.xfrc_applied[self._torso, :3] = impulse / self.control_period

    def step(self, torque: NDArray) -> tuple[NDArray, float, bool]:
        """
        Hold a torque for one control period.

        The reward counts the torque that was asked for: noise on it is not the controller's.

        :param torque: [N m], shape (6,), in the order of ``actuated_joints``.
        :return: observation (17,), reward, and whether the robot fell.
        """
        action = torque / self.gear
        position_before = self.position
        impulse, noise = next(self._disturbances)
        if impulse is not None:
            self.push(impulse)
        self.data.ctrl[:] = action + noise / self.gear
        mujoco.mj_step(self.model, self.data, nstep=FRAME_SKIP)
        self.data.xfrc_applied[self._torso] = 0.0  # a push lasts one control period
        velocity = (self.position - position_before) / self.control_period
        reward = velocity + float(self.is_healthy) - CTRL_COST * float(np.sum(np.square(action)))
        return self.observation, reward, not self.is_healthy
