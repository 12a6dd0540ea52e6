# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A map of free cells and walls, drawn as text."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robots.yaml_section import YamlSection

WALL, FREE = '#', '.'


@dataclass(frozen=True)
class GridMap:
    """Cells of a plane; rows run along x, and the first one is that of the largest y."""

    rows: tuple[str, ...]
    """``#`` is a wall, ``.`` is free; all of one length, walls all around."""
    cell: float
    """Side of a cell [m]."""
    origin: tuple[float, float]
    """Lower left corner: smallest x and y [m]."""

    @classmethod
    def read(cls, section: YamlSection) -> 'GridMap':
        """
        Read a map.

        :raises RobotError: if a key is missing, unknown, or has a value that makes no sense.
        """
        rows = section.take('rows')
        grid = cls(tuple(rows) if isinstance(rows, list) else (), section.number('cell', low=1e-3),
                   section.pair('origin'))
        section.end()
        if not grid.rows or not all(isinstance(row, str) and row for row in rows):
            section.refuse('rows', rows, f"a list of texts of '{WALL}' and '{FREE}'")
        for number, row in enumerate(grid.rows):
            if len(row) != len(grid.rows[0]) or set(row) - {WALL, FREE}:
                section.refuse(f'rows[{number}]', row, f"{len(grid.rows[0])} of '{WALL}' and "
                               f"'{FREE}', as many as in the first row")
        edge = ''.join([grid.rows[0], grid.rows[-1], *(row[0] + row[-1] for row in grid.rows)])
        if FREE in edge or not len(grid.free_cells):
            section.refuse('rows', rows, f"walls '{WALL}' all around, and a free cell")
        return grid

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self.rows), len(self.rows[0])

    @cached_property
    def is_wall(self) -> NDArray:
        """Whether a cell is a wall, shape (rows, columns)."""
        return np.array([[cell == WALL for cell in row] for row in self.rows])

    @cached_property
    def free_cells(self) -> NDArray:
        """Row and column of every free cell, shape (n, 2)."""
        return np.argwhere(~self.is_wall)

    @property
    def bounds(self) -> NDArray:
        """Lower and upper corner of the map [m], shape (2, 2)."""
        low = np.array(self.origin)
        return np.stack([low, low + self.cell * np.array(self.shape[::-1])])

    def cell_of(self, point: NDArray) -> tuple[int, int]:
        """Return row and column of the cell that holds a point (2,); outside, they are beyond."""
        column, up = np.floor((np.asarray(point) - self.origin) / self.cell).astype(int)
        return len(self.rows) - 1 - int(up), int(column)

    def centre(self, row: int, column: int) -> NDArray:
        """Return the centre of a cell [m], shape (2,)."""
        return np.array(self.origin) + self.cell * np.array(
            [column + 0.5, len(self.rows) - row - 0.5])

    def walls_near(self, point: NDArray, distance: float) -> list[tuple[int, int]]:
        """Return row and column of the walls nearer to a point (2,) than ``distance`` [m]."""
        low, high = np.clip(
            [self.cell_of(np.add(point, offset)) for offset in (
                (-distance, distance), (distance, -distance))], 0, np.array(self.shape) - 1)
        rows, columns = (range(first, last + 1) for first, last in zip(low, high, strict=True))
        return [cell for cell in product(rows, columns) if self.is_wall[cell]
                and self._distance(point, *cell) < max(distance, 1e-9)]

    def _distance(self, point: NDArray, row: int, column: int) -> float:
        outside = np.abs(point - self.centre(row, column)) - self.cell / 2
        return float(np.linalg.norm(np.maximum(outside, 0.0)))

    def to_dict(self) -> dict[str, Any]:
        """Return what ``read`` reads."""
        return {'rows': list(self.rows), 'cell': self.cell, 'origin': list(self.origin)}
