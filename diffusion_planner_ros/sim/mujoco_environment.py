"""Planar robots in MuJoCo: the part of an environment that is the same for all of them."""

from abc import ABC, abstractmethod
from collections import deque
import copy
from functools import cache
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import RobotError
from .perturbation import Perturbation


@cache
def _load(mjcf: Path) -> mujoco.MjModel:
    """Compile a model once: robots drawn anew in every episode are copies of it."""
    return mujoco.MjModel.from_xml_path(str(mjcf))


class MujocoEnvironment(ABC):
    """
    A robot with motors at joints; a subclass says what is rewarded and what a fall is.

    One control period is ``frame_skip`` simulator steps. The state is that of Gymnasium's planar
    robots: the positions of all joints but the first, which is the way forward, then the
    velocities of all joints, clipped.

    :param mjcf: MuJoCo's model; every joint is a slide or a hinge.
    :param perturbation: what is different about the robot.
    :param frame_skip: simulator steps in a control period.
    :param base: body that is pushed.
    :param reset_noise: bound of the uniform noise on initial positions and velocities.
    :param max_velocity: bound of the velocities in the state [m/s, rad/s].
    :raises RobotError: if a joint has more than one position.
    """

    max_episode_steps = 1000

    def __init__(self, mjcf: Path, perturbation: Perturbation, *, frame_skip: int, base: str,
                 reset_noise: float, max_velocity: float = np.inf) -> None:
        self.model = copy.copy(_load(mjcf))
        if self.model.nq != self.model.njnt:
            raise RobotError(f'{mjcf}: {self.model.njnt} joints have {self.model.nq} positions, '
                             'expected slides and hinges, which have one each')
        perturbation.alter(self.model)
        self.data = mujoco.MjData(self.model)
        self.joint_names = [self.model.joint(i).name for i in range(self.model.njnt)]
        self.actuated_joints = [
            self.model.joint(int(i)).name for i in self.model.actuator_trnid[:, 0]]
        self.control_period = float(self.model.opt.timestep) * frame_skip  # [s]
        self._max_control = self.model.actuator_ctrlrange[:, 1].copy()
        self.torque_limit = self.model.actuator_gear[:, 0] * self._max_control  # (A,) [N m]
        self._frame_skip = frame_skip
        self._base = self.model.body(base).id
        self._reset_noise = reset_noise
        self._max_velocity = max_velocity
        self._perturbation = perturbation
        self._restart(0)

    @property
    @abstractmethod
    def is_healthy(self) -> bool:
        """Whether the robot has not fallen."""

    @abstractmethod
    def reward(self, velocity: float, action: NDArray) -> float:
        """
        Return the reward of a control period that has just passed.

        :param velocity: mean forward velocity in it [m/s].
        :param action: torque over its limit, shape (A,).
        """

    @staticmethod
    def normalized_score(episode_return: float) -> float | None:
        """Return None: there are no returns to compare with."""
        del episode_return
        return None

    @property
    def qpos(self) -> NDArray:
        """Joint positions [m, rad], in the order of ``joint_names``."""
        return self.data.qpos.copy()

    @property
    def qvel(self) -> NDArray:
        """Joint velocities [m/s, rad/s], in the order of ``joint_names``, not clipped."""
        return self.data.qvel.copy()

    @property
    def position(self) -> float:
        """Forward position [m]."""
        return float(self.data.qpos[0])

    @property
    def state(self) -> NDArray:
        """Positions of all joints but the first, then clipped velocities, shape (S,)."""
        measured = np.concatenate([self.data.qpos[1:], self.data.qvel])
        measured += self._disturbance.sensor_noise
        velocity = measured[-self.model.nv:]
        np.clip(velocity, -self._max_velocity, self._max_velocity, out=velocity)
        return measured

    def reset(self, seed: int) -> NDArray:
        """Start an episode with the initial noise that Gymnasium draws from the same seed."""
        rng = np.random.default_rng(seed)
        self._restart(seed)
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self.model.qpos0 + rng.uniform(
            -self._reset_noise, self._reset_noise, self.model.nq)
        self.data.qvel[:] = rng.uniform(-self._reset_noise, self._reset_noise, self.model.nv)
        mujoco.mj_forward(self.model, self.data)
        return self.state

    def place(self, state: NDArray) -> None:
        """
        Put the robot in a recorded state, at the origin: the way forward was not recorded.

        :param state: shape (S,).
        """
        n_positions = self.model.nq - 1
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[1:] = state[:n_positions]
        self.data.qvel[:] = state[n_positions:]
        mujoco.mj_forward(self.model, self.data)

    def snapshot(self) -> NDArray:
        """Return MuJoCo's integration state, a pending push included, and torques still to act."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        snapshot = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, snapshot, kind)
        return np.concatenate([snapshot, *self._controls])

    def restore(self, snapshot: NDArray) -> None:
        """Go back to a snapshot; noise and pushes to come stay those of this environment."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        n = mujoco.mj_stateSize(self.model, kind)
        mujoco.mj_setState(self.model, self.data, snapshot[:n], kind)
        self._controls = deque(snapshot[n:].reshape(-1, self.model.nu))

    def push(self, impulse: NDArray) -> None:
        """
        Push the base with a constant force during the next control period.

        It acts at the centre of mass of that body. Another push before that period replaces it, a
        reset forgets it.

        :param impulse: [N s], shape (3,), finite, in the world frame; a planar robot moves along
            x and z, so that y has no effect.
        """
        self.data.xfrc_applied[self._base, :3] = impulse / self.control_period

    def step(self, torque: NDArray) -> tuple[NDArray, float, bool]:
        """
        Hold a torque for one control period.

        The reward counts the torque that was asked for: noise on it is not the controller's.

        :param torque: [N m], shape (A,), in the order of ``actuated_joints``.
        :return: state (S,), reward, and whether the robot fell.
        """
        action = torque / self.torque_limit
        position_before = self.position
        impulse, noise, _ = self._disturbance
        if impulse is not None:
            self.push(impulse)
        self._controls.append((action + noise / self.torque_limit) * self._max_control)
        n_late = self._perturbation.torque_delay % self._frame_skip
        if n_late:
            self._act(self._controls[0], n_late)
        self._controls.popleft()
        self._act(self._controls[0], self._frame_skip - n_late)
        self.data.xfrc_applied[self._base] = 0.0  # a push lasts one control period
        self._disturbance = next(self._disturbances)
        velocity = (self.position - position_before) / self.control_period
        return self.state, self.reward(velocity, action), not self.is_healthy

    def _act(self, control: NDArray, n_steps: int) -> None:
        self.data.ctrl[:] = control
        mujoco.mj_step(self.model, self.data, nstep=n_steps)

    def _restart(self, seed: int) -> None:
        n_torques = self.model.nu
        self._disturbances = self._perturbation.disturbances(
            seed, control_period=self.control_period, n_torques=n_torques,
            n_positions=self.model.nq - 1, n_velocities=self.model.nv)
        self._disturbance = next(self._disturbances)
        # The torque that acts, then those that do not act yet.
        n_periods = self._perturbation.torque_delay // self._frame_skip
        self._controls = deque(np.zeros((n_periods + 1, n_torques)))
