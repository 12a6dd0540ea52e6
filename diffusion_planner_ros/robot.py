# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Facts of a robot: what the planner measures and commands, in which order and unit."""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, RobotError
from .goals.goal_space import GoalSpace, read_goal_space
from .robots.robot_folder import EXAMPLE, LAYOUT_FILE, read_yaml, robot_folder, YAML
from .robots.yaml_section import YamlSection

QUANTITIES = ('position', 'velocity')
UNITS = {'position': ('m', 'rad'), 'velocity': ('m/s', 'rad/s')}
KEYS = 'expected name, control_period, state, action and, if it knows goals, goal'


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

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints of the state, then of those that the action alone has."""
        return tuple(dict.fromkeys([*(entry.joint for entry in self.state),
                                    *(entry.joint for entry in self.action)]))

    @property
    def goal_space(self) -> GoalSpace:
        """
        Where it can be sent to.

        :raises ConfigError: if it knows no goals.
        """
        if self.goal is None:
            raise ConfigError(f"robot '{self.name}' knows no goals, expected a section goal in "
                              'its layout')
        return self.goal

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
            raise RobotError(f"{source}: key '{min(unknown)}' is unknown, {KEYS}; {EXAMPLE}")
        for key in ('name', 'control_period', 'state', 'action'):
            if key not in facts:
                raise RobotError(f"{source}: key '{key}' is missing, {KEYS}; {EXAMPLE}")
        whole = YamlSection(facts, source)
        period = whole.number('control_period')
        if not period > 0:
            whole.refuse('control_period', period, 'a number above 0 [s]')
        state = tuple(map(_state_entry, _sections(facts, 'state', source)))
        goal = facts.get('goal')
        try:
            return cls(name=str(facts['name']), control_period=period, state=state,
                       action=tuple(map(_action_entry, _sections(facts, 'action', source))),
                       goal=None if goal is None else read_goal_space(goal, state, source))
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
            return cls._read(Path(robot))
        folder = robot_folder(robot)
        file = folder / LAYOUT_FILE
        layout = cls._read(file)
        if layout.name != folder.name:
            raise RobotError(f"{file}: name is '{layout.name}', expected '{folder.name}', as its "
                             'folder is called: robots are found by that')
        return layout

    @classmethod
    def _read(cls, file: Path) -> 'Robot':
        layout = cls.from_dict(read_yaml(file), str(file))
        for part in ('state', 'action'):
            if not getattr(layout, part):
                raise RobotError(f'{file}: {part} is an empty list, expected at least one entry; '
                                 f'{EXAMPLE}')
        return layout

    def to_dict(self) -> dict[str, Any]:
        """Return what ``from_dict`` reads."""
        facts: dict[str, Any] = {'name': self.name, 'control_period': self.control_period}
        facts['state'] = [{k: v for k, v in asdict(entry).items() if v is not None}
                          for entry in self.state]
        facts['action'] = [asdict(entry) for entry in self.action]
        return facts if self.goal is None else {**facts, 'goal': self.goal.to_dict()}


def _sections(facts: dict[str, Any], part: str, source: str) -> list[YamlSection]:
    """Return the entries of a list; none may be there twice."""
    entries = facts[part]
    if not isinstance(entries, list):
        raise RobotError(f'{source}: {part} is {entries!r}, expected a list of entries; {EXAMPLE}')
    seen = []
    for entry in entries:
        joint = {k: v for k, v in entry.items() if k in ('joint', 'quantity')} if isinstance(
            entry, dict) else entry
        if joint in seen:
            raise RobotError(f'{source}: {part} has two entries {joint}, expected one of them; '
                             'delete the other one')
        seen.append(joint)
    return [YamlSection(entry, source, f'{part}[{k}]') for k, entry in enumerate(entries)]


def _state_entry(section: YamlSection) -> StateEntry:
    joint, quantity, unit = (section.text(key) for key in ('joint', 'quantity', 'unit'))
    clip = section.number('clip', None)
    section.end()
    if quantity not in QUANTITIES:
        section.refuse('quantity', quantity, ' or '.join(QUANTITIES))
    if unit not in UNITS[quantity]:
        section.refuse('unit', unit, f'{" or ".join(UNITS[quantity])}: all is in SI units')
    if clip is not None and not clip > 0:
        section.refuse('clip', clip, 'a number above 0')
    return StateEntry(joint, quantity, unit, clip)


def _action_entry(section: YamlSection) -> ActionEntry:
    joint, limit = section.text('joint'), section.number('limit')
    section.end()
    if not limit > 0:
        section.refuse('limit', limit, 'a number above 0, the largest torque [N m]')
    return ActionEntry(joint, limit)
