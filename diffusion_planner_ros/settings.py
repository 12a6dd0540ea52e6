# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Settings that say their unit and range once.

A setting is a dataclass field whose metadata holds description, unit and range. The command line's
help, the ROS parameter descriptors, the checks and the documentation's tables all come from there.
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, Field, field, fields
import math
from typing import Any, get_args, get_origin, get_type_hints, Literal

from .errors import ConfigError


@dataclass(frozen=True)
class Setting:
    """Everything about one setting."""

    name: str
    type: type
    """Of the value; of every element where ``is_list``."""
    is_list: bool
    default: Any
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    read_only: bool
    formerly: str
    """A name that it had with another meaning; empty where it had none."""

    @property
    def allowed(self) -> str:
        """The choices or the range; empty where any value will do."""
        if self.choices:
            return ', '.join(self.choices)
        if self.low is None or self.high is None:
            return ''
        return ' to '.join(str(int(b)) if self.type is int else f'{b:g}'
                           for b in (self.low, self.high))

    @property
    def expectation(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f'{"a list, each " if self.is_list else ""}one of {self.allowed}'
        bounds = f' from {self.allowed}' if self.allowed else ''
        unit = f' [{self.unit}]' if self.unit else ''
        words = {int: 'an integer', float: 'a number', bool: 'true or false', str: 'a text'}
        plural = {int: 'integers', float: 'numbers', bool: 'truth values', str: 'texts'}
        word = f'a list of {plural[self.type]}' if self.is_list else words[self.type]
        return f'{word}{bounds}{unit}'

    def check(self, value: Any) -> None:
        """
        Refuse a value of another type or outside the range.

        :raises ConfigError: naming the setting, the value and what was expected.
        """
        is_valid = (isinstance(value, tuple) and len(value) > 0 and all(map(self._allows, value))
                    if self.is_list else self._allows(value))
        if not is_valid:
            raise ConfigError(f'{self.name} is {value!r}, expected {self.expectation}')

    def _allows(self, value: Any) -> bool:
        accepted = (int, float) if self.type is float else (self.type,)
        is_valid = isinstance(value, accepted) and (self.type is bool) == isinstance(value, bool)
        if is_valid and self.choices:
            is_valid = value in self.choices
        if is_valid and self.type in (int, float):
            is_valid = math.isfinite(value)
            if self.low is not None:
                is_valid = is_valid and self.low <= value <= self.high
        return is_valid


def setting(default: Any, description: str, *, unit: str = '', low: float | None = None,
            high: float | None = None, choices: Collection[str] = (), read_only: bool = False,
            formerly: str = '') -> Any:
    """
    Declare a field of a settings dataclass.

    :param default: its default, stated here only.
    :param description: one sentence.
    :param unit: as ``N m``; empty where it has none.
    :param low: smallest allowed value; with ``high``.
    :param high: largest allowed value.
    :param choices: allowed texts, for example a registry's names: a name that is registered later
        is allowed from then on. A ``Literal`` type states choices that never change.
    :param read_only: whether it is fixed once a planner is built.
    :param formerly: a name that it had with another meaning, to be refused where it is given.
    """
    return field(default=default, metadata={
        'description': description, 'unit': unit, 'low': low, 'high': high, 'choices': choices,
        'read_only': read_only, 'formerly': formerly})


def _setting_of(owner: type, entry: Field) -> Setting:
    hint = get_type_hints(owner)[entry.name]
    is_literal = get_origin(hint) is Literal
    choices = get_args(hint) if is_literal else tuple(entry.metadata['choices'])
    is_list = get_origin(hint) is tuple  # tuple[float, ...]
    element = get_args(hint)[0] if is_list else hint
    return Setting(name=entry.name, type=str if is_literal else element, is_list=is_list,
                   default=entry.default, **{**entry.metadata, 'choices': choices})


def settings_of(owner: type) -> Iterator[Setting]:
    """Yield the settings of a settings dataclass, in order."""
    for entry in fields(owner):
        if 'description' in entry.metadata:
            yield _setting_of(owner, entry)


def check_settings(config: Any) -> None:
    """
    Check every setting of an instance.

    :raises ConfigError: for the first value that is not allowed.
    """
    for setting in settings_of(type(config)):
        setting.check(getattr(config, setting.name))


def as_facts(config: Any) -> dict[str, Any]:
    """Return the settings of an instance as YAML and JSON hold them: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(config).items()}


def document_settings(owner: type) -> type:
    """Write the settings into the class's docstring, where the command line's help finds them."""
    lines = [f':param {k.name}: {k.description} Expected: {k.expectation}.'
             for k in settings_of(owner)]
    owner.__doc__ = '\n'.join([owner.__doc__ or '', '', *lines])
    return owner
