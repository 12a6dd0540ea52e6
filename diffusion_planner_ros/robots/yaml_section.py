# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A mapping of a YAML file: its keys are checked one by one, and none is left over."""

from collections.abc import Mapping
import math
from typing import Any, NoReturn

from ..errors import RobotError

REQUIRED: Any = object()
"""As a default: there is none."""


class YamlSection:
    """
    A mapping, with errors that name the file and the whole key.

    :param facts: what was read.
    :param source: file, for errors.
    :param key: of the mapping itself; empty for that of the whole file.
    :raises RobotError: if it is no mapping.
    """

    def __init__(self, facts: Any, source: str, key: str = '') -> None:
        self._source = source
        self._prefix = f'{key}.' if key else ''
        self._known: list[str] = []
        if not isinstance(facts, Mapping):
            raise RobotError(f'{source}: {key} is {facts!r}, expected a mapping')
        self._facts = facts

    def take(self, key: str, default: Any = REQUIRED) -> Any:
        """
        Return the value of a key.

        :raises RobotError: if it is missing and there is no default.
        """
        self._known.append(key)
        if key not in self._facts and default is REQUIRED:
            raise RobotError(f"{self._source}: key '{self._prefix}{key}' is missing")
        return self._facts.get(key, default)

    def text(self, key: str, default: Any = REQUIRED) -> str:
        """Return a text that is not empty."""
        value = self.take(key, default)
        if value is not default and not (isinstance(value, str) and value.strip()):
            self.refuse(key, value, 'a text')
        return value

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.take(key)
        if not isinstance(value, bool):
            self.refuse(key, value, 'true or false')
        return value

    def integer(self, key: str, *, low: int, high: int) -> int:
        """Return an integer within bounds."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(key, value, f'an integer from {low} to {high}')
        return value

    def number(self, key: str, default: Any = REQUIRED, *, low: float = -math.inf) -> float:
        """Return a finite number, at least ``low``."""
        value = self.take(key, default)
        if value is default:
            return value
        if not is_number(value) or not math.isfinite(value) or value < low:
            least = '' if low == -math.inf else f', at least {low:g}'
            self.refuse(key, value, f'a finite number{least}')
        return float(value)

    def range(self, key: str, default: Any = REQUIRED) -> tuple[float, float]:
        """Return the two ends of a range, of which any may be infinite."""
        value = self.take(key, default)
        if value is default:
            return value
        if not (isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
                and value[0] < value[1]):
            self.refuse(key, value, 'two numbers, the smaller one first, as [0.8, 2.0] or '
                        '[0.7, .inf]')
        return float(value[0]), float(value[1])

    def pair(self, key: str, default: Any = REQUIRED) -> tuple[float, float]:
        """Return two finite numbers."""
        value = self.take(key, default)
        if value is default:
            return value
        if not (isinstance(value, list) and len(value) == 2
                and all(is_number(number) and math.isfinite(number) for number in value)):
            self.refuse(key, value, 'two finite numbers, as [0.0, 0.5]')
        return float(value[0]), float(value[1])

    def two_texts(self, key: str, default: Any = REQUIRED) -> tuple[str, str]:
        """Return a list of two texts."""
        value = self.take(key, default)
        if value is default:
            return value
        if not (isinstance(value, list) and len(value) == 2
                and all(isinstance(text, str) and text.strip() for text in value)):
            self.refuse(key, value, 'a list of 2 texts')
        return value[0], value[1]

    def section(self, key: str) -> 'YamlSection':
        """Return the mapping that a key holds."""
        return YamlSection(self.take(key), self._source, f'{self._prefix}{key}')

    def optional_section(self, key: str) -> 'YamlSection | None':
        """Return the mapping that a key holds, None without the key."""
        return None if self.take(key, None) is None else self.section(key)

    def names(self) -> list[str]:
        """Return all keys, as texts."""
        return list(map(str, self._facts))

    def end(self) -> None:
        """
        Check that nothing is left.

        :raises RobotError: naming a key that was not asked for.
        """
        for key in self._facts:
            if key not in self._known:
                raise RobotError(f"{self._source}: key '{self._prefix}{key}' is unknown, expected "
                                 f'one of {", ".join(self._known)}; mend or delete it')

    def refuse(self, key: str, value: Any, expected: str) -> NoReturn:
        """
        Refuse the value of a key.

        :raises RobotError: always.
        """
        hint = ''
        if isinstance(value, str) and _reads_as_number(value):
            hint = '; YAML takes it for a text: write 1.0e-3 for 1e-3, and no quotes'
        raise RobotError(f'{self._source}: {self._prefix}{key} is {value!r}, expected {expected}'
                         f'{hint}')


def is_number(value: Any) -> bool:
    """Whether YAML has read a number; NaN is none."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and not math.isnan(value))


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
