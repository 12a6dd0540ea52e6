# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""How plans are executed: how many of their actions, and how late."""

from dataclasses import dataclass

from ..errors import ConfigError
from ..settings import check_settings, document_settings, setting


@document_settings
@dataclass(frozen=True)
class Execution:
    """How plans are executed."""

    n_execute: int = setting(
        1, 'Actions executed of every plan, before the next one is made.',
        low=1, high=1024)
    delay: int = setting(
        0, 'Control periods between a state and the first action planned from it; '
        'until the first plan is ready the torque is zero.', low=0, high=1024)
    compensate: bool = setting(
        True, 'With a delay: let every plan know the actions until it is ready.')
    exploration: float = setting(
        0.0, 'Standard deviation of noise on every executed action.',
        unit='torque limits', low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check_settings(self)

    def check_horizon(self, horizon: int) -> None:
        """
        Refuse what a plan does not outlast.

        :raises ConfigError: naming the numbers that are possible.
        """
        if self.delay > horizon - 2:
            raise ConfigError(f'delay is {self.delay}, expected 0 to {horizon - 2} [control '
                              f'periods], the horizon of {horizon} less two')
        if self.delay + self.n_execute > horizon:
            raise ConfigError(f'n_execute is {self.n_execute}, expected 1 to '
                              f'{horizon - self.delay}: the horizon is {horizon}, the delay '
                              f'{self.delay}')


REPLANNED = Execution()
"""In every control period, at once."""
