"""Facts of a robot: what the planner measures and commands, in which order and unit."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import yaml

from .errors import ConfigError, RobotError

QUANTITIES = ('position', 'velocity')
ROBOTS = Path(__file__).parent / 'robots'


@dataclass(frozen=True)
class StateEntry:
    """One number of the state: a joint's position or velocity."""

    joint: str
    quantity: str
    unit: str
    clip: float | None = None
    """Bound of the magnitude [unit], applied before the model sees the value."""

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise RobotError(f"state entry of joint '{self.joint}': quantity is "
                             f"'{self.quantity}', expected one of {', '.join(QUANTITIES)}")
        if self.clip is not None and not self.clip > 0:
            raise RobotError(f"state entry of joint '{self.joint}': clip is {self.clip}, "
                             'expected a number above 0')


@dataclass(frozen=True)
class ActionEntry:
    """One number of the action: a joint's torque."""

    joint: str
    limit: float
    """Largest torque [N m]; an action of 1 in a data set is this torque."""

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise RobotError(f"action entry of joint '{self.joint}': limit is {self.limit} N m, "
                             'expected a number above 0')


@dataclass(frozen=True)
class Robot:
    """State and action layout of a robot, fixed when a model is trained."""

    name: str
    control_period: float
    """Time between two actions [s]."""
    state: tuple[StateEntry, ...]
    action: tuple[ActionEntry, ...]

    def __post_init__(self) -> None:
        if not self.control_period > 0:
            raise RobotError(f"robot '{self.name}': control_period is {self.control_period} s, "
                             'expected a number above 0')

    @property
    def state_dim(self) -> int:
        """Number of state entries, S."""
        return len(self.state)

    @property
    def action_dim(self) -> int:
        """Number of action entries, A."""
        return len(self.action)

    @cached_property
    def torque_limit(self) -> NDArray:
        """Largest torque of every action entry [N m], shape (A,)."""
        return np.array([entry.limit for entry in self.action])

    @cached_property
    def state_clip(self) -> NDArray:
        """Largest magnitude of every state entry, infinite where there is none, shape (S,)."""
        return np.array([np.inf if e.clip is None else e.clip for e in self.state])

    def state_index(self, joint: str, quantity: str) -> int:
        """
        Return where a joint's position or velocity is in the state.

        :raises ConfigError: if the state does not hold it.
        """
        held = [entry.joint for entry in self.state if entry.quantity == quantity]
        if joint not in held:
            raise ConfigError(f"joint '{joint}' has no {quantity} in the state of {self.name}, "
                              f'expected one of {", ".join(held)}')
        return next(i for i, entry in enumerate(self.state)
                    if (entry.joint, entry.quantity) == (joint, quantity))

    @classmethod
    def from_dict(cls, facts: dict[str, Any], source: str) -> 'Robot':
        """
        Build a robot from what a YAML file says.

        :param facts: the mapping that was read.
        :param source: where it comes from, for the error.
        :raises RobotError: if a key is missing, unknown, or has a value that makes no sense.
        """
        unknown = set(facts) - {field.name for field in fields(cls)}
        if unknown:
            raise RobotError(f"{source}: key '{min(unknown)}' is unknown; expected name, "
                             'control_period, state and action')
        try:
            return cls(name=str(facts['name']),
                       control_period=float(facts['control_period']),
                       state=tuple(StateEntry(**entry) for entry in facts['state']),
                       action=tuple(ActionEntry(**entry) for entry in facts['action']))
        except KeyError as error:
            raise RobotError(f'{source}: key {error} is missing; expected name, control_period, '
                             'state and action') from error
        except (TypeError, ValueError) as error:
            raise RobotError(f'{source}: {error}') from error

    @classmethod
    def load(cls, name_or_file: str) -> 'Robot':
        """
        Load a shipped robot by name, or any robot by the path of its YAML file.

        :raises RobotError: if there is no such robot or the file is not usable.
        """
        file = Path(name_or_file)
        if file.suffix not in ('.yaml', '.yml'):
            file = ROBOTS / f'{name_or_file}.yaml'
        if not file.is_file():
            shipped = ', '.join(sorted(p.stem for p in ROBOTS.glob('*.yaml')))
            raise RobotError(f"no robot '{name_or_file}': expected the path of a YAML file or one "
                             f'of {shipped}')
        try:
            facts = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            raise RobotError(f'{file}: not a YAML file: {error}') from error
        if not isinstance(facts, dict):
            raise RobotError(f'{file}: expected a mapping, found {type(facts).__name__}')
        return cls.from_dict(facts, str(file))

    def to_dict(self) -> dict[str, Any]:
        """Return what ``from_dict`` reads."""
        facts = asdict(self)
        facts['state'] = [{k: v for k, v in entry.items() if v is not None}
                          for entry in facts['state']]
        facts['action'] = list(facts['action'])
        return facts


def shipped_urdf(name: str) -> Path | None:
    """Return the URDF file of a shipped robot, or ``None`` if it is not one of them."""
    file = ROBOTS / f'{name}.urdf'
    return file if file.is_file() else None
