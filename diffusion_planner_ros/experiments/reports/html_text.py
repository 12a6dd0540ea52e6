# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Small pieces of HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

NONE = '-'


def text_of(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.4g}'
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ', '.join(map(text_of, value)) or NONE
    return str(value)


def with_error(mean: float, stderr: float | None) -> str:
    """Return a mean and its standard error, which a single value has not."""
    return text_of(mean) + ('' if stderr is None else
                            f' ± {format(stderr, ",.0f" if stderr >= 10 else ".2g")}')


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, marked: Sequence[int] = ()
          ) -> str:
    """
    Return a table that scrolls where the page is narrow.

    :param rows: cells; numbers stand at the right.
    :param marked: numbers of rows to point out.
    """
    lines = [''.join(f'<th>{escape(cell)}</th>' for cell in head)]
    lines += [''.join(_cell(cell) for cell in row) for row in rows]
    classes = [' class="marked"' if k - 1 in marked else '' for k in range(len(lines))]
    return ('<div class="scroll"><table>' + ''.join(
        f'<tr{name}>{line}</tr>' for name, line in zip(classes, lines, strict=True))
        + '</table></div>')


def _cell(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td{" class=number" if is_number else ""}>{escape(text_of(value))}</td>'


def flattened(facts: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Return the values of nested mappings by their path, as ``planner.horizon``."""
    flat: dict[str, Any] = {}
    for key, value in facts.items():
        name = f'{prefix}{key}'
        if isinstance(value, Mapping):
            flat |= flattened(value, f'{name}.')
        elif not (isinstance(value, Sequence) and any(isinstance(v, Mapping) for v in value)):
            flat[name] = value
    return flat


def section(title: str, content: str, about: str = '') -> str:
    """Return a part of the page; nothing if there is no content."""
    words = f'<p class="about">{escape(about)}</p>' if about else ''
    return f'<section><h2>{escape(title)}</h2>{words}{content}</section>' if content else ''


def folded(title: str, content: str) -> str:
    """Return a part that is unfolded by a click."""
    return f'<details><summary>{escape(title)}</summary>{content}</details>' if content else ''
