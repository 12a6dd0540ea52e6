# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Where the verbs of this folder write, and what they print."""

from collections.abc import Callable, Mapping
from json import dumps
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...files import written
from ..output import print_text, report


def check_folder(out: Path) -> None:
    """
    Refuse, before anything runs, a folder that cannot be one.

    :raises ConfigError: if there is a file of its name.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: is a file, expected a folder or a new name')


def write_figure(out: Path, name: str, facts: Mapping[str, Any], draw: Callable[[Path], None], *,
                 table: str, as_json: bool) -> None:
    """
    Write OUT/NAME.json and OUT/NAME.png, and print the numbers.

    :param facts: all numbers.
    :param draw: writes the picture to a PNG file.
    :param table: numbers for a person, in Markdown.
    :param as_json: print ``facts`` instead.
    :raises OutputError: if a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with written(out / f'{name}.json') as scratch:
        scratch.write_text(dumps(facts, indent=2))
    with written(out / f'{name}.png') as scratch:
        draw(scratch)
    if as_json:
        report(facts, as_json=True)
    else:
        print_text(table)
