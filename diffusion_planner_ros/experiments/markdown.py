# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """
    Return a table in Markdown, without a line break at its end.

    :param head: titles of the columns.
    :param rows: cells of every row, as many as there are columns; a bar in a cell is escaped.
    """
    return '\n'.join(map(_line, [head, ['---'] * len(head), *rows]))


def _line(cells: Sequence[object]) -> str:
    escaped = (str(cell).replace('|', r'\|') for cell in cells)
    return f'| {" | ".join(escaped)} |'
