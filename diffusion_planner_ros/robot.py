"""Facts of a robot: what the planner measures and commands, in which order and unit."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, RobotError
from .goals.goal_space import GoalSpace, read_goal_space
from .robots.robot_folder import LAYOUT_FILE, read_yaml, robot_folder, YAML

QUANTITIES = ('position', 'velocity')


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
    goal: GoalSpace | None = None
    """Where it can be sent to; None for a robot that knows no goals."""

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
                             'control_period, state, action and goal')
        try:
            state = tuple(StateEntry(**entry) for entry in facts['state'])
            goal = facts.get('goal')
            return cls(name=str(facts['name']),
                       control_period=float(facts['control_period']), state=state,
                       action=tuple(ActionEntry(**entry) for entry in facts['action']),
                       goal=None if goal is None else read_goal_space(goal, state, source))
        except KeyError as error:
            raise RobotError(f'{source}: key {error} is missing; expected name, control_period, '
                             'state and action') from error
        except (TypeError, ValueError) as error:
            raise RobotError(f'{source}: {error}') from error

    @classmethod
    def load(cls, robot: str) -> 'Robot':
        """
        Load the layout of a robot.

        :param robot: name of a robot, path of its folder, or path of a layout's YAML file alone.
        :raises RobotError: if there is no such robot or the file is not usable.
        """
        if Path(robot).suffix in YAML:
            return cls.from_dict(read_yaml(Path(robot)), robot)
        folder = robot_folder(robot)
        file = folder / LAYOUT_FILE
        layout = cls.from_dict(read_yaml(file), str(file))
        if layout.name != folder.name:
            raise RobotError(f"{file}: name is '{layout.name}', expected '{folder.name}', as its "
                             'folder is called: robots are found by that')
        return layout

    def to_dict(self) -> dict[str, Any]:
        """Return what ``from_dict`` reads."""
        facts = {'name': self.name, 'control_period': self.control_period}
        facts['state'] = [{k: v for k, v in asdict(entry).items() if v is not None}
                          for entry in self.state]
        facts['action'] = [asdict(entry) for entry in self.action]
        return facts if self.goal is None else {**facts, 'goal': self.goal.to_dict()}
