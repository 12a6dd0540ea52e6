# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The conditions under which the robustness of a planner is measured."""

from collections.abc import Sequence

from ...errors import ConfigError
from ...sim.perturbation import Perturbation, UNPERTURBED
from ...sim.perturbation_ranges import DRAWN, Robots
from ..execution import Execution, REPLANNED

Condition = tuple[Robots, Execution]

NOMINAL = 'nominal'
CONDITIONS: dict[str, Condition] = {
    NOMINAL: (UNPERTURBED, REPLANNED),
    'push 2 N s': (Perturbation(push=2.0), REPLANNED),
    'push 4 N s': (Perturbation(push=4.0), REPLANNED),
    'push 8 N s': (Perturbation(push=8.0), REPLANNED),
    'torque noise 5 N m': (Perturbation(torque_noise=5.0), REPLANNED),
    'torque noise 10 N m': (Perturbation(torque_noise=10.0), REPLANNED),
    'sensor noise': (Perturbation(position_noise=0.005, velocity_noise=0.05), REPLANNED),
    'joint friction -20 %': (Perturbation(friction=0.8), REPLANNED),
    'joint friction +20 %': (Perturbation(friction=1.2), REPLANNED),
    'ground friction -20 %': (Perturbation(ground_friction=0.8), REPLANNED),
    'ground friction +20 %': (Perturbation(ground_friction=1.2), REPLANNED),
    'mass -10 %': (Perturbation(mass=0.9), REPLANNED),
    'mass +10 %': (Perturbation(mass=1.1), REPLANNED),
    'mass -20 %': (Perturbation(mass=0.8), REPLANNED),
    'mass +20 %': (Perturbation(mass=1.2), REPLANNED),
    'mass -30 %': (Perturbation(mass=0.7), REPLANNED),
    'mass +30 %': (Perturbation(mass=1.3), REPLANNED),
    'delay 1, compensated': (UNPERTURBED, Execution(delay=1)),
    'delay 1, not compensated': (UNPERTURBED, Execution(delay=1, compensate=False)),
    'delay 2, compensated': (UNPERTURBED, Execution(delay=2)),
    'delay 3, compensated': (UNPERTURBED, Execution(delay=3)),
    'drawn robots': (DRAWN, REPLANNED),  # all of it at once, but for the longer delays
}
"""Names, as they stand in table and picture, of changed robots and of late execution."""


def select(words: Sequence[str] | None) -> dict[str, Condition]:
    """
    Return the conditions whose names contain one of the words; all without words.

    :raises ConfigError: for a word that no name contains.
    """
    for word in words or ():
        if not any(word in name for name in CONDITIONS):
            raise ConfigError(f"no condition is called '{word}', expected a part of one of: "
                              + '; '.join(CONDITIONS))
    return {name: condition for name, condition in CONDITIONS.items()
            if words is None or any(word in name for word in words)}
