# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where positions and velocities of some joints are in a state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import RobotError


class Entry(Protocol):
    """One number of a state, as ``StateEntry`` has it."""

    @property
    def joint(self) -> str:
        """Name of the joint."""

    @property
    def quantity(self) -> str:
        """``position`` or ``velocity``."""


@dataclass(frozen=True)
class JointEntries:
    """The entries of a state that goals speak of."""

    state_dim: int
    positions: tuple[int, ...]
    """Of every joint's position, in the order of the joints."""
    velocities: tuple[int, ...]
    """Of the joints' velocities that the state holds."""

    @classmethod
    def find(cls, joints: Sequence[str], state: Sequence[Entry], source: str) -> 'JointEntries':
        """
        Find joints in a state.

        :param source: where they are named, for the error.
        :raises RobotError: if the state does not hold the position of one of them.
        """
        held = {(entry.joint, entry.quantity): i for i, entry in enumerate(state)}
        for joint in joints:
            if (joint, 'position') not in held:
                known = [name for name, quantity in held if quantity == 'position']
                raise RobotError(f"{source}: joint '{joint}' has no position in the state, "
                                 f'expected one of {", ".join(known) or "no joint"}')
        return cls(len(state), tuple(held[joint, 'position'] for joint in joints),
                   tuple(held[joint, 'velocity'] for joint in joints
                         if (joint, 'velocity') in held))

    @property
    def mask(self) -> NDArray:
        """True for these entries, shape (S,)."""
        mask = np.zeros(self.state_dim, dtype=bool)
        mask[[*self.positions, *self.velocities]] = True
        return mask

    def positions_of(self, state: NDArray) -> NDArray:
        """Return the joints' positions in a state (S,), in the order of the joints."""
        return np.asarray(state, dtype=np.float64)[list(self.positions)]

    def at_rest(self, positions: NDArray, state: NDArray) -> NDArray:
        """Return a state (S,) with these positions, joints at rest, and all else as it is."""
        changed = np.array(state, dtype=np.float64)
        changed[list(self.positions)] = positions
        changed[list(self.velocities)] = 0.0
        return changed
