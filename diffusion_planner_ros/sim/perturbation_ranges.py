# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Robots drawn at random, a new one in every episode: what a robust policy learns on."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..settings import check_settings, document_settings, setting, settings_of
from .perturbation import Perturbation, UNPERTURBED


def _range(low: float, high: float, description: str, unit: str = '') -> tuple[float, float]:
    return setting((low, high), description, unit=unit, low=0.0, high=1000.0)


@document_settings
@dataclass(frozen=True)
class PerturbationRanges:
    """
    The smallest and the largest value of every entry of a perturbation.

    Each entry is drawn evenly from its range, apart from the others (domain randomisation: Peng et
    al. 2018, https://arxiv.org/abs/1710.06537). The same robots serve to collect data, to evaluate
    and to align.
    """

    mass: tuple[float, ...] = _range(0.7, 1.3, 'Factor on mass and inertia.')
    friction: tuple[float, ...] = _range(0.7, 1.3, 'Factor on the friction of the joints.')
    ground_friction: tuple[float, ...] = _range(0.7, 1.3, 'Factor on the sliding friction.')
    push: tuple[float, ...] = _range(0.0, 6.0, 'Impulse of every push.', 'N s')
    push_period: tuple[float, ...] = _range(0.5, 1.5, 'Time between pushes.', 's')
    torque_noise: tuple[float, ...] = _range(0.0, 10.0, 'Noise on every torque.', 'N m')
    torque_delay: tuple[float, ...] = _range(0, 4, 'How late torques act.', 'simulator steps')
    position_noise: tuple[float, ...] = _range(
        0.0, 0.003, 'Noise on every measured position.', 'm, rad')
    velocity_noise: tuple[float, ...] = _range(
        0.0, 0.03, 'Noise on every measured velocity.', 'm/s, rad/s')

    def __post_init__(self) -> None:
        check_settings(self)
        for entry in settings_of(type(self)):
            bounds = getattr(self, entry.name)
            if len(bounds) != 2 or bounds[0] > bounds[1]:
                raise ConfigError(f'{entry.name} is {bounds}, expected two numbers, the smaller '
                                  'one first')

    def draw(self, seed: int) -> Perturbation:
        """
        Return the robot of an episode.

        :param seed: of the episode; the same seed gives the same robot.
        """
        rng = np.random.default_rng((seed, ROBOT_STREAM))
        drawn: dict[str, Any] = {}
        for entry in settings_of(Perturbation):
            low, high = getattr(self, entry.name)
            drawn[entry.name] = (int(rng.integers(round(low), round(high) + 1))
                                 if entry.type is int else float(rng.uniform(low, high)))
        return Perturbation(**drawn)

    def mixed(self, seed: int, exponent: float) -> Perturbation:
        """
        Return the robot of an episode, from nearly undisturbed to one from all of these ranges.

        How much of the ranges is in use is drawn, too. So a policy
        learns to bear the hard ones without forgetting the robot that is hardly disturbed.

        :param seed: of the episode; the same seed gives the same robot.
        :param exponent: of an even number that says how much of the ranges is in use; the smaller
            it is, the harder the robots.
        """
        share = np.random.default_rng((seed, SHARE_STREAM)).uniform() ** exponent
        return self.scaled(share).draw(seed)

    def scaled(self, share: float) -> 'PerturbationRanges':
        """
        Return ranges between the unperturbed robot alone and these.

        :param share: 0 for that robot, 1 for these ranges.
        """
        scaled = {}
        for entry in settings_of(Perturbation):
            nominal = getattr(UNPERTURBED, entry.name)
            ends = (nominal + share * (end - nominal) for end in getattr(self, entry.name))
            scaled[entry.name] = tuple(round(x) if entry.type is int else x for x in ends)
        return PerturbationRanges(**scaled)

    def pushed(self, impulse: float) -> 'PerturbationRanges':
        """Return the ranges with pushes of one impulse [N s]."""
        return replace(self, push=(impulse, impulse))


# Of random numbers, apart from initial state, disturbances and exploration.
ROBOT_STREAM, SHARE_STREAM = 2, 77
DRAWN = PerturbationRanges()
WIDE = PerturbationRanges(
    mass=(0.6, 1.4), friction=(0.6, 1.4), ground_friction=(0.6, 1.4), push=(0.0, 10.0),
    torque_noise=(0.0, 15.0), torque_delay=(0, 5))
"""What a teacher goes on to learn on."""
HARD = PerturbationRanges(
    mass=(0.55, 1.45), friction=(0.6, 1.4), ground_friction=(0.6, 1.4), push=(0.0, 13.0),
    torque_noise=(0.0, 12.0), torque_delay=(0, 4))
"""And then: lighter and heavier robots, and harder pushes."""
Robots = Perturbation | PerturbationRanges
"""The robots of episodes: always the same, or drawn anew for every one."""


def choose_robots(perturbation: Perturbation, *, drawn: bool) -> Robots:
    """
    Return the robots that a command asks for.

    :param perturbation: what is different about all of them.
    :param drawn: draw them anew in every episode instead.
    :raises ConfigError: if both are asked for.
    """
    if drawn and perturbation != UNPERTURBED:
        raise ConfigError(f'--drawn and {perturbation} are both given, expected one of them: '
                          'drawn robots differ in everything already')
    return DRAWN if drawn else perturbation
