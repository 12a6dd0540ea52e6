# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A robot that is not the one in the data: other masses, other friction, pushes, noise."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..settings import check_settings, document_settings, setting

SLIDING = 0  # column of MuJoCo's geom_friction; with condim 3 the others have no effect


class Disturbance(NamedTuple):
    """What happens in one control period."""

    impulse: NDArray | None
    """Of a push [N s], shape (3,), or None."""
    torque_noise: NDArray | float
    """Noise on the torques [N m], shape (A,), or zero."""
    sensor_noise: NDArray | float
    """Noise on the state that is measured [SI], shape (S,), or zero."""


@document_settings
@dataclass(frozen=True)
class Perturbation:
    """What is different about the simulated robot; nothing by default."""

    mass: float = setting(1.0, 'Factor on the mass and inertia of every body.', low=0.1, high=10.0)
    friction: float = setting(
        1.0, 'Factor on the friction of every joint, which is viscous: its damping.',
        low=0.0, high=1000.0)
    ground_friction: float = setting(
        1.0, 'Factor on the coefficient of sliding friction between feet and ground.',
        low=0.0, high=10.0)
    push: float = setting(
        0.0, 'Impulse on the torso at every PUSH_PERIOD, forwards or backwards at random.',
        unit='N s', low=0.0, high=100.0)
    push_period: float = setting(
        1.0, 'Time between pushes; the first one comes at random within it.', unit='s', low=0.008,
        high=60.0)
    torque_noise: float = setting(
        0.0, 'Standard deviation of noise on every torque, drawn anew in every control period, '
        'before the torque limit.', unit='N m', low=0.0, high=1000.0)
    torque_delay: int = setting(
        0, 'How late every torque acts; until then the one before goes on. A simulator step of '
        'walker2d and hopper is 2 ms, of half_cheetah 10 ms.', unit='simulator steps', low=0,
        high=1000)
    position_noise: float = setting(
        0.0, 'Standard deviation of noise on every measured position.', unit='m, rad', low=0.0,
        high=10.0)
    velocity_noise: float = setting(
        0.0, 'Standard deviation of noise on every measured velocity.', unit='m/s, rad/s',
        low=0.0, high=100.0)

    def __post_init__(self) -> None:
        check_settings(self)

    def alter(self, model: mujoco.MjModel) -> None:
        """Scale masses, inertias and friction of a simulation's model."""
        model.dof_damping *= self.friction
        model.geom_friction[:, SLIDING] *= self.ground_friction
        if self.mass != 1.0:
            model.body_mass *= self.mass
            model.body_inertia *= self.mass
            # Total masses and the solver's scales follow from these.
            mujoco.mj_setConst(model, mujoco.MjData(model))

    def draw(self, seed: int) -> 'Perturbation':
        """Return itself: the robot is the same in all episodes, whatever their seed."""
        del seed
        return self

    def pushed(self, impulse: float) -> 'Perturbation':
        """Return the same robot with pushes of another impulse [N s]."""
        return replace(self, push=impulse)

    def disturbances(self, seed: int, *, control_period: float, n_torques: int,
                     is_velocity: NDArray) -> Iterator[Disturbance]:
        """
        Yield what happens in each control period of an episode, without an end.

        The sensor noise of the first one is on the state that the episode begins with.

        The streams of random numbers are apart from each other and from that of the initial
        state: with the same seed, a stronger push comes at the same time from the same side.

        :param seed: of the episode.
        :param control_period: [s].
        :param n_torques: A.
        :param is_velocity: which entries of a state are velocities, shape (S,).
        """
        pushing, noise, sensing = map(
            np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        sensor_std = np.where(is_velocity, self.velocity_noise, self.position_noise)
        is_sensor_noisy = sensor_std.any()
        n_between = max(1, round(self.push_period / control_period))
        until_push = int(pushing.integers(n_between))
        while True:
            impulse = None
            if self.push and not until_push:
                impulse = np.array([self.push * pushing.choice((-1.0, 1.0)), 0.0, 0.0])
            until_push = (until_push - 1) % n_between
            yield Disturbance(
                impulse,
                noise.normal(0.0, self.torque_noise, n_torques) if self.torque_noise else 0.0,
                sensing.normal(0.0, sensor_std) if is_sensor_noisy else 0.0)


UNPERTURBED = Perturbation()
