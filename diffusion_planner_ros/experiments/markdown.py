"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    Write a table in Markdown.

    :param head: names of the columns.
    :param rows: cells of every row, as many as there are columns; a ``|`` in them is escaped.
    :return: lines without a line end after the last.
    :raises ValueError: if a row has another number of cells.
    """
    lines = [head, ['---'] * len(head), *rows]
    for line in lines:
        if len(line) != len(head):
            raise ValueError(f'a row has {len(line)} cells, expected {len(head)}, one for each of '
                             f'{", ".join(head)}: {list(line)}')
    escaped = [[cell.replace('|', '\\|') for cell in line] for line in lines]
    return '\n'.join(f'| {" | ".join(line)} |' for line in escaped)
