# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The text that defines a message type, as recordings hold it so that anyone can read them."""

from pathlib import Path
import re
import sys
from typing import Any

from ...errors import OutputError

NESTED = re.compile(r'(\w+)/(\w+)')  # as in `sequence<geometry_msgs/Point>`
SEPARATOR = '\n' + '=' * 80 + '\n'


def message_definition(kind: type) -> str:
    """
    Return the text of the .msg file of a type and of all types in it.

    The format is that of ``ros2msg``, https://mcap.dev/spec/registry#ros2msg.

    :param kind: class of the messages.
    :raises OutputError: if a file is not installed.
    """
    texts: dict[type, str] = {}
    waiting: list[Any] = [kind]
    while waiting:
        found = waiting.pop(0)
        if found in texts:
            continue
        head = f'MSG: {_package(found)}/{found.__name__}\n' if texts else ''
        texts[found] = head + _file(found).read_text(encoding='utf-8')
        for field in found.get_fields_and_field_types().values():
            waiting += [_class(*names) for names in NESTED.findall(field)]
    return SEPARATOR.join(texts.values())


def _package(kind: type) -> str:
    return kind.__module__.partition('.')[0]


def _class(package: str, name: str) -> type:
    # A module of a package of messages imports those of all types that its own are made of.
    return getattr(sys.modules[f'{package}.msg'], name)


def _file(kind: type) -> Path:
    """Return the .msg file, which is in the share folder of where the class is installed."""
    name = Path('share', _package(kind), 'msg', f'{kind.__name__}.msg')
    for prefix in Path(sys.modules[kind.__module__].__file__ or '').parents:
        if (prefix / name).is_file():
            return prefix / name
    raise OutputError(f'{name} is in no folder above that of {kind.__module__}, expected the '
                      'definition of the messages beside them; install the package '
                      f'{_package(kind)} as a whole')
