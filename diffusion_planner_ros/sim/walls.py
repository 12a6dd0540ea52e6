"""Walls of a map, as boxes of MuJoCo's model."""

from collections.abc import Iterator
from itertools import groupby

import mujoco

from ..goals.grid_map import GridMap, WALL

COLOR = 0.55, 0.45, 0.35, 1.0


def add_walls(spec: mujoco.MjSpec, grid: GridMap, height: float) -> None:
    """
    Add the walls of a map to a model, standing on z = 0.

    :param spec: is changed.
    :param height: [m].
    """
    for row, first, n_cells in _runs(grid):
        left, right = grid.centre(row, first), grid.centre(row, first + n_cells - 1)
        x, y = (left + right) / 2
        spec.worldbody.add_geom(
            name=f'wall_{row}_{first}', type=mujoco.mjtGeom.mjGEOM_BOX, rgba=COLOR,
            pos=[x, y, height / 2],
            size=[grid.cell * n_cells / 2, grid.cell / 2, height / 2])


def _runs(grid: GridMap) -> Iterator[tuple[int, int, int]]:
    """Return row, first column and number of cells of walls without a gap in a row."""
    for row, text in enumerate(grid.rows):
        column = 0
        for kind, cells in groupby(text):
            n_cells = len(list(cells))
            if kind == WALL:
                yield row, column, n_cells
            column += n_cells
